import type { Semaphore } from '../../../kernel/queue.ts';
import type { BackupContext } from '../../port.ts';
import { EarlierStretches } from './earlier-stretches.ts';
import { earlierModule } from './earlier-task.ts';
import { joinModule } from './join-task.ts';
import type { PageRules } from './page-reader.ts';
import { partModule, type PartInput, type StoredPart } from './part-task.ts';
import { stampBytes } from './stamps.ts';
import type { FileToStore, StoredFile } from './store-task.ts';

export interface PartedFile {
  readonly dataDirectory: string;
  readonly path: string;
  readonly size: number;
  readonly rules: PageRules;
  /** What the parent has of it. */
  readonly previous: FileToStore['previous'];
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
export async function storeInParts(file: PartedFile, parts: PartsContext): Promise<StoredFile> {
  const stored = await storeParts(file, parts);
  const [first] = stored;
  if (first === undefined) return { what: 'vanished' };
  const { context, signal, places } = parts;
  using _place = await places.acquire(signal);
  const extents = stored.map((part) => part.extents);
  const stamps = stored.map((part) => part.stamps);
  const previousStamps = file.previous?.stamps ?? null;
  const joined = await context.run(joinModule, { extents, stamps, previousStamps }, { signal });
  const { mtimeNs, inode, mode } = first;
  const sum = (of: (part: StoredPart) => number): number =>
    stored.reduce((total, part) => total + of(part), 0);
  return {
    what: 'stored',
    ...joined,
    mtimeNs,
    inode,
    mode,
    pages: sum((part) => part.stamps.length / stampBytes),
    pagesChanged: sum(({ pagesChanged }) => pagesChanged),
    bad: stored.flatMap(({ bad }) => bad),
    badCount: sum(({ badCount }) => badCount),
  };
}

/** Those up to the end of the file, which may have come nearer meanwhile; none of a file that is gone. */
async function storeParts(file: PartedFile, parts: PartsContext): Promise<readonly StoredPart[]> {
  const { size, partBytes } = file;
  const earlier = await earlierOf(file, parts);
  const underWay: Promise<StoredPart | null>[] = [];
  for (let from = 0; from < size; from += partBytes) {
    const before = (await earlier?.take(partBytes)) ?? null;
    const part = storePart(file, { from, to: Math.min(size, from + partBytes), before }, parts);
    part.catch(() => undefined); // Thrown when it is its turn.
    underWay.push(part);
  }
  const stored: StoredPart[] = [];
  for (const [index, result] of (await Promise.allSettled(underWay)).entries()) {
    if (result.status === 'rejected') throw result.reason;
    if (result.value === null) break;
    stored.push(result.value);
    // Cut off meanwhile: what was read behind the cut was read before it.
    if (result.value.length < Math.min(partBytes, size - index * partBytes)) break;
  }
  return stored;
}

async function storePart(
  { dataDirectory, path, rules }: PartedFile,
  part: Pick<PartInput, 'from' | 'to' | 'before'>,
  { context, signal, places, onProgress }: PartsContext,
): Promise<StoredPart | null> {
  using _place = await places.acquire(signal);
  const input = { dataDirectory, path, rules, ...part };
  return await context.run(partModule, input, { signal, onProgress });
}

async function earlierOf(
  { previous, rules }: PartedFile,
  { context, signal, places }: PartsContext,
): Promise<EarlierStretches | undefined> {
  if (previous === null) return undefined;
  using _place = await places.acquire(signal);
  const earlier = await context.run(earlierModule, previous, { signal });
  return earlier === null ? undefined : new EarlierStretches(earlier, rules.pageBytes);
}
