import { walStatus, type SourceWalStatus, type WalStatusResult } from '../../app/wal/status.ts';
import { plural } from '../../kernel/plural.ts';
import type { Face } from '../face.ts';
import { bytes, duration, instant, table } from '../format.ts';
import { commonOptions, text } from './common.ts';
import type { Handler } from './handler.ts';

export const runWalStatus: Handler = (face, _args, options) =>
  face.run(
    (context) => walStatus({ ...commonOptions(options), source: text(options, 'source') }, context),
    (result) => render(face, result),
  );

type ArchiveStatus = SourceWalStatus['archives'][number];

function render(face: Face, { sources }: WalStatusResult): void {
  for (const [index, one] of sources.entries()) {
    if (face.options.quiet) {
      warnings(face, one);
      continue;
    }
    face.product(`${index === 0 ? '' : '\n'}${one.source}\n`);
    face.product(pairs(serverLines(one)));
    if (one.archives.length === 0) face.say(`no WAL of ${one.source} is stored yet\n`);
    for (const archive of one.archives) renderArchive(face, archive, one.archives.length > 1);
    warnings(face, one);
  }
}

function renderArchive(face: Face, archive: ArchiveStatus, isOneOfMany: boolean): void {
  if (isOneOfMany) face.product(`\ncluster ${archive.system_identifier}\n`);
  const rows = archive.timelines.map((one) => [
    String(one.timeline),
    one.parent === null ? noParent(archive, one.timeline) : `${one.parent} at ${one.branched_off_at}`,
    one.from ?? '-',
    one.to ?? '-',
    one.stored_at === null ? '-' : instant(one.stored_at),
    bytes(one.stored_bytes),
    one.gaps.map(({ from, to }) => `${from} to ${to}`).join(', '),
  ]);
  face.product(`\n${table(['TIMELINE', 'COMES FROM', 'FROM', 'TO', 'STORED', 'SIZE', 'GAPS'], rows, [5])}`);
  const windows = archive.windows.map(({ timeline, from, to, backups }) => [
    String(timeline),
    instant(from.at),
    to.at === null ? `${to.lsn} (no transaction)` : instant(to.at),
    backups.map((id) => id.slice(0, 8)).join(' '),
  ]);
  if (windows.length > 0)
    face.product(`\n${table(['TIMELINE', 'RECOVERABLE FROM', 'TO', 'BACKUPS'], windows)}`);
  else face.say('no moment can be recovered to: there is no backup of this cluster with its WAL\n');
}

/** Of the first timeline nothing; of another one why it is not known. */
function noParent({ damaged_histories: damaged }: ArchiveStatus, timeline: number): string {
  const problem = damaged.find(({ file }) => Number.parseInt(file, 16) === timeline);
  if (problem === undefined) return '';
  return `${problem.file} ${problem.damage === null ? 'is missing' : 'is damaged'}`;
}

function serverLines({ server, server_error: failed }: SourceWalStatus): [string, string][] {
  if (server === null) {
    const why =
      failed === null ? 'not in the settings, not asked' : `does not answer: ${String(failed['message'])}`;
    return [['server', why]];
  }
  const role = server.in_recovery ? ', a standby' : '';
  const lines: [string, string][] = [
    ['server', `at ${server.lsn} of timeline ${server.timeline}${role}`],
    ['behind', behind(server)],
    ['slot', slotLine(server)],
  ];
  if (server.archiver !== null) lines.push(['archiver', archiverLine(server.archiver)]);
  return lines;
}

type Server = NonNullable<SourceWalStatus['server']>;

function behind({ lag_bytes: lag, lag_seconds: seconds, timeline }: Server): string {
  if (lag === null) return `nothing of timeline ${timeline} is stored`;
  if (lag === 0) return 'nothing: all is stored';
  return seconds === null ? bytes(lag) : `${bytes(lag)}, stored last ${duration(seconds * 1000)} ago`;
}

function slotLine({ slot }: Server): string {
  if (slot === null) return 'none';
  const use = slot.active ? 'streaming' : 'nobody streams';
  const kept = slot.kept_bytes === null ? 'keeps no WAL' : `keeps ${bytes(slot.kept_bytes)}`;
  return `${slot.name}: ${use}, ${kept}${slot.wal_status === null ? '' : ` (${slot.wal_status})`}`;
}

function archiverLine({
  failing,
  last_failed,
  last_archived,
  waiting_files: waiting,
}: NonNullable<Server['archiver']>): string {
  const last = failing ? `fails at ${last_failed}` : `last stored ${last_archived ?? 'nothing yet'}`;
  return waiting === null ? last : `${last}, ${plural(waiting, 'file')} waiting`;
}

function warnings(face: Face, { source, server, archives }: SourceWalStatus): void {
  const warn = (message: string, hint?: string): void =>
    face.notice({
      level: 'warning',
      message: `${source}: ${message}`,
      ...(hint === undefined ? {} : { hint }),
    });
  if (server?.over_limit === true) warn('the server keeps more WAL than wal_waiting_limit');
  if (server?.slot?.wal_status === 'lost') warn(`the replication slot ${server.slot.name} is lost`);
  for (const archive of archives) {
    for (const { file, damage } of archive.damaged_histories)
      warn(
        damage === null ? `${file} is missing` : `${file} is damaged: ${damage}`,
        `holdfast wal push pg_wal/${file}`,
      );
    for (const { id, missing, gap } of archive.backups) {
      const what = missing ?? gap;
      if (what === null) continue;
      const where = `${what.from} to ${what.to ?? 'its end'} of timeline ${what.timeline}`;
      const cannot = missing === null ? 'cannot be recovered farther than to a gap' : 'cannot be recovered';
      warn(`backup ${id.slice(0, 8)} ${cannot}: WAL is missing from ${where}`);
    }
  }
}

function pairs(lines: readonly (readonly [string, string])[]): string {
  const width = Math.max(...lines.map(([key]) => key.length));
  return lines.map(([key, value]) => `${key.padEnd(width)}  ${value}\n`).join('');
}
