import type { InfoResult } from '../app/info.ts';
import { plural } from '../kernel/plural.ts';
import type { Recoverable } from '../operations/wal/recoverable.ts';
import { clusterMetadataSchema, type ClusterMetadata } from '../sources/postgres-cluster/metadata.ts';
import { bytes, instant } from './format.ts';

type Row = [string, string];

/** So many pages with wrong checksums are listed one by one. */
const listedPages = 20;

/** `to 2026-11-21 20:33:00Z`, `to its end`, `broken`; `-` for what is no cluster. */
export function recoverableText(recoverable: Recoverable | null): string {
  if (recoverable === null) return '-';
  if (recoverable.to === null) return 'broken';
  return recoverable.to.at === null ? 'to its end' : `to ${instant(recoverable.to.at)}`;
}

/** `to 2026-11-21 20:33:00Z (16/B374D848, timeline 2)`, or that it does not. */
export function recoveryWords({ from, to, gap, broken }: Recoverable): string {
  if (to === null) return `nowhere: ${broken ?? 'WAL it needs is missing'}`;
  const time = to.at === null ? `to its end, ${instant(from.at)}` : `to ${instant(to.at)}`;
  return `${time} (${to.lsn}, timeline ${to.timeline})${holeWords(gap)}`;
}

/** What a backup of a cluster holds, for people; undefined when it is one of something else. */
export function clusterFacts({ metadata, recoverable, wal }: InfoResult['backup']): Row[] | undefined {
  const parsed = clusterMetadataSchema.safeParse(metadata);
  if (!parsed.success) return undefined;
  const found = parsed.data;
  return [
    ['server', serverText(found)],
    ['data', `${found.data_directory}, ${plural(found.files, 'file')}, ${bytes(found.bytes)}`],
    ['taken', found.mode === 'local' ? 'by reading the data directory' : 'over the replication protocol'],
    ['from', `${found.start_lsn} at ${instant(found.started_at)}`],
    ['consistent', `${found.stop_lsn} at ${instant(found.stopped_at)}, timeline ${found.timeline}`],
    ['pages', pagesText(found)],
    ...found.databases.map(({ name }): Row => ['database', name]),
    ...found.tablespaces.map(({ oid, path, size }): Row => ['tablespace', `${oid}: ${path}, ${bytes(size)}`]),
    ...badPages(found),
    ...walFacts(wal, recoverable),
  ];
}

function serverText(found: ClusterMetadata): string {
  const notes = [
    ...(found.from_standby ? ['a standby'] : []),
    `system ${found.system_identifier}`,
    `page checksums ${found.data_checksums ? 'on' : 'off'}`,
  ];
  return `PostgreSQL ${found.server_version}, ${notes.join(', ')}`;
}

function pagesText({
  parent,
  full_because: why,
  pages,
  pages_changed: changed,
  files_kept: kept,
}: ClusterMetadata): string {
  if (parent === null) return `${pages}; full${why === null ? '' : `, because ${why}`}`;
  return `${pages}, of these ${changed} changed since backup ${parent.slice(0, 8)}; ${plural(kept, 'file')} taken over unread`;
}

function badPages({ bad_pages: pages, bad_page_count: count }: ClusterMetadata): Row[] {
  const listed = pages.slice(0, listedPages);
  const rows = listed.map(({ path, block, relation, reason }): Row => {
    return [
      'bad page',
      `block ${block} of ${relation ?? path}${relation === null ? '' : ` (${path})`}: ${reason}`,
    ];
  });
  const more = count - listed.length;
  return more > 0 ? [...rows, ['bad page', `and ${more} more; --json lists up to 100`]] : rows;
}

function walFacts(wal: InfoResult['backup']['wal'], recoverable: Recoverable | null): Row[] {
  if (wal === null || recoverable === null) return [];
  const { segments, missing } = wal;
  const names = segments.count === 1 ? segments.first : `${segments.first} to ${segments.last}`;
  const state = recoverable.broken === null ? 'all there' : recoverable.broken;
  const needs: Row = [
    'needs WAL',
    `${names} (${plural(segments.count, 'segment')}): ${missing === null ? state : 'incomplete'}`,
  ];
  if (recoverable.to === null) {
    const lacks =
      missing === null
        ? []
        : [['lacks', `${missing.segments.join(', ')}: ${recoverable.broken ?? ''}`] as Row];
    return [needs, ...lacks, ['recovers', 'nowhere']];
  }
  return [
    needs,
    ['recovers', `from ${instant(recoverable.from.at)} ${recoveryWords(recoverable)}`],
    ...wal.timelines
      .filter(({ timeline }) => timeline !== recoverable.to?.timeline)
      .map(({ timeline, to, gap }): Row => {
        const time = to.at === null ? '' : `${instant(to.at)}, `;
        return ['', `on timeline ${timeline} to ${time}${to.lsn}${holeWords(gap)}`];
      }),
  ];
}

function holeWords(gap: Recoverable['gap']): string {
  if (gap === null) return '';
  const to = gap.to === null ? 'on' : `to ${gap.to}`;
  return `; behind it WAL of timeline ${gap.timeline} is missing from ${gap.from} ${to}`;
}
