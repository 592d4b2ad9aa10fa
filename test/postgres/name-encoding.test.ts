import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { startPostgres, type PostgresServer } from '../../testing/postgres-server.ts';
import { failing, plan, restore, takeBackup } from './support.ts';

describe('a database of encoding SQL_ASCII', () => {
  let server: PostgresServer;
  before(async () => {
    server = await startPostgres();
    await server.psql(
      `CREATE DATABASE ascii ENCODING 'SQL_ASCII' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0`,
    );
  });
  after(() => server[Symbol.asyncDispose]());
  /** Runs SQL with a name of one byte that is `ä` in LATIN1 and no UTF-8. */
  const withByte = async (before: string, after: string): Promise<string> =>
    await server.psql(
      `DO $$ BEGIN EXECUTE pg_catalog.convert_from('\\x${Buffer.from(`${before}`).toString('hex')}e4${Buffer.from(after).toString('hex')}', 'SQL_ASCII'); END $$`,
      'ascii',
    );

  it('comes back with names and values that are UTF-8, and values that are not', async () => {
    await server.psql(`CREATE TABLE "tä" (a text)`, 'ascii');
    await withByte(`INSERT INTO "tä" VALUES ('`, `')`);
    const { checked } = await restore(await takeBackup(server.url('ascii')), server.url('ascii_again'));
    assert.equal(checked, 1);
  });

  for (const [kind, make, rest, undo] of [
    ['table', 'CREATE TABLE "t', '" ()', 'DROP TABLE "t'],
    ['column', 'CREATE TABLE t ("', '" integer)', 'DROP TABLE t --'],
    ['role', 'CREATE ROLE "r', '"', 'DROP ROLE "r'],
  ] as const) {
    it(`is refused at backup for a ${kind} whose name is not UTF-8`, async () => {
      await withByte(make, rest);
      await assert.rejects(
        takeBackup(server.url('ascii')),
        failing('postgres_name_encoding', ({ message }) => assert.match(message, new RegExp(`${kind}.*ä`))),
      );
      await withByte(undo, '"');
    });
  }
});

describe('a database that takes no connections', () => {
  it('is told with what opens it again', async () => {
    await using server = await startPostgres();
    await server.psql('CREATE DATABASE good');
    const taken = await takeBackup(server.url('good'));
    await server.psql('CREATE DATABASE closed ALLOW_CONNECTIONS false');
    const told = failing('postgres_not_accepting', ({ hint }) =>
      assert.match(hint, /ALTER DATABASE "closed" ALLOW_CONNECTIONS true/),
    );
    await assert.rejects(takeBackup(server.url('closed')), told);
    await assert.rejects(plan(taken, server.url('closed')), told);
  });
});

describe('a restore whose temporary directory cannot be used', () => {
  it('says so with a code, and makes nothing', async () => {
    await using server = await startPostgres();
    await server.psql('CREATE DATABASE good');
    const taken = await takeBackup(server.url('good'));
    await assert.rejects(
      restore(taken, server.url('new'), { temporaryDirectory: '/nowhere/at all' }),
      failing('postgres_restore_temporary', ({ message }) => assert.match(message, /\/nowhere\/at all/)),
    );
  });
});
