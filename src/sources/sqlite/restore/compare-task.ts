import { closeSync, fstatSync, openSync } from 'node:fs';
import { setImmediate } from 'node:timers/promises';
import { siblingModule } from '../../../kernel/module-url.ts';
import type { TaskContext, TaskModule } from '../../../pipeline/task.ts';
import { hashBytes } from '../metadata.ts';
import { fill, pageHash } from '../page-hash.ts';

export interface CompareInput {
  readonly file: string;
  /** A file of the hashes that its pages must have. */
  readonly hashes: string;
  readonly pageBytes: number;
  readonly sizeBytes: number;
}

export const comparisonModule: TaskModule<CompareInput, { readonly difference: string | null }> = {
  url: siblingModule(import.meta.url, './compare-task.ts'),
  exportName: 'compareFile',
};

const pagesAtOnce = 256;

/** Reads a file back and compares each page with its hash. */
export async function compareFile(
  input: CompareInput,
  context: Pick<TaskContext, 'signal'>,
): Promise<{ readonly difference: string | null }> {
  const file = openSync(input.file, 'r');
  const hashes = openSync(input.hashes, 'r');
  try {
    return { difference: await firstDifference(input, file, hashes, context.signal) };
  } finally {
    closeSync(file);
    closeSync(hashes);
  }
}

async function firstDifference(
  { pageBytes, sizeBytes }: CompareInput,
  file: number,
  hashes: number,
  signal: AbortSignal,
): Promise<string | null> {
  const { size } = fstatSync(file);
  const pages = Math.ceil(sizeBytes / pageBytes);
  if (size !== sizeBytes) return `it has ${size} bytes instead of ${sizeBytes}`;
  if (fstatSync(hashes).size !== pages * hashBytes)
    return `the backup does not have the hashes of ${pages} pages`;
  const bytes = Buffer.allocUnsafe(pagesAtOnce * pageBytes);
  const wanted = Buffer.allocUnsafe(pagesAtOnce * hashBytes);
  for (let page = 0; page < pages; page += pagesAtOnce) {
    const count = Math.min(pagesAtOnce, pages - page);
    const some = bytes.subarray(0, Math.min(count * pageBytes, sizeBytes - page * pageBytes));
    fill(file, some, page * pageBytes);
    fill(hashes, wanted.subarray(0, count * hashBytes), page * hashBytes);
    for (let at = 0; at < count; at += 1) {
      const is = pageHash(some.subarray(at * pageBytes, (at + 1) * pageBytes)).subarray(0, hashBytes);
      if (!is.equals(wanted.subarray(at * hashBytes, (at + 1) * hashBytes)))
        return `page ${page + at + 1} of ${pages} is not as it was backed up`;
    }
    await setImmediate(); // So that an abort is heard.
    signal.throwIfAborted();
  }
  return null;
}
