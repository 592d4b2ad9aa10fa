import { failure } from '../../kernel/errors/failure.ts';
import type { Replication } from '../../postgres/replication/replication.ts';
import type { WalArchive } from '../../repository/wal/model.ts';
import type { StreamContext } from './stream-told.ts';

const sizeUnits: Readonly<Record<string, number>> = { B: 1, kB: 1024, MB: 1024 ** 2, GB: 1024 ** 3 };

/** A size as `SHOW` gives it: `16MB`. */
export function segmentBytesOf(shown: string): number {
  const [, value = '', unit = 'B'] = /^(\d+)\s*(\w*)$/.exec(shown) ?? [];
  return Number(value) * (sizeUnits[unit] ?? Number.NaN);
}

/** Tells once of each thing about a server that will hurt. */
export async function warnOfServer(
  replication: Replication,
  about: { readonly source: string; readonly server: string; readonly archive: WalArchive },
  warned: Set<string>,
  { observer, signal }: StreamContext,
): Promise<void> {
  const { source, server, archive } = about;
  if ((await replication.show('synchronous_commit')) === 'remote_apply' && !warned.has('apply')) {
    warned.add('apply');
    observer.told({ state: 'warning', error: failure('wal_remote_apply', { server }) });
  }
  const { timeline: current } = await replication.identifySystem();
  const newest = Math.max(0, ...(await archive.timelines({ signal })));
  if (newest > current && !warned.has(`timeline ${newest}`)) {
    warned.add(`timeline ${newest}`);
    const error = failure('wal_timeline_foreign', { source, server, timeline: newest, current });
    observer.told({ state: 'warning', timeline: newest, error });
  }
}
