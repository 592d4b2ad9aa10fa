import { styleText } from 'node:util';
import type { Comparison } from '../app/demo/compare.ts';
import type { DemoResult } from '../app/demo/demo.ts';
import { howToPlay } from '../app/demo/keep.ts';
import type { DemoEvent, ProvenTable, StepDone, StepName, StepResults } from '../app/demo/story.ts';
import { bytes, duration } from './format.ts';

// The demo as people read it. Every line fits 84 columns.

const titles: Readonly<Record<StepName, string>> = {
  shop: 'A shop opens',
  init: 'It gets a repository',
  first_backup: 'The first backup',
  business_day: 'A day of business',
  second_backup: 'The second backup',
  disaster: 'The disaster',
  restore: 'The restore',
  proof: 'The proof',
  wal_stream: 'The server streams its WAL',
  cluster_backup: 'The whole server is backed up',
  orders: 'Orders come in',
  drop: 'Somebody drops a table',
  recovery: 'Back to the moment before',
  cluster_proof: 'The proof',
};

/** What an event adds to the story. */
export function demoParagraph(event: DemoEvent, colour: boolean): string {
  const { bold, dim, cyan } = painter(colour);
  switch (event.type) {
    case 'demo':
      return `${bold('Holdfast demo')}\n${dim(`PostgreSQL ${event.postgres} on port ${event.port}, files in ${event.directory}`)}\n`;
    case 'step': {
      const number = Object.keys(titles).indexOf(event.step) + 1;
      const lines = event.typed.map(({ prompt, text }) => `   ${dim(prompt)} ${cyan(text)}\n`);
      return `\n${bold(`${number}  ${titles[event.step]}`)}\n${lines.join('')}`;
    }
    case 'step_done': {
      const lines = outcome(event, colour);
      return lines.map((line) => `   ${line}\n`).join('');
    }
  }
}

function outcome(event: StepDone, colour: boolean): string[] {
  const { red, bold } = painter(colour);
  switch (event.step) {
    case 'shop':
      return [
        `shop      ${tablesAndRows(event)}, ${bytes(event.size)} in PostgreSQL`,
        `sessions  ${tablesAndRows(event.sessions)}, ${bytes(event.sessions.size)} in data/sessions.db`,
        `uploads   ${tree(event.uploads)}, ${bytes(event.uploads.bytes)}`,
      ];
    case 'init':
      return ['encrypted with a new key; the recovery kit says how to restore by hand'];
    case 'first_backup':
      return backupLines(event, String);
    case 'business_day': {
      const { orders, rows_changed, sessions, uploads } = event;
      const { added, changed, moved, removed } = uploads;
      return [
        `shop      ${count(orders, 'new order')}, ${count(rows_changed, 'row')} changed`,
        `sessions  ${count(sessions.rows_changed, 'row')} changed`,
        `uploads   ${count(added, 'file')} added, ${changed} changed, ${moved} moved, ${removed} removed`,
      ];
    }
    case 'second_backup':
      return [
        ...backupLines(event, bold),
        `together ${event.percent_of_first.toFixed(1)} % of the first ones; each restores without the others`,
      ];
    case 'disaster':
      return [
        red(
          `shop      ${count(event.tables_lost, 'table')} with ${count(event.rows_lost, 'row')} gone, ` +
            `${count(event.rows_overwritten, 'row')} overwritten`,
        ),
        red(`sessions  ${count(event.sessions.rows_lost, 'row')} gone`),
        red(`uploads   ${count(event.uploads.files_lost, 'file')} gone`),
      ];
    case 'restore':
      return restoreLines(event);
    case 'proof':
      return [...proofTable(event, colour), verdict(event, colour)];
    case 'wal_stream':
      return [`from ${event.lsn} on, and the slot ${event.slot} keeps what is not stored yet`];
    case 'cluster_backup': {
      const { source, bytes_read, bytes_added } = event.backup;
      const stored = bold(`${bytes(bytes_added)} stored`);
      return [
        `${source.padEnd(9)} ${bytes(bytes_read)} read, ${stored}`,
        `in ${duration(event.duration_ms)}; all databases, page by page`,
      ];
    }
    case 'orders':
      return [
        `${count(event.orders, 'order')}, each acknowledged when it was in the repository as well`,
        `kept outside: ${event.list}, from ${timeOf(event.first_at)} to ${timeOf(event.last_at)}`,
      ];
    case 'drop':
      return [
        red(`${count(event.tables_lost, 'table')} with ${count(event.rows_lost, 'row')} gone`),
        `the moment before was ${event.at}`,
      ];
    case 'recovery':
      return recoveryLines(event);
    case 'cluster_proof':
      return [...clusterProofTable(event, colour), verdict(event, colour)];
  }
}

function tablesAndRows({ tables, rows }: { readonly tables: number; readonly rows: number }): string {
  return `${count(tables, 'table')}, ${count(rows, 'row')}`;
}

function tree({ files, directories, links }: Omit<StepResults['shop']['uploads'], 'bytes'>): string {
  return `${count(files, 'file')}, ${count(directories, 'directory', 'directories')}, ${count(links, 'link')}`;
}

/** `stress` is for what counts. */
function backupLines(
  event: Extract<StepDone, { rows_uncommitted: number }>,
  stress: (text: string) => string,
): string[] {
  return [
    ...event.backups.map(({ source, bytes_read, bytes_added }) => {
      const stored = stress(`${bytes(bytes_added)} stored`);
      return `${source.padEnd(9)} ${bytes(bytes_read)} read, ${stored}`;
    }),
    `in ${duration(event.duration_ms)}; meanwhile ${count(event.rows_uncommitted, 'row')} went into sessions.db, ` +
      'none of them committed',
  ];
}

function restoreLines({ shop, sessions, uploads }: StepResults['restore']): string[] {
  const took = ({ duration_ms }: { readonly duration_ms: number }): string => `in ${duration(duration_ms)}`;
  const kept = ({ replaced }: { readonly replaced: string | null }): string[] =>
    replaced === null ? [] : [`          the broken one is now ${replaced}`];
  return [
    `shop      ${tablesAndRows(shop)} ${took(shop)}`,
    ...kept(shop),
    `sessions  ${bytes(sessions.bytes)} ${took(sessions)}`,
    ...kept(sessions),
    `uploads   ${tree(uploads)} ${took(uploads)}`,
  ];
}

function recoveryLines(event: StepResults['recovery']): string[] {
  const { files, timeline, last_lsn: lsn, port } = event;
  const reached = [lsn === null ? [] : [`to ${lsn}`], timeline === null ? [] : [`on timeline ${timeline}`]];
  return [
    `${bytes(event.bytes)} in ${count(files, 'file')} and the WAL behind them, in ${duration(event.duration_ms)}`,
    `its server has recovered ${[...reached.flat(), `and runs on port ${port}`].join(', ')}`,
  ];
}

/** `21:30:15.123`, of a time as JSON has it. */
function timeOf(iso: string): string {
  return iso.slice(11, 23);
}

interface Judged {
  readonly comparisons: number;
  readonly equal: number;
}

function verdict({ comparisons, equal }: Judged, colour: boolean): string {
  const { green, red } = painter(colour);
  return equal === comparisons
    ? green(`✓ all ${comparisons} comparisons hold`)
    : red(`✗ ${comparisons - equal} of ${comparisons} comparisons do not hold`);
}

function clusterProofTable(
  { list, dropped, others }: StepResults['cluster_proof'],
  colour: boolean,
): string[] {
  const lines = [
    { name: 'orders.list', rows: list.orders, fingerprint: list.fingerprint, equal: list.equal },
    dropped,
    { ...others, name: `the ${others.tables} other tables` },
  ];
  return judgedTable(['before the drop', 'rows', 'fingerprint'], lines.map(tableLine), colour);
}

interface JudgedLine {
  readonly cells: readonly string[];
  readonly equal: boolean;
}

function tableLine({ name, rows, fingerprint, equal }: ProvenTable): JudgedLine {
  return { cells: [name, rows.toLocaleString('en'), fingerprint], equal };
}

function proofTable(proof: StepResults['proof'], colour: boolean): string[] {
  const { tables, sequences, dump, sessions, uploads } = proof;
  const { schema, integrity } = sessions;
  const lines = [
    ...tables.map(tableLine),
    { cells: ['last values of sequences', String(sequences.count)], equal: sequences.equal },
    { cells: ['pg_dump --create', bytes(dump.bytes)], equal: dump.equal },
    ...sessions.tables.map((table) => tableLine({ ...table, name: `sessions.db: ${table.name}` })),
    { cells: ['sessions.db: definitions', '', schema.fingerprint], equal: schema.equal },
    { cells: ['sessions.db: integrity_check', integrity.before], equal: integrity.equal },
    {
      cells: ['uploads: all that is in it', String(uploads.paths), uploads.fingerprint],
      equal: uploads.equal,
    },
  ];
  return judgedTable(['before the disaster', 'rows', 'fingerprint'], lines, colour);
}

function judgedTable(header: readonly string[], lines: readonly JudgedLine[], colour: boolean): string[] {
  const { dim, green, red } = painter(colour);
  const width = (column: number): number =>
    Math.max(...[header, ...lines.map(({ cells }) => cells)].map((cells) => cells[column]?.length ?? 0));
  const line = ([name = '', rows = '', fingerprint = '']: readonly string[]): string =>
    `${name.padEnd(width(0))}  ${rows.padStart(width(1))}  ${fingerprint.padEnd(width(2))}`;
  return [
    dim(`${line(header)}  now`),
    ...lines.map(({ cells, equal }) => `${line(cells)}  ${equal ? green('equal') : red('DIFFERENT')}`),
  ];
}

/** The last words. */
export function demoEnding({ ok, comparisons, duration_ms, kept }: DemoResult, colour: boolean): string {
  const { bold, red } = painter(colour);
  const verdict = ok
    ? bold(`What came back is what was there. The demo took ${duration(duration_ms)}.`)
    : comparisons
        .filter(({ equal }) => !equal)
        .map((one) => red(difference(one)))
        .join('\n');
  const left =
    kept === null
      ? 'Servers and files are removed; holdfast demo --keep leaves them for playing.\n'
      : `\n${howToPlay(kept)}`;
  return `${ok ? '\n' : ''}${verdict}\n${left}`;
}

function difference({ what, name, before, after }: Comparison): string {
  return `   ${what} of ${name}:\n     ${before ?? 'missing'} before\n     ${after ?? 'missing'} now`;
}

/** `1 table`, `150,000 rows`. */
function count(number: number, word: string, plural = `${word}s`): string {
  return `${number.toLocaleString('en')} ${number === 1 ? word : plural}`;
}

function painter(colour: boolean) {
  const paint =
    (style: 'bold' | 'dim' | 'cyan' | 'red' | 'green') =>
    (text: string): string =>
      colour ? styleText(style, text, { validateStream: false }) : text;
  return {
    bold: paint('bold'),
    dim: paint('dim'),
    cyan: paint('cyan'),
    red: paint('red'),
    green: paint('green'),
  };
}
