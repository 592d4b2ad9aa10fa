import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { startPostgres } from '../../testing/postgres-server.ts';
import { tempDirectory } from '../../testing/temp.ts';
import { runProgram } from './run-example.ts';

test('a program that uses the SDK ends by itself, with nothing of its process changed and nothing printed', async () => {
  await using server = await startPostgres();
  await server.psql('CREATE DATABASE shop');
  await server.psql('CREATE TABLE orders AS SELECT generate_series(1, 1000) AS id', 'shop');
  await using directory = await tempDirectory();
  const guest = join(import.meta.dirname, 'children/guest.ts');
  const { stdout, stderr } = await runProgram(guest, [server.url('shop'), server.url('copy')], {
    cwd: directory.path,
    env: {},
  });
  assert.equal(stderr, '');
  const lines = stdout.split('\n');
  assert.equal(lines.length, 2, stdout);
  const { before, after, warnings } = JSON.parse(lines[0] ?? '') as Record<string, unknown>;
  assert.deepEqual(after, before);
  assert.deepEqual(warnings, []);
});
