import type { Semaphore } from '../../../kernel/queue.ts';
import type { BackupContext } from '../../port.ts';
import type { PageRules } from './page-reader.ts';
import { assembleModule, partModule, type StoredPart } from './part-task.ts';
import type { StoredFile } from './store-task.ts';

export interface PartedFile {
  readonly dataDirectory: string;
  readonly path: string;
  readonly size: number;
  readonly rules: PageRules;
  /** A multiple of 1 MiB. */
  readonly partBytes: number;
}

export interface PartsContext {
  readonly context: BackupContext;
  readonly signal: AbortSignal;
  readonly places: Semaphore;
  readonly onProgress: (bytes: number) => void;
}

/** Stores a large segment of a relation in parts, several at once, and puts them together. */
export async function storeInParts(
  file: PartedFile,
  { context, signal, places, onProgress }: PartsContext,
): Promise<StoredFile> {
  const { dataDirectory, path, size, rules, partBytes } = file;
  const options = { signal, onProgress };
  const froms = Array.from({ length: Math.ceil(size / partBytes) }, (_, part) => part * partBytes);
  const settled = await Promise.allSettled(
    froms.map(async (from) => {
      using _place = await places.acquire(signal);
      const to = Math.min(size, from + partBytes);
      return await context.run(partModule, { dataDirectory, path, rules, from, to }, options);
    }),
  );
  const parts: StoredPart[] = [];
  for (const [index, result] of settled.entries()) {
    if (result.status === 'rejected') throw result.reason;
    if (result.value === null) break;
    parts.push(result.value);
    // Cut off meanwhile: what was read behind the cut was read before it.
    if (result.value.length < Math.min(partBytes, size - index * partBytes)) break;
  }
  const [first] = parts;
  if (first === undefined) return { what: 'vanished' };
  using _place = await places.acquire(signal);
  const extents = parts.map((part) => part.extents);
  const stamps = parts.map((part) => part.stamps);
  const assembled = await context.run(assembleModule, { extents, stamps }, options);
  const pages = stamps.reduce((sum, { length }) => sum + length / 8, 0);
  const { mtimeNs, inode, mode } = first;
  return {
    what: 'stored',
    ...assembled,
    mtimeNs,
    inode,
    mode,
    pages,
    pagesChanged: pages,
    bad: parts.flatMap(({ bad }) => bad),
    badCount: parts.reduce((sum, { badCount }) => sum + badCount, 0),
  };
}
