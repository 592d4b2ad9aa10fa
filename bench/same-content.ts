import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import type { PostgresServer } from '../testing/postgres-server.ts';
import { outputOf } from './machine.ts';
import { tableKeys } from './postgres-data.ts';

/** `rows md5` of each table, its rows in the order of the key, and the definitions as pg_dump writes them. */
export interface Content {
  readonly tables: Readonly<Record<string, string>>;
  readonly schema: string;
}

/** Reads every row of every table by COPY. `env`: connection and PATH. */
export async function contentOf(database: string, env: NodeJS.ProcessEnv): Promise<Content> {
  const schema = await outputOf('pg_dump', ['--schema-only', '--dbname', database], env);
  if (schema === undefined) throw new Error(`pg_dump --schema-only of ${database} failed`);
  const tables: Record<string, string> = {};
  for (const [table, key] of Object.entries(tableKeys))
    tables[table] = await tableContent(database, table, key, env);
  // The token of \restrict is another one each time.
  return { tables, schema: schema.replace(/^\\(?:un)?restrict .*$/gm, '') };
}

async function tableContent(
  database: string,
  table: string,
  key: string,
  env: NodeJS.ProcessEnv,
): Promise<string> {
  const copy = `COPY (SELECT * FROM ${table} ORDER BY ${key}) TO STDOUT`;
  const child = spawn('psql', ['--no-psqlrc', '--quiet', '--dbname', database, '--command', copy], {
    env,
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const ended = new Promise<number | null>((resolve, reject) => {
    child.on('error', reject);
    child.on('close', resolve);
  });
  const md5 = createHash('md5');
  let rows = 0;
  for await (const piece of child.stdout as AsyncIterable<Buffer>) {
    md5.update(piece);
    // COPY escapes line feeds inside values, so each one ends a row.
    for (let at = piece.indexOf(10); at !== -1; at = piece.indexOf(10, at + 1)) rows += 1;
  }
  if ((await ended) !== 0) throw new Error(`psql could not read ${table} of ${database}`);
  return `${rows} rows, md5 ${md5.digest('hex')}`;
}

/** Throws unless both are equal: a time is believed only for a result that is right. */
export function expectSame(expected: Content, actual: Content, whose: string): void {
  for (const [table, content] of Object.entries(expected.tables)) {
    if (actual.tables[table] !== content) {
      throw new Error(`${whose} restored ${table} wrongly: ${actual.tables[table]}, expected ${content}`);
    }
  }
  if (actual.schema !== expected.schema)
    throw new Error(`${whose} restored other definitions than there were`);
}

/** Unmeasured care between two measurements: nobody pays for what another left to write. */
export async function settle(server: PostgresServer): Promise<void> {
  await server.psql('CHECKPOINT');
  await outputOf('sync', []);
}
