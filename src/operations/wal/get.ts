import { setTimeout as delay } from 'node:timers/promises';
import { failure } from '../../kernel/errors/failure.ts';
import { addToLsn, formatLsn, lsnOf, type Lsn } from '../../postgres/lsn.ts';
import { segmentStart, type WalFileName } from '../../postgres/wal/names.ts';
import type { WalArchive } from '../../repository/wal/model.ts';

/** Two segments may be on their way at once, the later one ahead. */
const overtakenMs = 2000;

/** Takes the bytes of a file in order. */
export type Sink = (bytes: Uint8Array) => Promise<void>;

export interface GetContext {
  readonly signal: AbortSignal;
}

/**
 * Whether what PostgreSQL calls by that name is in the archive, and how much: a segment whole, or only its beginning (the
 * rest is zeros then, and there recovery ends). Its bytes go to `sink`.
 *
 * Rejects with `wal_gap` when it is not there, or not whole, while its timeline goes on behind it.
 */
export async function getWalFile(
  archive: WalArchive,
  name: string,
  parsed: WalFileName,
  sink: Sink,
  { signal }: GetContext,
): Promise<'whole' | 'beginning' | 'missing'> {
  if (parsed.kind === 'segment') return await getSegment(archive, { name, ...parsed }, sink, signal);
  const bytes = await archive.getFile(name, { signal });
  if (bytes === undefined) return 'missing';
  await sink(bytes);
  return 'whole';
}

interface Wanted {
  readonly name: string;
  readonly timeline: number;
  readonly log: number;
  readonly segment: number;
}

async function getSegment(
  archive: WalArchive,
  wanted: Wanted,
  sink: Sink,
  signal: AbortSignal,
): Promise<'whole' | 'beginning' | 'missing'> {
  const { segment_bytes: segmentBytes } = archive.info;
  const start = segmentStart(wanted, segmentBytes);
  if (start === undefined) return 'missing';
  for (let at = 0; at < segmentBytes; at += archive.unitBytes) {
    const bytes = await unitOrEnd(archive, wanted, addToLsn(start, at), signal);
    if (at + bytes.length === 0) return 'missing';
    await sink(bytes);
    if (bytes.length === archive.unitBytes) continue;
    await fillUp(sink, segmentBytes - at - bytes.length);
    return 'beginning';
  }
  return 'whole';
}

/**
 * What there is of a unit: less than the whole only where the archive ends. A recovery would take anything else for the
 * end of all WAL as well, and leave out what comes behind it without a word.
 */
async function unitOrEnd(
  archive: WalArchive,
  { name, timeline }: Wanted,
  unitStart: Lsn,
  signal: AbortSignal,
): Promise<Uint8Array> {
  let bytes = await archive.readUnit(timeline, unitStart, { signal });
  for (let look = 1; ; look += 1) {
    const end = addToLsn(unitStart, bytes.length);
    if (bytes.length === archive.unitBytes) return bytes;
    const next = await beginningBehind(archive, timeline, end, signal);
    if (next === undefined) return bytes;
    if (look > 1 && next > end)
      throw failure('wal_gap', { source: archive.info.source, name, timeline, lsn: formatLsn(next) });
    await delay(overtakenMs, undefined, { signal });
    bytes = await archive.readUnit(timeline, unitStart, { signal });
  }
}

/** Where what is stored behind a position begins; undefined when that is the end. */
async function beginningBehind(
  archive: WalArchive,
  timeline: number,
  end: Lsn,
  signal: AbortSignal,
): Promise<Lsn | undefined> {
  for await (const stretch of archive.stretches(timeline, { from: end }, { signal }))
    if (stretch.end > end) return stretch.start > end ? lsnOf(stretch.start) : end;
  return undefined;
}

async function fillUp(sink: Sink, count: number): Promise<void> {
  const zeros = Buffer.alloc(Math.min(count, 1024 * 1024));
  for (let left = count; left > 0; left -= zeros.length) await sink(zeros.subarray(0, left));
}
