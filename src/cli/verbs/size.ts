import { size, type SizeResult } from '../../app/size.ts';
import { plural } from '../../kernel/plural.ts';
import type { Face } from '../face.ts';
import { costLine } from '../costs.ts';
import { bytes, instant, ratio, table } from '../format.ts';
import { commonOptions, number, text } from './common.ts';
import type { Handler } from './handler.ts';

/** So many backups are shown unless --limit says otherwise. */
const shownBackups = 20;
const partlyUsed =
  'UNIQUE above SIZE: chunks count whole, and of some these backups use a part only (pages of SQLite that changed since)\n\n';
const figureTitles = ['SIZE', 'UNIQUE', 'STORED', 'OWN', 'SHARED', 'DEDUP', 'COMPRESSION'];

export const runSize: Handler = (face, _args, options) =>
  face.run(
    (context) =>
      size(
        { ...commonOptions(options), source: text(options, 'source'), limit: number(options, 'limit') },
        context,
      ),
    (result) => render(face, result, number(options, 'limit') ?? shownBackups),
  );

function render(face: Face, result: SizeResult, limit: number): void {
  const { sources, backups, unreadable, repository } = result;
  for (const { message, id } of unreadable)
    face.notice({
      level: 'warning',
      message: `backup ${id.slice(0, 8)} is there and cannot be measured: ${message}`,
    });
  if (sources.length > 0) {
    const hasWal = sources.some((one) => one.wal_bytes > 0);
    const rows = sources.map((one) => [
      one.source,
      String(one.backups),
      ...figures(one),
      ...(hasWal ? [bytes(one.wal_bytes)] : []),
    ]);
    const titles = ['SOURCE', 'BACKUPS', ...figureTitles, ...(hasWal ? ['WAL'] : [])];
    face.product(`${table(titles, rows, columns(1, 9))}\n`);
  }
  const newest = backups.slice(-limit);
  if (newest.length > 0) {
    const rows = newest.map((one) => [
      one.id.slice(0, 8),
      instant(one.started_at),
      one.source,
      ...figures(one),
    ]);
    face.product(`${table(['ID', 'STARTED', 'SOURCE', ...figureTitles], rows, columns(3, 9))}\n`);
  }
  if (newest.length < backups.length)
    face.say(
      `the newest ${newest.length} of ${backups.length} backups; --limit ${backups.length} shows all\n`,
    );
  if ([...sources, ...newest].some((one) => one.unique_bytes > one.bytes)) face.say(partlyUsed);
  renderRepository(face, result);
  if (result.cost !== null) face.product(`\n${costLine(result.cost)}\n`);
  else if (/^(?:s3|azure|gs):/.test(result.repository.location))
    face.say(
      '\nno estimate of costs: the prices of this service are not known; see price_storage in docs/storage-s3.md\n',
    );
  const lost = backups.filter(({ missing_chunks: missing }) => missing > 0);
  for (const { id, missing_chunks: missing } of lost)
    face.notice({ level: 'warning', message: `backup ${id.slice(0, 8)} lacks ${plural(missing, 'chunk')}` });
  if (unreadable.length > 0)
    face.say(`unused bytes may be needed by what cannot be read in ${repository.location}\n`);
}

function renderRepository(face: Face, { repository }: SizeResult): void {
  const overhead = repository.pack_bytes - repository.stored_bytes - repository.unused_bytes;
  const rows: [string, string][] = [
    ['contents', `${bytes(repository.bytes)} in ${plural(repository.backups, 'backup')}`],
    [
      'unique',
      `${bytes(repository.unique_bytes)}, dedup ${ratio(repository.dedup_ratio)}, compression ${ratio(repository.compression_ratio)}`,
    ],
    ['packs', `${bytes(repository.pack_bytes)} in ${plural(repository.packs, 'pack')}`],
    ['  needed', bytes(repository.stored_bytes)],
    ['  unused', bytes(repository.unused_bytes)],
    ['  overhead', bytes(overhead)],
    ...(repository.wal_bytes === 0 ? [] : [['WAL', bytes(repository.wal_bytes)] as [string, string]]),
    ['indexes', bytes(repository.index_bytes)],
    ['manifests', bytes(repository.manifest_bytes)],
    ['keys', bytes(repository.key_bytes)],
    ['total', `${bytes(repository.total_bytes)} in ${repository.location}`],
  ];
  const width = Math.max(...rows.map(([key]) => key.length));
  face.product('the whole repository\n');
  face.product(rows.map(([key, value]) => `${key.padEnd(width)}  ${value}\n`).join(''));
}

type Figured = SizeResult['sources'][number] | SizeResult['backups'][number];

function figures(one: Figured): string[] {
  return [
    bytes(one.bytes),
    bytes(one.unique_bytes),
    bytes(one.stored_bytes),
    bytes(one.own_bytes),
    bytes(one.shared_bytes),
    ratio(one.dedup_ratio),
    ratio(one.compression_ratio),
  ];
}

function columns(first: number, last: number): number[] {
  return Array.from({ length: last - first + 1 }, (_, index) => first + index);
}
