import { failure, type HoldfastError } from '../../kernel/errors/failure.ts';
import { plural } from '../../kernel/plural.ts';
import type { WalStatus as ArchiveStatus } from '../../operations/recovery/status-model.ts';
import { parseLsn } from '../../postgres/lsn.ts';
import { parseWalFileName, segmentStart } from '../../postgres/wal/names.ts';
import type { ServerWal } from './server-status.ts';

export interface JudgedSource {
  readonly source: string;
  /** That of the server first. */
  readonly archives: readonly ArchiveStatus[];
  readonly server: (ServerWal & { readonly lag_bytes: number | null }) | null;
}

/** The worst that is wrong with the WAL of a source; undefined when nothing is. */
export function whatIsWrong(source: JudgedSource): HoldfastError | undefined {
  return unrecoverable(source) ?? unknownHistory(source) ?? notStored(source);
}

/** An old gap behind which there is a newer backup is a loss of the past: it is shown, and no longer to be mended. */
function unrecoverable({ source, archives }: JudgedSource): HoldfastError | undefined {
  const backups = archives.flatMap((archive) =>
    archive.backups.filter(({ missing, gap }, index) => missing !== null || (index === 0 && gap !== null)),
  );
  if (backups.length === 0) return undefined;
  return failure('wal_unrecoverable', { source, count: plural(backups.length, 'backup') });
}

function unknownHistory({ source, archives }: JudgedSource): HoldfastError | undefined {
  for (const { lost_timelines: lost, backups } of archives) {
    const newest = backups[0]?.id;
    const found = lost.findLast((one) => newest !== undefined && one.backups.includes(newest));
    if (found === undefined) continue;
    const { timeline, file } = found;
    return failure('wal_history_unknown', { source, timeline, file });
  }
  return undefined;
}

function notStored({ source, archives, server }: JudgedSource): HoldfastError | undefined {
  if (server === null) return undefined;
  const archive = archives.find(({ system_identifier: id }) => id === server.system_identifier);
  const { archiver, timeline } = server;
  const fails =
    archiver?.failing === true &&
    (isFallingBehind(archive, server) || !isStored(archiver.last_failed ?? '', archive, server));
  const isNew = server.lag_bytes === null;
  if (!isNew && !fails) return undefined;
  const reasons = [
    ...(isNew ? [`it is on timeline ${timeline}, of which nothing is stored`] : []),
    ...(fails ? [`its archiver fails at ${archiver.last_failed}`] : []),
  ];
  const next = fails
    ? `look into the log of the server for what archive_command says; then run: holdfast doctor`
    : `see what is set there, and what to set: holdfast doctor; or stream from it: holdfast wal stream --source ${source}`;
  return failure('wal_not_stored', { source, reason: reasons.join(', and '), next });
}

/** Nobody streams, and there is WAL that the archiver should have stored: it fails at the oldest that it was given. */
function isFallingBehind(
  archive: ArchiveStatus | undefined,
  { slot, lag_bytes: lag }: NonNullable<JudgedSource['server']>,
): boolean {
  return slot?.active !== true && archive !== undefined && lag !== null && lag >= archive.segment_bytes;
}

/** Whether a file that the archiver cannot store is stored all the same: by a stream, or by hand. */
function isStored(name: string, archive: ArchiveStatus | undefined, { slot }: ServerWal): boolean {
  const file = parseWalFileName(name);
  const own = archive?.timelines.find(({ timeline }) => timeline === file?.timeline);
  if (archive === undefined || file === undefined || own === undefined) return false;
  if (file.kind === 'history') return archive.damaged_histories.every((one) => one.file !== name);
  if (file.kind !== 'segment') return slot?.active === true;
  const start = segmentStart(file, archive.segment_bytes);
  const end = parseLsn(own.to ?? '');
  return start !== undefined && end !== undefined && end >= start + BigInt(archive.segment_bytes);
}
