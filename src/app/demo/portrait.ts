import { failure } from '../../kernel/errors/failure.ts';
import type { LocalServer } from '../local-postgres/server.ts';
import { digestDump, type DumpDigest } from './dump-digest.ts';
import type { Stage } from './stage.ts';

/** What a database holds, told by its own server and by `pg_dump`: nothing of Holdfast is asked. */
export interface Portrait extends Inventory {
  readonly dump: DumpDigest;
}

export interface Inventory {
  /** By `schema.table`. */
  readonly tables: ReadonlyMap<string, TableContent>;
  /** `schema.sequence` to the last value it gave. */
  readonly sequences: ReadonlyMap<string, string>;
}

export interface TableContent {
  readonly rows: number;
  /** Of the rows as a set. */
  readonly fingerprint: string;
}

export async function takePortrait(stage: Stage, signal: AbortSignal): Promise<Portrait> {
  const { server, tools, machine, variables } = stage;
  const { hostname, port, username, pathname } = new URL(stage.url);
  const env = {
    PATH: machine.env['PATH'],
    LC_ALL: 'C',
    PGHOST: hostname,
    PGPORT: port,
    PGUSER: username,
    PGDATABASE: pathname.slice(1),
    PGPASSWORD: variables['PGPASSWORD'],
  };
  const [inventory, dump] = await Promise.all([takeInventory(server), digestDump(tools.pgDump, env, signal)]);
  return { ...inventory, dump };
}

const own = `n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast')`;

// Partitioned tables are read through their partitions.
const listTables = `
  SELECT quote_ident(n.nspname) || '.' || quote_ident(c.relname)
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
   WHERE c.relkind = 'r' AND ${own}
   ORDER BY 1`;

const listSequences = `
  SELECT schemaname || '.' || sequencename, coalesce(last_value::text, 'unused') FROM pg_sequences ORDER BY 1`;

export async function takeInventory(server: Pick<LocalServer, 'psql'>): Promise<Inventory> {
  const rows = async (sql: string): Promise<string[][]> => {
    const text = await server.psql(sql, 'shop');
    return text === '' ? [] : text.split('\n').map((line) => line.split('|'));
  };
  const names = (await rows(listTables)).flat();
  if (names.length === 0) throw failure('internal', { reason: 'the shop of the demo has no tables' });
  // One statement, so that all tables are read at the same moment.
  const tables = await rows(`${names.map(readTable).join('\nUNION ALL ')} ORDER BY 1`);
  return {
    tables: new Map(
      tables.map(([name = '', count = '', fingerprint = '']) => [name, { rows: Number(count), fingerprint }]),
    ),
    sequences: new Map((await rows(listSequences)).map(([name = '', value = '']) => [name, value])),
  };
}

/** The sum of the hashes of its rows does not depend on their order. */
function readTable(name: string): string {
  const sum = 'coalesce(sum(hashtextextended(t::text, 0)::numeric), 0)';
  return `SELECT '${name.replaceAll("'", "''")}', count(*), left(md5(${sum}::text), 16) FROM ${name} t`;
}

export function totalRows({ tables }: Pick<Inventory, 'tables'>): number {
  return tables.values().reduce((sum, { rows }) => sum + rows, 0);
}
