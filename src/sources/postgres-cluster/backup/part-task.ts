import { closeSync, fstatSync } from 'node:fs';
import { siblingModule } from '../../../kernel/module-url.ts';
import type { TaskContext, TaskModule } from '../../../pipeline/task.ts';
import { bytesOfFile } from './bytes.ts';
import type { PageRules } from './page-reader.ts';
import { storePages, type EarlierStretch, type StoredPages } from './store-pages.ts';
import { openToRead } from './store-task.ts';

export interface PartInput {
  readonly dataDirectory: string;
  readonly path: string;
  readonly rules: PageRules;
  /** Of which bytes of the file; a multiple of a window. */
  readonly from: number;
  readonly to: number;
  readonly before: EarlierStretch | null;
}

/** A part of a relation's segment. */
export interface StoredPart extends StoredPages {
  readonly mtimeNs: bigint;
  readonly inode: string;
  readonly mode: number;
}

/** Null when the file is gone. */
export const partModule: TaskModule<PartInput, StoredPart | null> = {
  url: siblingModule(import.meta.url, './part-task.ts'),
  exportName: 'storePart',
};

/** Stores a part of a large segment, so that several can be stored at once. */
export async function storePart(input: PartInput, context: TaskContext): Promise<StoredPart | null> {
  const { dataDirectory, path, ...stretch } = input;
  const handle = openToRead(dataDirectory, path);
  if (handle === undefined) return null;
  try {
    const { mtimeNs, ino, mode } = fstatSync(handle, { bigint: true });
    const stored = await storePages({ ...stretch, bytes: bytesOfFile(handle) }, context);
    return { ...stored, mtimeNs, inode: String(ino), mode: Number(mode & 0o7777n) };
  } finally {
    closeSync(handle);
  }
}
