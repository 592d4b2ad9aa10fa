import assert from 'node:assert/strict';
import { test } from 'node:test';
import { connectionOf, wantedDatabases } from '../../src/app/kinds/postgres-source.ts';
import { postgresSourceSchema as sourceSchema } from '../../src/contract/config-source-postgres.ts';

const fields = { type: 'postgres', host: 'h', user: 'backup' };

async function databaseOf(settings: Record<string, unknown>, env: Record<string, string> = {}) {
  return (await connectionOf('shop', sourceSchema.parse(settings), env)).database;
}

test('a list of databases needs none named as the role', async () => {
  assert.equal(await databaseOf({ ...fields, databases: ['*'] }), 'postgres');
  assert.equal(
    await databaseOf({ type: 'postgres', url: 'postgres://backup@h/', databases: ['a'] }),
    'postgres',
  );
  assert.equal(await databaseOf({ ...fields, databases: ['*'] }, { PGDATABASE: 'main' }), 'main');
  assert.equal(
    await databaseOf({ type: 'postgres', url: 'postgres://backup@h/here', databases: ['a'] }),
    'here',
  );
  assert.equal(await databaseOf(fields), 'backup');
});

test('a star among the databases means all of them', () => {
  const wanted = (databases: string[]) => wantedDatabases(sourceSchema.parse({ ...fields, databases }));
  assert.equal(wanted(['a', '*']), 'all');
  assert.deepEqual(wanted(['a', 'b']), ['a', 'b']);
});
