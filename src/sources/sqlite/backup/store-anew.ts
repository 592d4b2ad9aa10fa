import { stat, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { mapRecordBytes } from '../../../pipeline/map.ts';
import type { BackupContext } from '../../port.ts';
import { assembleModule } from './assemble-task.ts';
import { headerBytes, readHeader } from '../header.ts';
import { firstBytes } from '../look.ts';
import { hashBytes } from '../metadata.ts';
import { pieceBytes, storePartModule } from './store-part-task.ts';
import { fileChanged } from '../page-hash.ts';
import { storeModule, type Stored } from './store-task.ts';

export interface StoreAnew {
  /** A file that does not change, or of which somebody will see whether it did. */
  readonly read: string;
  /** For what the parts of it come to. */
  readonly directory: string;
  readonly onProgress: (bytes: number) => void;
}

const partBytes = 32 * 1024 * 1024;

/** Stores a database of which there is no earlier version, a large one in parts at once. */
export async function storeAnew(
  { read, directory, onProgress }: StoreAnew,
  context: BackupContext,
): Promise<Stored> {
  const { size } = await stat(read);
  if (size < 2 * partBytes || context.jobs < 2)
    return await context.run(storeModule, { read, previous: null }, { onProgress });
  const header = readHeader(firstBytes(read, headerBytes));
  if (header === null) throw new Error(fileChanged);
  const { pageBytes } = header;
  const [pieces, pages] = [Math.ceil(size / pieceBytes), Math.ceil(size / pageBytes)];
  const extents = await emptyFile(join(directory, 'extents'), pieces * mapRecordBytes);
  const hashes = await emptyFile(join(directory, 'hashes'), pages * hashBytes);
  const parts = Array.from({ length: Math.ceil(size / partBytes) }, (_, index) => index * partBytes).values();
  const stop = new AbortController();
  const signal = AbortSignal.any([context.signal, stop.signal]);
  const lane = async (): Promise<void> => {
    for (const from of parts) {
      const part = { read, pageBytes, from, to: Math.min(size, from + partBytes), extents, hashes };
      await context.run(storePartModule, part, { onProgress, signal });
    }
  };
  const lanes = Array.from({ length: context.jobs }, async () => {
    try {
      await lane();
    } catch (error) {
      stop.abort(error);
      throw error;
    }
  });
  // The file of one that fails must not be closed or removed while others write it.
  for (const lane of await Promise.allSettled(lanes))
    if (lane.status === 'rejected') throw stop.signal.reason;
  const assembled = await context.run(assembleModule, { extents, pieces, hashes, pages });
  return { ...assembled, header, pages, pagesChanged: pages };
}

async function emptyFile(path: string, sizeBytes: number): Promise<string> {
  await writeFile(path, '', { mode: 0o600 });
  await truncate(path, sizeBytes);
  return path;
}
