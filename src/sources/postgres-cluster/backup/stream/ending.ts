import { failure, isFailure } from '../../../../kernel/errors/failure.ts';
import { parseControlFile } from '../../../../postgres/control-file.ts';
import { formatLsn, parseLsn } from '../../../../postgres/lsn.ts';
import type { BaseBackupStream, WalPoint } from '../../../../postgres/replication/base-backup.ts';
import { entryKinds, type FileMeta } from '../../metadata.ts';
import type { Logger } from '../../../../kernel/log.ts';
import type { SmallEntry } from '../config-files.ts';
import type { LeftOut } from '../left-out.ts';
import { logDirectories } from '../walk.ts';
import type { BackupLinks } from './connections.ts';

/** Where the backup ends; with a warning when the server calls pages damaged. `cluster_promoted`. */
export async function endOf(
  backup: BaseBackupStream,
  server: string,
): Promise<{ readonly end: WalPoint; readonly warnings: readonly string[] }> {
  const { end, warnings } = await settledEnd(backup);
  // On another timeline recovery would need the WAL of two.
  if (end.timeline !== backup.start.timeline) throw failure('cluster_promoted', { server });
  return { end, warnings };
}

async function settledEnd(
  backup: BaseBackupStream,
): Promise<{ readonly end: WalPoint; readonly warnings: readonly string[] }> {
  try {
    return { end: await backup.end, warnings: [] };
  } catch (error) {
    if (!isFailure(error, 'base_backup_checksums')) throw error;
    const lsn = parseLsn(String(error.details['lsn']));
    if (lsn === undefined) throw error;
    const timeline = Number(error.details['timeline']);
    return { end: { lsn, timeline }, warnings: [`${error.code}: ${error.message}`] };
  }
}

/** Takes note of what the server says that it does not send. Of pages it says more when it ends. */
export function noteNotSent(warnings: readonly string[], leftOut: LeftOut, log: Logger): void {
  for (const warning of warnings) {
    const [, path] = /special file "(?:\.\/)?([^"]+)"/.exec(warning) ?? [];
    if (path === undefined) log.debug('the server warns', { warning });
    // Links to where the log goes, and sockets, are nothing that a cluster needs.
    else if (logDirectories.has(path)) leftOut.skipped(path, 'it is a link, or no file');
    else if (!path.startsWith('.s.PGSQL.'))
      leftOut.add(path, 'the server does not send what is neither a file nor a directory');
  }
}

/**
 * The entries that come last: `backup_label` and `tablespace_map`, and `pg_control`, which says on a standby how far recovery
 * must come for all that was sent before it. `cluster_control_torn`, `replication_protocol`.
 */
export function checkLast(
  apart: ReadonlyMap<string, Buffer>,
  { lsn, timeline }: WalPoint,
  { server, facts }: BackupLinks,
): readonly SmallEntry[] {
  const refuse = (reason: string): Error => failure('replication_protocol', { server, reason });
  const label = apart.get('backup_label');
  if (label === undefined) throw refuse('a base backup came without its backup_label');
  const text = label.toString();
  const named = /^START WAL LOCATION: ([0-9A-F]+\/[0-9A-F]+)/m.exec(text)?.[1];
  if (named !== formatLsn(lsn)) throw refuse(`the backup began at ${formatLsn(lsn)}, not at ${named}`);
  const onTimeline = Number(/^START TIMELINE: (\d+)$/m.exec(text)?.[1]);
  if (onTimeline !== timeline) throw failure('cluster_promoted', { server });
  const control = apart.get('global/pg_control');
  if (control === undefined) throw refuse('a base backup came without global/pg_control');
  const parsed = parseControlFile(control);
  if (parsed === undefined) throw failure('cluster_control_torn', { server });
  if (parsed.systemIdentifier !== facts.systemIdentifier) throw refuse('pg_control is of another cluster');
  const meta: FileMeta = { mtime_ns: null, inode: null, mode: 0o600 };
  const map = apart.get('tablespace_map') ?? Buffer.alloc(0);
  return [
    { path: 'backup_label', kind: entryKinds.label, bytes: label, meta },
    ...(map.length === 0 ? [] : [{ path: 'tablespace_map', kind: entryKinds.label, bytes: map, meta }]),
    { path: 'global/pg_control', kind: entryKinds.control, bytes: control, meta },
  ];
}
