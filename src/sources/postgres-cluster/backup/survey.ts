import { createHash } from 'node:crypto';
import type { EarlierFiles } from './earlier.ts';
import { guardPieceBytes, type FileToGuard } from './guard-task.ts';
import { pageRulesOf, type ReadSetting } from './units.ts';
import type { Found } from './walk.ts';

/** What there is to back up, found out before anything is stored. */
export interface Survey {
  /** Bytes that will be read. */
  readonly bytesToRead: number;
  /** Bytes in each tablespace, by OID. */
  readonly tablespaceBytes: ReadonlyMap<number, number>;
  /** Tablespaces whose directory of this version is there. */
  readonly tablespacesSeen: ReadonlySet<number>;
  /** What is to be compared with the parent. */
  readonly guard: readonly FileToGuard[];
}

/** Pieces that are compared, at most. */
const mostGuarded = 512;

export interface GuardChoice {
  /** Differs from backup to backup, so that each takes another sample. */
  readonly seed: string;
  /** Of so many pieces one is taken. */
  readonly oneIn: number;
}

/** One piece in so many, and not more than can be read in moments. */
export function guardRate(parentBytes: number, oneIn: number): number {
  return Math.max(oneIn, Math.ceil(parentBytes / guardPieceBytes / mostGuarded));
}

export async function survey(
  walk: AsyncIterable<Found>,
  earlier: EarlierFiles | undefined,
  setting: ReadSetting,
  choice: GuardChoice,
): Promise<Survey> {
  let bytesToRead = 0;
  const tablespaceBytes = new Map<number, number>();
  const tablespacesSeen = new Set<number>();
  const guard: FileToGuard[] = [];
  for await (const found of walk) {
    const [, oid, below] = /^pg_tblspc\/(\d+)\/(.*)$/.exec(found.path) ?? [];
    if (oid !== undefined) {
      if (found.kind === 'directory' && below?.includes('/') === false) tablespacesSeen.add(Number(oid));
      tablespaceBytes.set(Number(oid), (tablespaceBytes.get(Number(oid)) ?? 0) + found.size);
    }
    if (found.kind === 'directory') continue;
    const before = await earlier?.find(found);
    const isKept = before !== undefined && earlier?.isUntouched(found, before) === true;
    if (!isKept) bytesToRead += found.size;
    if (before === undefined || (!isKept && before.stamps === null)) continue;
    const pieces = chosen(found, choice);
    if (pieces.length === 0) continue;
    const { stream, stamps } = before;
    const untouched = isKept ? { mtimeNs: found.mtimeNs, inode: found.inode } : null;
    guard.push({
      path: found.path,
      pages: pageRulesOf(found.path, setting),
      untouched,
      stream,
      stamps,
      pieces,
    });
  }
  return { bytesToRead, tablespaceBytes, tablespacesSeen, guard };
}

/** Which pieces of a file are compared: the first by chance, then at equal distances. */
export function chosen(
  { path, size }: Pick<Found, 'path' | 'size'>,
  { seed, oneIn }: GuardChoice,
): readonly number[] {
  const pieces = Math.ceil(size / guardPieceBytes);
  if (pieces === 0) return [];
  const first = createHash('sha256').update(`${seed}/${path}`).digest().readUInt32LE(0) % oneIn;
  const numbers: number[] = [];
  for (let piece = first; piece < pieces; piece += oneIn) numbers.push(piece);
  return numbers;
}
