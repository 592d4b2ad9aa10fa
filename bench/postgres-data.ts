import { startPostgres, type PostgresServer } from '../testing/postgres-server.ts';
import { cities, familyNames, givenNames, streets, vocabulary } from './words.ts';

/** Of the database with the default numbers of rows, on disk, in 10^9 bytes; what `--size` is a multiple of. */
const fullGigabytes = 2.6;
const seed = 20_261_120;

export interface RowCounts {
  readonly pgbench_branches: number;
  readonly pgbench_tellers: number;
  readonly pgbench_accounts: number;
  readonly customers: number;
  readonly messages: number;
  readonly documents: number;
}

/** pgbench at scale 100, 1 M customers, 2 M messages and 20,000 documents make `fullGigabytes`; others in proportion. */
export function rowsFor(gigabytes: number): RowCounts {
  const share = (count: number): number => Math.max(1, Math.round((count * gigabytes) / fullGigabytes));
  return {
    pgbench_branches: share(100),
    pgbench_tellers: share(1000),
    pgbench_accounts: share(10_000_000),
    customers: share(1_000_000),
    messages: share(2_000_000),
    documents: share(20_000),
  };
}

/** Every table, with the key that orders it. */
export const tableKeys = {
  pgbench_branches: 'bid',
  pgbench_tellers: 'tid',
  pgbench_accounts: 'aid',
  customers: 'id',
  messages: 'id',
  documents: 'id',
} as const;

export const serverSettings: Readonly<Record<string, string>> = {
  shared_buffers: '512MB',
  maintenance_work_mem: '256MB',
  max_wal_size: '8GB',
  checkpoint_timeout: '1h',
  fsync: 'off',
  // Its work would fall on whoever happens to run at that moment.
  autovacuum: 'off',
};

/** The system's PostgreSQL 15 with data checksums. */
export async function startBenchServer(more: Readonly<Record<string, string>> = {}): Promise<PostgresServer> {
  const settings = { ...serverSettings, ...more };
  return await startPostgres({ major: 'system', settings, initdbArgs: ['--data-checksums'] });
}

/** A number from 0 to 2^63 - 1 that depends on the row, the salt and the seed only, whatever plan the server takes. */
function hash(row: string, salt: number): string {
  return `(hashint8extended((${row})::bigint, ${seed + salt}) & 9223372036854775807)`;
}

/** `name` has a fixed width, so an element is found at once, where `text` would be walked to from the start. */
function pick(list: readonly string[], row: string, salt: number): string {
  return `('{${list.join(',')}}'::name[])[1 + ${hash(row, salt)} % ${list.length}]`;
}

/** The product of two even numbers favours the first words of the list, as language does. */
function word(row: string, salt: number): string {
  const index = `((${hash(row, salt)} & 255) * ((${hash(row, salt)} >> 8) & 255)) >> 8`;
  return `('{${vocabulary.join(',')}}'::name[])[1 + (${index})]`;
}

function instant(row: string, salt: number): string {
  return `timestamptz '2021-01-01 00:00:00Z' + make_interval(secs => ${hash(row, salt)} % 150000000)`;
}

/** Each gives the columns of rows `from` to `to`; `customers` is how many there are to point to. */
const selects = {
  pgbench_branches: (from: number, to: number) =>
    `SELECT i, 0, NULL::char(88) FROM generate_series(${from}, ${to}) i`,
  pgbench_tellers: (from: number, to: number) =>
    `SELECT i, (i - 1) / 10 + 1, 0, NULL::char(84) FROM generate_series(${from}, ${to}) i`,
  pgbench_accounts: (from: number, to: number) =>
    `SELECT i, (i - 1) / 100000 + 1, 0, '' FROM generate_series(${from}, ${to}) i`,
  customers: (from: number, to: number) => `
    SELECT i, given || ' ' || family, lower(given || '.' || family) || i || '@example.org', ${instant('i', 3)},
      jsonb_build_object(
        'city', ${pick(cities, 'i', 4)}, 'plan', ${pick(['free', 'basic', 'team', 'enterprise'], 'i', 5)},
        'phone', '+' || (30 + ${hash('i', 6)} % 60) || ' ' || (100000000 + ${hash('i', 7)} % 899999999),
        'address', jsonb_build_object('street', ${pick(streets, 'i', 8)} || ' Street', 'number', ${hash('i', 9)} % 200,
          'postcode', lpad((${hash('i', 10)} % 100000)::text, 5, '0')),
        'preferences', jsonb_build_object('newsletter', ${hash('i', 11)} % 3 = 0, 'language',
          ${pick(['en', 'de', 'fr', 'es', 'pl', 'cs'], 'i', 12)}, 'theme', ${pick(['light', 'dark'], 'i', 13)}),
        'tags', jsonb_build_array(${word('i', 14)}, ${word('i', 15)}, ${word('i', 16)}),
        'spent', round((${hash('i', 17)} % 1000000) / 100.0, 2), 'visits', ${hash('i', 18)} % 500)
    FROM generate_series(${from}, ${to}) i,
      LATERAL (SELECT ${pick(givenNames, 'i', 1)}::text AS given, ${pick(familyNames, 'i', 2)}::text AS family) n`,
  messages: (from: number, to: number, customers: number) => `
    SELECT i, 1 + ${hash('i', 20)} % ${customers}, ${instant('i', 21)}, ${pick(['email', 'chat', 'phone', 'web'], 'i', 22)},
      'Re: order ' || (100000 + ${hash('i', 23)} % 900000),
      (SELECT string_agg(${word('i * 64 + w', 24)}, ' ') FROM generate_series(1, 8 + (${hash('i', 25)} % 44)::int) w)
    FROM generate_series(${from}, ${to}) i`,
  documents: (from: number, to: number) => `
    SELECT i, ${word('i', 30)} || '-' || i || '.pdf', ${instant('i', 31)},
      (SELECT string_agg(sha512(int8send(${hash('i * 128 + b', 32)})), ''::bytea) FROM generate_series(1, 128) b)
    FROM generate_series(${from}, ${to}) i`,
};

const tables = `
  CREATE TABLE pgbench_branches (bid int NOT NULL, bbalance int, filler char(88));
  CREATE TABLE pgbench_tellers (tid int NOT NULL, bid int, tbalance int, filler char(84));
  CREATE TABLE pgbench_accounts (aid int NOT NULL, bid int, abalance int, filler char(84));
  CREATE TABLE customers (id int NOT NULL, name text NOT NULL, email text NOT NULL, created_at timestamptz NOT NULL,
    profile jsonb NOT NULL);
  CREATE TABLE messages (id int NOT NULL, customer_id int NOT NULL, sent_at timestamptz NOT NULL, channel text NOT NULL,
    subject text NOT NULL, body text NOT NULL);
  CREATE TABLE documents (id int NOT NULL, name text NOT NULL, created_at timestamptz NOT NULL, content bytea NOT NULL);
  ALTER TABLE documents ALTER COLUMN content SET STORAGE EXTERNAL;`;

const constraints = `
  ALTER TABLE customers ADD UNIQUE (email);
  CREATE INDEX ON messages (customer_id);
  ALTER TABLE messages ADD FOREIGN KEY (customer_id) REFERENCES customers;`;

/** Creates the database and fills it: always the same rows, in the same places, for the same size. */
export async function createData(
  server: PostgresServer,
  database: string,
  gigabytes: number,
): Promise<RowCounts> {
  const rows = rowsFor(gigabytes);
  await server.psql(`CREATE DATABASE ${database}`);
  await server.psql(tables, database);
  const fill = async (table: keyof RowCounts): Promise<void> => {
    await server.psql(`INSERT INTO ${table} ${selects[table](1, rows[table], rows.customers)}`, database);
    await server.psql(`ALTER TABLE ${table} ADD PRIMARY KEY (${tableKeys[table]})`, database);
  };
  const small = async (): Promise<void> => {
    for (const table of [
      'pgbench_branches',
      'pgbench_tellers',
      'pgbench_accounts',
      'customers',
      'documents',
    ] as const) {
      await fill(table);
    }
  };
  await Promise.all([small(), fill('messages')]);
  await server.psql(constraints, database);
  await server.psql('VACUUM (FREEZE, ANALYZE)', database);
  await server.psql('CHECKPOINT');
  return rows;
}

/** `rows`: every row of the big tables is as likely to change; `tables`: each big table gets the same number of changes. */
export type Scatter = 'rows' | 'tables';

/** Changes `count` rows at random places of the four big tables. `round` picks other rows each time. */
export async function updateScattered(
  server: PostgresServer,
  database: string,
  rows: RowCounts,
  changes: { readonly count: number; readonly spread: Scatter; readonly round: number },
): Promise<void> {
  const { count, spread, round } = changes;
  const assignments = {
    pgbench_accounts: 'abalance = abalance + 1',
    customers: `profile = jsonb_set(profile, '{visits}', to_jsonb(1000 + ${round}))`,
    messages: `body = body || ' (edited)'`,
    documents: `content = substr(content, 1, 4096) || sha512(content) || substr(content, 4161)`,
  } as const;
  const names = Object.keys(assignments) as (keyof typeof assignments)[];
  const all = names.reduce((sum, table) => sum + rows[table], 0);
  const statements = names.map((table, index) => {
    const part = Math.ceil(spread === 'tables' ? count / names.length : (count * rows[table]) / all);
    // Four times as many, so that enough are left when the same row is picked twice.
    const picked = `1 + ${hash('n', 40 + round * 10 + index)} % ${rows[table]}`;
    const chosen = `SELECT id FROM (SELECT ${picked} AS id, min(n) AS turn FROM generate_series(1, ${part * 4}) n
      GROUP BY 1 ORDER BY 2 LIMIT ${part}) c`;
    return `UPDATE ${table} SET ${assignments[table]} WHERE ${tableKeys[table]} IN (${chosen})`;
  });
  await server.psql(statements.join(';\n'), database);
  await server.psql('CHECKPOINT');
}

/** Adds `share` (0.01: one per cent) more rows to each of the big tables. */
export async function appendRows(
  server: PostgresServer,
  database: string,
  rows: RowCounts,
  share: number,
): Promise<void> {
  for (const table of ['pgbench_accounts', 'customers', 'messages', 'documents'] as const) {
    const last = Number(await server.psql(`SELECT max(${tableKeys[table]}) FROM ${table}`, database));
    const added = Math.max(1, Math.round(rows[table] * share));
    await server.psql(
      `INSERT INTO ${table} ${selects[table](last + 1, last + added, rows.customers)}`,
      database,
    );
  }
  await server.psql('CHECKPOINT');
}

export async function databaseBytes(server: PostgresServer, database: string): Promise<number> {
  return Number(await server.psql(`SELECT pg_database_size('${database}')`));
}
