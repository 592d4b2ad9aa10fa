import { hash } from 'node:crypto';
import { statSync } from 'node:fs';
import { DatabaseSync, type SQLOutputValue } from 'node:sqlite';
import type { TableContent } from './portrait.ts';

/** What a SQLite database holds, told by SQLite itself: nothing of Holdfast is asked. */
export interface SqlitePortrait {
  readonly tables: ReadonlyMap<string, TableContent>;
  /** Fingerprint of all definitions, and of what an application has noted in the header. */
  readonly schema: string;
  /** What `PRAGMA integrity_check` says: `ok`. */
  readonly integrity: string;
  /** Of the file, in bytes. */
  readonly size: number;
}

export function takeSqlitePortrait(file: string): SqlitePortrait {
  using database = new DatabaseSync(file, { readOnly: true });
  const all = (sql: string): SQLOutputValue[][] => {
    const statement = database.prepare(sql);
    statement.setReturnArrays(true);
    return statement.all() as unknown as SQLOutputValue[][];
  };
  // One transaction, so that all tables are read at the same moment.
  database.exec('BEGIN');
  const names = all(`SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY 1`).map(([name]) =>
    String(name),
  );
  const definitions = all('SELECT type, name, tbl_name, sql FROM sqlite_schema ORDER BY 1, 2');
  const noted = ['user_version', 'application_id', 'encoding', 'journal_mode'].flatMap((name) =>
    all(`PRAGMA ${name}`),
  );
  return {
    tables: new Map(names.map((name) => [name, readTable(database, name)])),
    schema: hash('sha256', JSON.stringify([definitions, noted])).slice(0, 16),
    integrity: all('PRAGMA integrity_check').flat().join('; '),
    size: statSync(file).size,
  };
}

/** The sum of the hashes of its rows does not depend on their order. */
function readTable(database: DatabaseSync, name: string): TableContent {
  const statement = database.prepare(`SELECT * FROM "${name.replaceAll('"', '""')}"`);
  statement.setReturnArrays(true);
  statement.setReadBigInts(true);
  let rows = 0;
  let sum = 0n;
  for (const row of statement.iterate() as unknown as Iterable<SQLOutputValue[]>) {
    rows += 1;
    const values = row.map(exactly).join('\0');
    sum = (sum + hash('sha256', values, 'buffer').readBigUInt64LE()) & mask;
  }
  return { rows, fingerprint: sum.toString(16).padStart(16, '0') };
}

const mask = 2n ** 64n - 1n;

/** Different for different values and types. A zero byte, which separates them, is nowhere in it. */
function exactly(value: SQLOutputValue): string {
  if (value instanceof Uint8Array) return `blob ${Buffer.from(value).toString('hex')}`;
  return typeof value === 'string' ? `text ${JSON.stringify(value)}` : `${typeof value} ${value}`;
}
