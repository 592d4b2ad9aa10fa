import { isFailure, reasonOf } from '../../kernel/errors/failure.ts';
import type { Repository } from '../../repository/repository.ts';
import type { WalArchive, WalStretch } from '../../repository/wal/model.ts';
import type { OperationContext } from '../contract.ts';

/** Whoever streams removes parts himself; what he has stored lately is his business. */
const settledMs = 3_600_000;

/**
 * Removes parts of WAL that lie within something longer, as whoever has streamed them does; an agent cannot. Both are read
 * and compared before. Parts that hold other bytes stay, and are told of.
 */
export async function tidyParts(
  repository: Repository,
  nowMs: number,
  { signal, log }: Pick<OperationContext, 'signal' | 'log'>,
): Promise<void> {
  for await (const id of repository.walArchiveIds({ signal })) {
    const archive = await repository.findWalArchive(id, { signal }).catch((error: unknown) => {
      if (!isFailure(error, 'object_damaged')) throw error;
    });
    if (archive === undefined) continue;
    for (const timeline of await archive.timelines({ signal })) {
      for (const unitStart of await unitsToTidy(archive, timeline, nowMs - settledMs, signal)) {
        try {
          await archive.dropParts(timeline, unitStart, { signal });
        } catch (error) {
          if (!isFailure(error, 'wal_differs') && !isFailure(error, 'object_damaged')) throw error;
          log.error('parts of WAL stay', { source: archive.info.source, timeline, reason: reasonOf(error) });
        }
      }
    }
  }
}

/** Starts of units that have something longer beside a part that lies within it, all of it settled. */
async function unitsToTidy(
  archive: WalArchive,
  timeline: number,
  settledBeforeMs: number,
  signal: AbortSignal,
): Promise<bigint[]> {
  const units: bigint[] = [];
  let unit = -1n;
  let inUnit: WalStretch[] = [];
  const close = (): void => {
    const isSettled = inUnit.every(({ storedAtMs }) => storedAtMs < settledBeforeMs);
    if (
      inUnit.length > 1 &&
      isSettled &&
      inUnit.some((part) => inUnit.some((other) => isWithin(part, other)))
    )
      units.push(unit);
    inUnit = [];
  };
  for await (const stretch of archive.stretches(timeline, {}, { signal })) {
    const start = stretch.start - (stretch.start % BigInt(archive.unitBytes));
    if (start !== unit) close();
    unit = start;
    inUnit.push(stretch);
  }
  close();
  return units;
}

function isWithin(part: WalStretch, other: WalStretch): boolean {
  return part !== other && other.start <= part.start && other.end >= part.end;
}
