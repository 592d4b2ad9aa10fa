import { styleText } from 'node:util';
import type { Comparison } from '../app/demo/compare.ts';
import type { DemoResult } from '../app/demo/demo.ts';
import { howToPlay } from '../app/demo/keep.ts';
import type { DemoEvent, StepDone, StepName, StepResults } from '../app/demo/story.ts';
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
};

/** What an event adds to the story. */
export function demoParagraph(event: DemoEvent, colour: boolean): string {
  const { bold, dim, cyan } = painter(colour);
  switch (event.type) {
    case 'demo':
      return `${bold('Holdfast demo')}\n${dim(`PostgreSQL ${event.postgres} on port ${event.port}, files in ${event.directory}`)}\n`;
    case 'step': {
      const number = Object.keys(titles).indexOf(event.step) + 1;
      const command = event.command === null ? '' : `   ${dim('$')} ${cyan(event.command)}\n`;
      const statements = event.sql.map((sql) => `   ${dim('shop=#')} ${cyan(sql)}\n`);
      return `\n${bold(`${number}  ${titles[event.step]}`)}\n${command}${statements.join('')}`;
    }
    case 'step_done': {
      const lines = outcome(event, colour);
      return lines.map((line) => `   ${line}\n`).join('');
    }
  }
}

function outcome(event: StepDone, colour: boolean): string[] {
  const { red, green, bold } = painter(colour);
  const took = `in ${duration(event.duration_ms)}`;
  switch (event.step) {
    case 'shop':
      return [`${count(event.tables, 'table')}, ${count(event.rows, 'row')}, ${bytes(event.size)}`];
    case 'init':
      return ['encrypted with a new key; the recovery kit says how to restore by hand'];
    case 'first_backup':
      return [`${bytes(event.backup.bytes_read)} read, ${bytes(event.backup.bytes_added)} stored, ${took}`];
    case 'business_day':
      return [`${count(event.orders, 'new order')}, ${count(event.rows_changed, 'row')} changed`];
    case 'second_backup': {
      const { bytes_read: read, bytes_added: added } = event.backup;
      const share = bold(`${bytes(added)} stored`);
      return [
        `${bytes(read)} read, ${share}, ${took}`,
        `${event.percent_of_first.toFixed(1)} % of the first one; each restores without the other`,
      ];
    }
    case 'disaster':
      return [
        red(`${count(event.tables_lost, 'table')} with ${count(event.rows_lost, 'row')} gone`),
        red(`${count(event.rows_overwritten, 'row')} overwritten`),
      ];
    case 'restore':
      return [
        `${count(event.tables, 'table')}, ${count(event.rows, 'row')} restored ${took}`,
        ...(event.replaced === null ? [] : [`the broken one is kept as ${event.replaced}`]),
      ];
    case 'proof':
      return [
        ...proofTable(event, colour),
        event.equal === event.comparisons
          ? green(`✓ all ${event.comparisons} comparisons hold`)
          : red(`✗ ${event.comparisons - event.equal} of ${event.comparisons} comparisons do not hold`),
      ];
  }
}

function proofTable({ tables, sequences, dump }: StepResults['proof'], colour: boolean): string[] {
  const { dim, green, red } = painter(colour);
  const lines = [
    ...tables.map(({ name, rows, fingerprint, equal }) => ({
      cells: [name, rows.toLocaleString('en'), fingerprint],
      equal,
    })),
    { cells: ['last values of sequences', String(sequences.count)], equal: sequences.equal },
    { cells: ['pg_dump --create', bytes(dump.bytes)], equal: dump.equal },
  ];
  const header = ['before the disaster', 'rows', 'fingerprint'];
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
        .map((one) => red(`   ${difference(one)}`))
        .join('\n');
  const left =
    kept === null
      ? 'Server and files are removed; holdfast demo --keep leaves them for playing.\n'
      : `\n${howToPlay(kept)}`;
  return `${ok ? '\n' : ''}${verdict}\n${left}`;
}

function difference({ what, name, before, after }: Comparison): string {
  return `${what} of ${name}: ${before ?? 'missing'} before, ${after ?? 'missing'} now`;
}

/** `1 table`, `150,000 rows`. */
function count(number: number, word: string): string {
  return `${number.toLocaleString('en')} ${word}${number === 1 ? '' : 's'}`;
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
