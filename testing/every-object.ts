import { readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { PostgresServer } from './postgres-server.ts';

/** An extension in the server's directory of extensions; removed by `await using`. */
export interface TestExtension extends AsyncDisposable {
  readonly name: string;
}

/**
 * Makes an extension with a configuration table `conf (k, v)` known to the server, with one row of its own that a dump
 * leaves out. No extension that comes with PostgreSQL has such a table.
 */
export async function installExtension(server: PostgresServer): Promise<TestExtension> {
  const share =
    server.origin === 'system'
      ? `/usr/share/postgresql/${server.major}`
      : join(server.binDirectory, '..', 'share', 'postgresql');
  const name = `holdfast_test_${process.pid}`;
  const [control, script] = ['.control', '--1.0.sql'].map((end) => join(share, 'extension', name + end)) as [
    string,
    string,
  ];
  await writeFile(control, `default_version = '1.0'\nrelocatable = true\n`);
  await writeFile(
    script,
    `CREATE TABLE conf (k text, v text);
     INSERT INTO conf VALUES ('built in', '1');
     SELECT pg_catalog.pg_extension_config_dump('conf', 'WHERE k <> ''built in''');`,
  );
  return {
    name,
    [Symbol.asyncDispose]: async () => {
      await Promise.all([control, script].map((file) => rm(file, { force: true })));
    },
  };
}

export async function everyObjectSql(): Promise<string> {
  return await readFile(new URL('./every-object.sql', import.meta.url), 'utf8');
}

/** A database with every kind of object, the extension among them, and `rows` rows in `app.big`. */
export async function makeEveryObject(
  server: PostgresServer,
  database: string,
  extension: TestExtension,
  rows: number,
): Promise<void> {
  await server.psql(`CREATE DATABASE ${database}`);
  await server.psql(await everyObjectSql(), database);
  await server.psql(
    `CREATE EXTENSION ${extension.name} SCHEMA ext;
     INSERT INTO ext.conf VALUES ('mine', '2'), ('', NULL)`,
    database,
  );
  await server.psql(
    `CREATE TABLE app.big (id bigint PRIMARY KEY, at timestamptz NOT NULL, amount numeric(12, 2), body text);
     INSERT INTO app.big
       SELECT i, '2020-01-01Z'::timestamptz + i * interval '7 s', i % 1000000 / 100.0, CASE WHEN i % 1000 > 0 THEN md5(i::text) || ' ' || i END
         FROM generate_series(1, ${rows}) i;
     CREATE INDEX ON app.big (at)`,
    database,
  );
}
