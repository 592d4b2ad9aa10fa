import type { SourceStatus } from '../../app/status/sources.ts';
import { status, type StatusResult } from '../../app/status/status.ts';
import { plural } from '../../kernel/plural.ts';
import type { Face } from '../face.ts';
import { costLine } from '../costs.ts';
import { bytes, duration, instant, table } from '../format.ts';
import { commonOptions, number } from './common.ts';
import type { Handler } from './handler.ts';

export const runStatus: Handler = (face, _args, options) =>
  face.run(
    (context) =>
      status(
        {
          ...commonOptions(options),
          sizes: options['sizes'] === true,
          deadlineMs: number(options, 'timeout'),
        },
        context,
      ),
    (result) => {
      if (!face.options.quiet) render(face, result);
      tellAmiss(face, result);
    },
  );

function tellAmiss(face: Face, { amiss }: StatusResult): void {
  for (const { level, message, hint } of amiss)
    face.notice({ level: 'warning', message: level === 'critical' ? `CRITICAL: ${message}` : message, hint });
  if (amiss.length === 0 && !face.options.quiet) face.product('all is well\n');
}

function render(face: Face, result: StatusResult): void {
  const { sources } = result;
  if (sources.length > 0) {
    const rows = sources.map((one) => [one.source, ...factsOf(one), stateOf(one)]);
    const titles = ['SOURCE', 'LAST GOOD BACKUP', 'AGE', 'SIZE', 'STORED', 'NEXT BEFORE', 'STATE'];
    face.product(`${table(titles, rows, [2, 3, 4])}\n`);
  }
  for (const one of sources) face.product(walLine(one));
  renderPlaces(face, result);
  face.product(`${verificationLine(result)}\n`);
  if (result.recent.length > 0) {
    const rows = result.recent.map((one) => [
      instant(one.started_at),
      one.id.slice(0, 8),
      one.source,
      bytes(one.bytes),
      bytes(one.bytes_added),
      duration(one.duration_ms),
      one.incomplete === null ? '' : 'INCOMPLETE',
    ]);
    face.product(`\n${table(['RECENT', 'ID', 'SOURCE', 'SIZE', 'STORED', 'TOOK', ''], rows, [3, 4, 5])}`);
  }
  face.product('\n');
}

function factsOf({ last_good: good, age_seconds: age, expected_before: before }: SourceStatus): string[] {
  if (good === null) return ['-', '-', '-', '-', '-'];
  return [
    `${instant(good.started_at)} ${good.id.slice(0, 8)}`,
    ageOf(age ?? 0),
    bytes(good.bytes),
    bytes(good.bytes_added),
    before === null ? '-' : instant(before),
  ];
}

function stateOf({ configured, last_good: good, late, incomplete, wal }: SourceStatus): string {
  if (!configured) return 'not in the settings';
  if (good === null) return 'NO BACKUP';
  if (late) return 'LATE';
  if (wal !== null && wal.error !== null) return 'WAL MISSING';
  return incomplete === null ? 'ok' : 'newest incomplete';
}

function walLine({ source, wal }: SourceStatus): string {
  const window = wal?.windows.at(-1);
  if (wal === null) return '';
  if (window === undefined) return `${source}: no moment can be recovered to\n\n`;
  const to = window.to.at === null ? window.to.lsn : instant(window.to.at);
  const stored = wal.stored_at === null ? '' : `, stored last ${instant(wal.stored_at)}`;
  const gaps = wal.gaps === 0 ? '' : `; ${plural(wal.gaps, 'gap')}`;
  return `${source}: recoverable from ${instant(window.from.at)} to ${to}${stored}${gaps}\n\n`;
}

function renderPlaces(face: Face, { places }: StatusResult): void {
  const hasSizes = places.some(({ sizes }) => sizes !== null);
  const rows = places.map((one) => [
    one.name,
    one.primary ? 'primary' : 'copy',
    one.reachable ? String(one.backups ?? '-') : 'NOT REACHED',
    one.newest === null ? '-' : instant(one.newest.started_at),
    one.behind === null ? '-' : String(one.behind.backups),
    one.forgotten === null ? '-' : String(one.forgotten),
    waitingOf(one.waiting),
    ...(hasSizes ? [one.sizes === null ? '-' : bytes(one.sizes.bytes)] : []),
  ]);
  const titles = ['PLACE', 'ROLE', 'BACKUPS', 'NEWEST', 'BEHIND', 'FORGOTTEN', 'WAITS FOR PRUNE'];
  face.product(`${table([...titles, ...(hasSizes ? ['HOLDS'] : [])], rows, [2, 4, 5, 7])}\n`);
  for (const { name, cost } of places) if (cost !== null) face.product(`${name}: ${costLine(cost)}\n`);
}

function waitingOf(waiting: StatusResult['places'][number]['waiting']): string {
  if (waiting === null) return '-';
  const [first] = waiting.toSorted((a, b) => a.removable_at.localeCompare(b.removable_at));
  if (first === undefined) return 'nothing';
  const packs = waiting.reduce((sum, one) => sum + one.packs, 0);
  return `${plural(packs, 'pack')}, from ${instant(first.removable_at)} on`;
}

function verificationLine({ verification: last, checked_at: now }: StatusResult): string {
  if (last === null) return 'never verified: holdfast verify';
  const age = (at: string): string => ageOf((Date.parse(now) - Date.parse(at)) / 1000);
  const found = last.ok ? 'nothing was wrong' : `${plural(last.problems, 'problem')} found`;
  const read = last.data_read_at === null ? 'no data read lately' : `data read ${age(last.data_read_at)} ago`;
  return `verified ${age(last.at)} ago on ${last.host} (${last.level}): ${found}; ${read}`;
}

/** `40 min`, `26 h`, `12 d`. */
function ageOf(seconds: number): string {
  if (seconds < 5400) return `${Math.round(seconds / 60)} min`;
  return seconds < 172_800 ? `${Math.round(seconds / 3600)} h` : `${Math.floor(seconds / 86_400)} d`;
}
