import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { byteSize } from '../../../kernel/byte-size.ts';
import { plural } from '../../../kernel/plural.ts';
import { quoteLiteral } from '../../../postgres/names.ts';
import type { Finding } from '../../port.ts';
import type { ClusterCheckOptions } from './options.ts';
import { alterSystem, ok, reload, thenRestart, warning, wrong, type Asked } from './question.ts';
import { isStreaming } from './slot-rows.ts';

/** How the WAL comes into the repository, or why it does not. */
export function archiving(asked: Asked): Finding[] {
  const { settings, slots, options } = asked;
  const check = 'archiving';
  const streams = isStreaming(slots, options.slot);
  const command = settings.text('archive_command') ?? '';
  const library = settings.text('archive_library') ?? '';
  if (!isOn(asked)) {
    if (streams) return [ok(check, 'WAL comes to the repository by holdfast wal stream')];
    if (settings.text('archive_mode') === 'on' && isOurs(command)) {
      const message =
        'archive_command would hand the WAL to Holdfast, which a standby leaves to its primary until it is promoted';
      return [ok(check, message)];
    }
    return [notArchived(asked, 'the WAL of this server is not archived')];
  }
  if (library !== '') {
    const message = `WAL is archived by archive_library = ${library}`;
    return [streams ? ok(check, `${message}, and by holdfast wal stream`) : notArchived(asked, message)];
  }
  // Where there is no command, this is what the server shows for one.
  if (command === '' || command === '(disabled)') {
    const message =
      'archive_mode is on and archive_command is empty: the server keeps all WAL until there is one';
    const off = streams
      ? ` or, as it is streamed: ${alterSystem('archive_mode', "'off'")} ${thenRestart}`
      : '';
    return [wrong(check, message, `${setCommand(options.commands.push)} ${reload}${needs(options)}${off}`)];
  }
  if (isOurs(command)) {
    const also = streams ? ', and holdfast wal stream streams it' : '';
    return [ok(check, `archive_command hands the WAL to Holdfast${also}`)];
  }
  const message = `archive_command is that of ${programOf(command)}`;
  return [streams ? ok(check, `${message}; Holdfast streams the WAL`) : notArchived(asked, message)];
}

function notArchived({ settings, session, options }: Asked, why: string): Finding {
  const unless = session.inRecovery ? ', unless its primary does it' : '';
  const message = `${why}${unless}; from this repository only the moments at which backups ended can be recovered`;
  const mode = session.inRecovery ? "'always'" : "'on'";
  const stream = 'to recover to any moment run holdfast wal stream as a service';
  const lines = [];
  const isOnAlready = archiveModes(session.inRecovery).includes(settings.text('archive_mode') ?? '');
  if (!isOnAlready && !settings.waitsForRestart('archive_mode'))
    lines.push(alterSystem('archive_mode', mode));
  lines.push(setCommand(options.commands.push));
  const library =
    (settings.text('archive_library') ?? '') === '' ? [] : ["ALTER SYSTEM SET archive_library = '';"];
  const last = isOnAlready ? reload : thenRestart;
  const mend = `${stream}; or have the server archive, as a superuser there: ${[...lines, ...library, last].join(' ')}${needs(options)}`;
  return warning('archiving', message, mend);
}

function needs({ commands }: ClusterCheckOptions): string {
  return commands.needs === null ? '' : ` (${commands.needs})`;
}

function setCommand(push: string): string {
  return alterSystem('archive_command', quoteLiteral(push));
}

function archiveModes(inRecovery: boolean): readonly string[] {
  return inRecovery ? ['always'] : ['on', 'always'];
}

function isOn({ settings, session }: Asked): boolean {
  return archiveModes(session.inRecovery).includes(settings.text('archive_mode') ?? 'off');
}

function isOurs(command: string): boolean {
  return /holdfast/.test(command) && /\bwal\s+push\s+["']?%p/.test(command);
}

const knownPrograms =
  /\b(pgbackrest|wal-g|wal-e|barman-wal-archive|barman|pg_probackup|pghoard|rsync|cp|scp)\b/;

/** The command itself may hold secrets and is not shown. */
function programOf(command: string): string {
  if (/^\s*(?:\/?(?:usr\/)?(?:bin\/)?true|:|exit 0)\s*$/.test(command))
    return 'nothing: it throws the WAL away';
  return knownPrograms.exec(command)?.[1] ?? 'another program';
}

interface ArchiverRow {
  readonly [column: string]: unknown;
  readonly failed: string | null;
  readonly fails: boolean | null;
  readonly since_reload: boolean | null;
}

/** Whether the server gets rid of its WAL. */
export async function archiver(asked: Asked): Promise<Finding[]> {
  if (!isOn(asked)) return [];
  const check = 'archiver';
  const [row] = await asked.session.query<ArchiverRow>(
    `SELECT last_failed_wal AS failed, last_failed_time > coalesce(last_archived_time, '-infinity') AS fails,
            last_failed_time > pg_catalog.pg_conf_load_time() AS since_reload
       FROM pg_catalog.pg_stat_archiver`,
  );
  const findings = await waitingFiles(asked);
  if (row?.fails !== true) return findings;
  const name = row.failed ?? '?';
  const command = asked.settings.text('archive_command') ?? '';
  const message = `the server could not archive ${name}, and keeps it and all WAL after it`;
  if (row.since_reload !== true) {
    const mend = `look again in a minute, when it has tried again`;
    return [warning(check, `${message}; its settings were read anew since`, mend), ...findings];
  }
  const byHand = isOurs(command)
    ? `; or run as its user, in its data directory: ${command.replaceAll('%p', `pg_wal/${name}`).replaceAll('%f', name).replaceAll('%%', '%')}`
    : '';
  return [wrong(check, message, `see the log of the server for why${byHand}`), ...findings];
}

async function waitingFiles(asked: Asked): Promise<Finding[]> {
  const check = 'archiver files';
  const count = await countWaiting(asked);
  if (count === undefined) return [];
  const bytes = count * (asked.settings.bytes('wal_segment_size') ?? 0);
  const most = asked.options.walWaitingLimitBytes;
  const waits = `${plural(count, 'file')} of WAL (${byteSize(bytes)}) ${count === 1 ? 'waits' : 'wait'} to be archived`;
  if (bytes <= most) return [ok(check, waits)];
  const message = `${waits}, more than wal_waiting_limit (${byteSize(most)})`;
  return [
    warning(check, message, 'look into the log of the server whether archive_command fails or is slow'),
  ];
}

/** Undefined when neither the server nor the file system tells. */
async function countWaiting({ session, options, signal }: Asked): Promise<number | undefined> {
  try {
    const [row] = await session.query<{ count: string }>(
      "SELECT count(*)::text AS count FROM pg_catalog.pg_ls_archive_statusdir() WHERE name LIKE '%.ready'",
    );
    return Number(row?.count);
  } catch {
    signal.throwIfAborted();
  }
  if (options.dataDirectory === undefined) return undefined;
  try {
    const names = await readdir(join(options.dataDirectory, 'pg_wal', 'archive_status'));
    return names.filter((name) => name.endsWith('.ready')).length;
  } catch {
    return undefined; // that the directory cannot be read is told where it is looked at
  }
}
