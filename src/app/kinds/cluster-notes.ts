import { join } from 'node:path';
import { outlookOf, OutlookTimes } from '../../operations/wal/recoverable.ts';
import { addToLsn } from '../../postgres/lsn.ts';
import { filesNamedBy } from '../../sources/postgres-cluster/command-files.ts';
import type { FileOwner } from '../../sources/postgres-cluster/restore/options.ts';
import type { App } from '../compose.ts';
import { canRead } from '../local-postgres/server-user.ts';
import type { ClusterRecovery } from '../recovery.ts';

/** For people: what stands in the way, and what is worth knowing. */
export interface Told {
  readonly warnings: readonly string[];
  readonly notes: readonly string[];
}

/** Whether the restored server can run the command that fetches its WAL. `owner`: who it will run as; null: ourselves. */
export function walAccess(
  app: Pick<App, 'settings'>,
  owner: FileOwner | null,
  isStarted: boolean,
  { commands }: Pick<ClusterRecovery, 'commands'>,
): Told {
  const { warnings, notes } = passphraseAccess(app, owner, isStarted, commands);
  // A server that we start is given ours.
  const lacking = isStarted || commands.variables === null ? [] : [`to fetch its WAL: ${commands.variables}`];
  return { warnings: [...lacking, ...warnings], notes };
}

function passphraseAccess(
  app: Pick<App, 'settings'>,
  owner: FileOwner | null,
  isStarted: boolean,
  commands: ClusterRecovery['commands'],
): Told {
  const { get, location, needs } = commands;
  const keyFiles = filesNamedBy(get).filter(({ what }) => what === 'key file');
  // Without a file the passphrase is in our environment, which a server that we start is given.
  const missing = needs === null || isStarted ? [] : [`to fetch its WAL: ${needs}`];
  if (needs !== null && keyFiles.length === 0) return { warnings: missing, notes: [] };
  // Who we are has just read what the command reads.
  if (owner === null) return { warnings: [], notes: [] };
  // Who restored as root will start it as somebody else, nobody knows whom.
  if (owner.uid === 0) return { warnings: [], notes: missing };
  const { file } = app.settings;
  const files = [
    ...(location.startsWith('/') ? [join(location, 'holdfast.json')] : []),
    ...(file === null ? [] : [file]),
    ...keyFiles.map(({ path }) => path),
  ];
  const closed = files.find((path) => !canRead(path, owner));
  if (closed === undefined) return { warnings: [], notes: [] };
  const warning = `the server will run as the user ${owner.uid}, who cannot read ${closed}, and would not get its WAL: let that user read there, or run holdfast as that user`;
  return { warnings: [warning], notes: [] };
}

/** Of a recovery to the end of the backup, unasked: how much WAL behind it would be given away, and how to have it. */
export async function walLeftOut(
  { wish, plan }: Pick<ClusterRecovery, 'wish' | 'plan'>,
  signal: AbortSignal,
): Promise<readonly string[]> {
  if (wish.target.kind !== 'immediate') return [];
  const { backup, view } = plan.candidate;
  const outlook = await outlookOf(backup, async () => view, wish.timeline);
  if ('broken' in outlook) return [];
  const { to, gap } = await new OutlookTimes({ signal }).plain(backup, outlook);
  // The rest of the segment in which a backup ends is empty where nothing came after it.
  const own = addToLsn(view.segmentOf(backup.stop), view.segmentBytes);
  if (to === null || (to.at === null && outlook.reach.end.lsn <= own)) return [];
  const position = `${to.lsn}, timeline ${to.timeline}`;
  const end = to.at === null ? position : `${words(to.at)} (${position})`;
  const how =
    gap === null || gap.to === null
      ? '--at-end has all of it, --at TIME what there was at a moment'
      : '--at TIME has what there was at a moment up to then';
  return [
    `the stored WAL goes on behind the end of the backup (${words(backup.metadata.stopped_at)}), to ${end}, and is left out: ${how}`,
  ];
}

function words(iso: string): string {
  return iso.replace('T', ' ').replace('Z', ' UTC');
}
