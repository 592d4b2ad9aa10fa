import { failure } from '../../../kernel/errors/failure.ts';
import type { Finding } from '../../port.ts';
import { alterSystem, ok, reload, warning, wrong, type Asked } from './question.ts';

const oldestMajor = 14;
const newestMajor = 18;
/** Its last release was in November 2026. */
const endedMajor = 14;
const mostClockDifferenceMs = 5_000;

export function version({ session, major }: Asked): Finding[] {
  const check = 'version';
  const message = `PostgreSQL ${session.serverVersion}`;
  if (major < oldestMajor || major > newestMajor) {
    const server = session.setting.server;
    throw failure('cluster_version', { server, version: session.serverVersion });
  }
  if (major > endedMajor) return [ok(check, message)];
  const old = `${message} gets no more corrections, not even of faults that damage data`;
  return [warning(check, old, 'upgrade it to 15 or newer with pg_upgrade; a full backup follows by itself')];
}

export async function role(asked: Asked): Promise<Finding[]> {
  const { session, settings, options } = asked;
  const check = 'role';
  if (!session.inRecovery) return [ok(check, 'the server is a primary')];
  if (asked.restoring) return [await restoring(asked)];
  const message =
    'the server is a standby: backups spare the primary, and hold only what has been replayed here';
  if ((settings.text('restore_command') ?? '') !== '') return [ok(check, message)];
  const hint = `to catch up from the repository when it has fallen behind it can have restore_command = '${options.commands.get.replaceAll("'", "''")}'`;
  return [ok(check, `${message}; ${hint}`)];
}

/** What may look like a standby, and is on its way. */
async function restoring({ session }: Asked): Promise<Finding> {
  const message =
    'the server was restored and is not open yet: it replays WAL up to the target of its restore';
  const [row] = await session.query<{ paused: boolean }>(
    'SELECT pg_catalog.pg_is_wal_replay_paused() AS paused',
  );
  if (row?.paused !== true) return warning('role', message, 'wait for it; its log shows how far it is');
  const paused =
    'the server was restored and is not open yet: it is paused, for reading, at the target of its restore';
  return warning('role', paused, 'to open it here: SELECT pg_wal_replay_resume();');
}

export function walLevel({ session, settings }: Asked): Finding[] {
  const check = 'wal_level';
  const level = settings.text('wal_level') ?? 'unknown';
  if (level !== 'minimal') return [ok(check, `wal_level = ${level}`)];
  const { message, hint, code } = failure('cluster_wal_level', { server: session.setting.server });
  const mend = settings.waitsForRestart(check) ? 'restart the server: its configuration is changed' : hint;
  return [{ check, level: 'error', message, mend, code }];
}

export async function fullPages({ session, settings }: Asked): Promise<Finding[]> {
  const check = 'full_page_writes';
  const mend = `${alterSystem(check, "'on'")} ${reload}`;
  if (session.inRecovery) {
    // What counts is how the primary has written the WAL that was replayed here.
    const [row] = await session.query<{ full: boolean }>(
      'SELECT full_page_writes AS full FROM pg_catalog.pg_control_checkpoint()',
    );
    if (row?.full !== false) return [];
    const message =
      'the primary has written WAL with full_page_writes = off, from which no backup of a standby can be made whole';
    return [wrong(check, message, `on the primary: ${mend} CHECKPOINT; then wait for a checkpoint here`)];
  }
  if (settings.text(check) !== 'off') return [];
  const message =
    'full_page_writes is off: a crash of the machine can leave torn pages, and standbys cannot be backed up (while a backup runs the server writes full pages all the same)';
  return [warning(check, message, mend)];
}

export function checksums({ session, settings, options }: Asked): Finding[] {
  const check = 'checksums';
  if (settings.text('data_checksums') === 'on') {
    return [ok(check, 'pages have checksums: damage is noticed when they are backed up')];
  }
  const hints =
    settings.text('wal_log_hints') === 'on'
      ? ''
      : '; hint bits change without WAL (wal_log_hints = off), which does no harm to increments';
  const message = `pages have no checksums: damage by the disk cannot be noticed${hints}`;
  const directory = options.dataDirectory ?? settings.text('data_directory') ?? 'DATA_DIRECTORY';
  const standby = session.inRecovery ? ' (the same has to be done on the primary)' : '';
  const mend = `with the server stopped, as its user: pg_checksums --enable -D ${directory}${standby}`;
  return [warning(check, message, mend)];
}

export function walCompression({ settings, major }: Asked): Finding[] {
  const check = 'wal_compression';
  const value = settings.text(check);
  if (value !== 'off') return [ok(check, `wal_compression = ${value ?? 'unknown'}`)];
  const better = settings.values(check).includes('lz4') ? "'lz4'" : "'on'";
  const cost = major >= 15 ? 'little' : 'some';
  const message = `wal_compression is off; for ${cost} CPU there would be less WAL to keep: ${alterSystem(check, better)} ${reload}`;
  return [ok(check, message)];
}

/** Recovery to a time goes by the clock of the server. */
export async function clock({ session, options }: Asked): Promise<Finding[]> {
  const check = 'clock';
  const before = options.now();
  const [row] = await session.query<{ ms: string }>(
    'SELECT (extract(epoch FROM pg_catalog.clock_timestamp()) * 1000)::text AS ms',
  );
  const after = options.now();
  const theirs = Number(row?.ms);
  const difference = theirs < before ? theirs - before : Math.max(0, theirs - after);
  if (Math.abs(difference) <= mostClockDifferenceMs) {
    return [ok(check, 'the clock of the server and that of this machine agree')];
  }
  const seconds = Math.round(Math.abs(difference) / 1000);
  const way = difference > 0 ? 'ahead of' : 'behind';
  const message = `the clock of the server is ${seconds} s ${way} that of this machine; a recovery to a time goes by the clock of the server`;
  return [warning(check, message, 'on both machines: timedatectl set-ntp true')];
}
