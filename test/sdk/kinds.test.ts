import assert from 'node:assert/strict';
import { linkSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { test } from 'node:test';
import { createBackup, initRepository, openRepository, restoreBackup } from '../../src/sdk/index.ts';
import { patternedBytes } from '../../testing/bytes.ts';
import { tempDirectory } from '../../testing/temp.ts';

async function place() {
  const directory = await tempDirectory();
  const at = (...names: string[]): string => join(directory.path, ...names);
  const options = {
    repository: at('backups'),
    passphrase: 'correct horse battery',
    cwd: directory.path,
    env: { PATH: process.env['PATH'], HOME: at('home') },
  };
  await initRepository({ ...options, recoveryKit: at('kit.md') });
  mkdirSync(at('data'));
  return { options, at, [Symbol.asyncDispose]: () => directory[Symbol.asyncDispose]() };
}

test('SQLite: results are of the kind of the backup, and a database can be read out of it', async () => {
  await using the = await place();
  using database = new DatabaseSync(the.at('data', 'agent.db'));
  database.exec('PRAGMA journal_mode = wal; CREATE TABLE memory (what TEXT)');
  database.exec("INSERT INTO memory VALUES ('a thought')");
  const source = { name: 'agents', type: 'sqlite', paths: ['data/*.db'], check: 'full' } as const;
  const { backups } = await createBackup({ ...the.options, source });
  assert.deepEqual(
    backups.map(({ kind, incomplete }) => [kind, incomplete]),
    [['sqlite', null]],
  );

  const { plan, restored } = await restoreBackup({ ...the.options, id: 'latest', to: './copies/' });
  assert.ok('kind' in plan && plan.kind === 'sqlite');
  assert.ok(restored !== null && 'databases' in restored);
  const [copy] = restored.databases;
  assert.equal(thoughts(copy?.file ?? ''), 'a thought');

  await using repository = await openRepository(the.options);
  const entries = await Array.fromAsync(repository.entries('latest'));
  const entry = entries.find(({ path }) => path.endsWith('agent.db'));
  assert.ok(entry !== undefined, JSON.stringify(entries));
  const read = the.at('read.db');
  writeFileSync(read, Buffer.concat(await Array.fromAsync(repository.read('latest', entry.path))));
  assert.equal(thoughts(read), 'a thought');
});

function thoughts(file: string): unknown {
  using database = new DatabaseSync(file);
  return database.prepare('SELECT what FROM memory').get()?.['what'];
}

test('files: what is read is what was there, by each of its names, also where it is long or empty', async () => {
  await using the = await place();
  const long = patternedBytes(6_000_000, 3);
  writeFileSync(the.at('data', 'long.bin'), long);
  writeFileSync(the.at('data', 'empty'), '');
  linkSync(the.at('data', 'long.bin'), the.at('data', 'other name'));
  const source = { name: 'data', type: 'files', paths: ['data'] } as const;
  await createBackup({ ...the.options, source });

  await using repository = await openRepository(the.options);
  const read = async (path: string): Promise<Buffer> =>
    Buffer.concat(await Array.fromAsync(repository.read('latest:data', path)));
  assert.ok((await read('long.bin')).equals(long));
  assert.ok((await read('other name')).equals(long));
  assert.equal((await read('empty')).length, 0);

  const { plan, restored } = await repository.restore({
    id: 'latest:data',
    to: './one',
    only: 'path=long.bin',
  });
  assert.ok('kind' in plan && plan.kind === 'files');
  assert.ok(restored !== null && 'files' in restored && restored.files === 1);
  assert.ok(readFileSync(the.at('one', 'long.bin')).equals(long));
});

test('files: pieces that are handed out are the caller’s own to change', async () => {
  await using the = await place();
  // The same chunks again and again, small enough to be read together.
  const expected = Buffer.concat(Array.from({ length: 60 }, () => patternedBytes(150_000, 5)));
  writeFileSync(the.at('data', 'again'), expected);
  await createBackup({ ...the.options, source: { name: 'data', type: 'files', paths: ['data'] } });
  await using repository = await openRepository(the.options);
  let bytes = 0;
  for await (const piece of repository.read('latest', 'again')) {
    assert.ok(expected.subarray(bytes, bytes + piece.length).equals(piece), `from byte ${bytes} on`);
    piece.fill(0);
    bytes += piece.length;
  }
  assert.equal(bytes, expected.length);
});
