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
      const message = asked.restoring
        ? 'archive_command will hand the WAL to Holdfast as soon as the server is open'
        : 'archive_command would hand the WAL to Holdfast, which a standby leaves to its primary until it is promoted';
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
    const mend = `${[setCommand(options.commands.push), ...timeout(asked), reload].join(' ')}${needs(options)}${off}`;
    return [wrong(check, message, mend)];
  }
  if (isOurs(command)) {
    const message = 'archive_command hands the WAL to Holdfast';
    if (streams) return [ok(check, `${message}, and holdfast wal stream streams it`)];
    const lines = timeout(asked);
    if (lines.length === 0) return [ok(check, message)];
    const idle = `archive_timeout is 0, so the segment in use stays with the server until it is full: ${[...lines, reload].join(' ')}`;
    return [ok(check, `${message}; ${idle}`)];
  }
  const message = `archive_command is that of ${programOf(command)}`;
  return [streams ? ok(check, `${message}; Holdfast streams the WAL`) : notArchived(asked, message)];
}

function notArchived(asked: Asked, why: string): Finding {
  const { settings, session, options, restoring } = asked;
  const unless = session.inRecovery && !restoring ? ', unless its primary does it' : '';
  const message = `${why}${unless}; from this repository only the moments at which backups ended can be recovered`;
  const mode = session.inRecovery && !restoring ? "'always'" : "'on'";
  const stream = 'to recover to any moment run holdfast wal stream as a service';
  const lines = [];
  const isOnAlready = archiveModes(session.inRecovery && !restoring).includes(
    settings.text('archive_mode') ?? '',
  );
  if (!isOnAlready && !settings.waitsForRestart('archive_mode'))
    lines.push(alterSystem('archive_mode', mode));
  lines.push(setCommand(options.commands.push), ...timeout(asked));
  const library =
    (settings.text('archive_library') ?? '') === '' ? [] : ["ALTER SYSTEM SET archive_library = '';"];
  const last = isOnAlready ? reload : thenRestart;
  const mend = `${stream}; or have the server archive, as a superuser there: ${[...lines, ...library, last].join(' ')}${needs(options)}`;
  return warning('archiving', message, mend);
}

/** A server that has little to write would keep its last segment for hours. */
function timeout({ settings }: Asked): string[] {
  return settings.number('archive_timeout') === 0 ? [alterSystem('archive_timeout', "'1min'")] : [];
}

export function needs({ commands }: ClusterCheckOptions): string {
  const all = [commands.needs, commands.variables].filter((need) => need !== null);
  return all.length === 0 ? '' : ` (${all.join('; ')})`;
}

export function setCommand(push: string): string {
  return alterSystem('archive_command', quoteLiteral(push));
}

function archiveModes(inRecovery: boolean): readonly string[] {
  return inRecovery ? ['always'] : ['on', 'always'];
}

export function isOn({ settings, session }: Asked): boolean {
  return archiveModes(session.inRecovery).includes(settings.text('archive_mode') ?? 'off');
}

export function isOurs(command: string): boolean {
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
