import { lsnOf } from '../../postgres/lsn.ts';
import type { Repository } from '../../repository/repository.ts';
import type { WalCluster, WalStore } from '../../sources/port.ts';
import { walBytes } from '../recovery/scan-range.ts';
import { putUnit } from './push.ts';

/** The archive of a cluster's WAL as its source sees it. */
export async function openWalStore(
  repository: Repository,
  source: string,
  { systemIdentifier, segmentBytes, postgresMajor }: WalCluster,
  signal: AbortSignal,
): Promise<WalStore> {
  const archive = await repository.walArchive(
    {
      source,
      system_identifier: systemIdentifier,
      segment_bytes: segmentBytes,
      postgres_major: postgresMajor,
    },
    { signal },
  );
  return {
    id: archive.id,
    unitBytes: archive.unitBytes,
    covers: async (timeline, from, to) => {
      const runs = await archive.runs(timeline, { from, to }, { signal });
      return runs.some(({ start, end }) => start <= from && end >= to);
    },
    put: async ({ timeline, start, bytes }) => {
      await putUnit(archive, { timeline, start: lsnOf(start), bytes }, signal);
    },
    putFile: async (name, bytes) => {
      await archive.putFile(name, bytes, { signal });
    },
    read: async function* (timeline, from, to) {
      const piece = { timeline, from: lsnOf(from), to: lsnOf(to) };
      for await (const { bytes } of walBytes(archive, [piece], piece, { signal })) yield bytes;
    },
  };
}
