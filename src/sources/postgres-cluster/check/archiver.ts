import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { byteSize } from '../../../kernel/byte-size.ts';
import { plural } from '../../../kernel/plural.ts';
import type { Finding } from '../../port.ts';
import { filesNamedBy, filesNotThere, fileWords } from '../command-files.ts';
import { isOn, isOurs, needs, setCommand } from './archiving.ts';
import { ok, reload, warning, wrong, type Asked } from './question.ts';

interface ArchiverRow {
  readonly [column: string]: unknown;
  readonly failed: string | null;
  readonly fails: boolean | null;
  readonly none: boolean;
  readonly since_reload: boolean | null;
}

/** Whether the server gets rid of its WAL. */
export async function archiver(asked: Asked): Promise<Finding[]> {
  if (!isOn(asked)) return [];
  const check = 'archiver';
  const [row] = await asked.session.query<ArchiverRow>(
    `SELECT last_failed_wal AS failed, last_failed_time > coalesce(last_archived_time, '-infinity') AS fails,
            last_failed_time > pg_catalog.pg_conf_load_time() AS since_reload,
            last_archived_time IS NULL AS none
       FROM pg_catalog.pg_stat_archiver`,
  );
  const findings = await waitingFiles(asked);
  if (row?.fails !== true) return [...(row?.none === true ? await foreign(asked) : []), ...findings];
  const name = row.failed ?? '?';
  const command = asked.settings.text('archive_command') ?? '';
  const message = `the server could not archive ${name}, and keeps it and all WAL after it`;
  if (row.since_reload !== true) {
    const still = await foreign(asked);
    if (still.length > 0) return [...still, ...findings];
    const mend = `look again in a minute, when it has tried again`;
    return [warning(check, `${message}; its settings were read anew since`, mend), ...findings];
  }
  const { push } = asked.options.commands;
  // As after a recovery: the command has the files of the machine that was backed up.
  const other =
    isOurs(command) && command !== push
      ? `the server's command is not the one for this machine: ${setCommand(push)} ${reload}${needs(asked.options)}; else `
      : '';
  const byHand = isOurs(command)
    ? `; or run as its user, in its data directory: ${command.replaceAll('%p', `pg_wal/${name}`).replaceAll('%f', name).replaceAll('%%', '%')}`
    : '';
  return [wrong(check, message, `${other}see the log of the server for why${byHand}`), ...findings];
}

/** Before it was tried: that nothing can be archived, for the command needs what this machine does not have. */
async function foreign({ settings, options }: Asked): Promise<Finding[]> {
  const command = settings.text('archive_command') ?? '';
  const { push } = options.commands;
  // Only where the files of the server are here is it on this machine.
  if (options.dataDirectory === undefined || !isOurs(command) || command === push) return [];
  const missing = await filesNotThere(filesNamedBy(command));
  if (missing.length === 0) return [];
  const message = `archive_command names what is not there on this machine: ${fileWords(missing)}`;
  return [wrong('archiver', message, `${setCommand(push)} ${reload}${needs(options)}`)];
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
