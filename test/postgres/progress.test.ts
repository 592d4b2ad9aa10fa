import assert from 'node:assert/strict';
import { test } from 'node:test';
import { startPostgres } from '../../testing/postgres-server.ts';
import { takeBackup } from './support.ts';

test('the total of a backup is that of its tables, and never less than what was read', async () => {
  await using server = await startPostgres();
  await server.psql('CREATE DATABASE indexed');
  await server.psql(
    `CREATE TABLE t AS SELECT g AS id, md5(g::text) AS a, md5(g::text || 'b') AS b FROM generate_series(1, 50000) g;
     CREATE INDEX ON t (a); CREATE INDEX ON t (b); CREATE INDEX ON t (a, b); CREATE INDEX ON t (b, a);
     CREATE MATERIALIZED VIEW v AS SELECT * FROM t`,
    'indexed',
  );
  const tableBytes = Number(await server.psql(`SELECT pg_table_size('t')`, 'indexed'));
  const { memory } = await takeBackup(server.url('indexed'));
  assert.ok(memory.bytesTotal >= tableBytes && memory.bytesTotal < 1.1 * tableBytes, `${memory.bytesTotal}`);

  await server.psql('CREATE DATABASE packed');
  await server.psql(
    `CREATE TABLE t AS SELECT repeat('x', 3000000) AS text FROM generate_series(1, 3)`,
    'packed',
  );
  const both = await takeBackup(server.url(), { databases: ['indexed', 'packed'] }, { jobs: 2 });
  assert.ok(both.memory.bytesRead > 9_000_000 && !both.memory.outran);
  assert.ok(both.memory.bytesTotal >= both.memory.bytesRead);
});
