import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { checkPostgres } from '../../src/sources/postgres-logical/check.ts';
import { connectionFromUrl } from '../../src/postgres/connection/connection.ts';
import { quoteIdentifier, quoteLiteral } from '../../src/postgres/names.ts';
import { dumpText } from '../../testing/pg-dump.ts';
import { startPostgres, type PostgresServer } from '../../testing/postgres-server.ts';
import { env, restore, takeBackup } from './support.ts';

/** Each would be read as something else by whoever puts names into URLs, connection strings or SQL unquoted. */
const names = [
  `a b?c/d%3F'"=é`,
  String.raw`back\slash 'quo\'te`,
  'postgres://other@h/x',
  'dbname=x host=y',
  '-d --help',
];
const user = `o'd "user" = %40@:/?é`;
const password = `p'w"d =?/:@%3F\\é`;

describe('names with characters that mean something elsewhere', () => {
  let server: PostgresServer;
  before(async () => {
    server = await startPostgres();
    await server.psql(
      `CREATE ROLE ${quoteIdentifier(user)} LOGIN SUPERUSER PASSWORD ${quoteLiteral(password)}`,
    );
  });
  after(() => server[Symbol.asyncDispose]());
  const url = (database: string) => server.url(database, user, password);

  for (const name of names) {
    it(`database ${name} is backed up, and restored under that name and others`, async () => {
      await server.psql(`CREATE DATABASE ${quoteIdentifier(name)}`);
      await server.psql(
        `CREATE SCHEMA "s""=?'"; CREATE TABLE "s""=?'"."t.a*b?%3F" AS SELECT generate_series(1, 3000) AS "c""=";
         CREATE TABLE small AS SELECT 'x' AS a; SELECT lo_from_bytea(0, 'large')`,
        name,
      );
      // Several pg_dump, pg_dumpall, then pg_restore and psql: each is told the name in its own way.
      const taken = await takeBackup(
        url(name),
        { globals: true, bigTableBytes: 8192, smallDatabaseBytes: 0 },
        { jobs: 2 },
      );
      assert.equal(taken.metadata.databases[0]?.archives.length, 2);
      assert.deepEqual([taken.metadata.databases[0]?.name, taken.warnings], [name, []]);
      const dumped = await dumpText(server, 'pg_dump', name);
      const again = `${name} again`;
      const created = await restore(taken, url(again), { globals: true }, { jobs: 2 });
      assert.deepEqual([created.mode, created.database, created.checked], ['create', again, 3]);
      assert.deepEqual(await dumpText(server, 'pg_dump', again), dumped);
      const replaced = await restore(taken, url(name), { force: true }, { jobs: 2 });
      assert.equal(replaced.mode, 'replace');
      await server.psql(`CREATE DATABASE ${quoteIdentifier(`${name} filled`)} TEMPLATE template0`);
      assert.equal((await restore(taken, url(`${name} filled`))).mode, 'fill');
      assert.deepEqual(await dumpText(server, 'pg_dump', `${name} filled`), dumped);
    });
  }

  it('doctor finds nothing wrong with them', async () => {
    const [name = ''] = names;
    const connection = connectionFromUrl(url(name), {});
    const findings = await checkPostgres({ connection, env }, new AbortController().signal);
    assert.deepEqual(
      findings.filter(({ level }) => level !== 'ok'),
      [],
    );
  });
});
