import assert from 'node:assert/strict';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { startPostgres } from '../../testing/postgres-server.ts';
import { tempDirectory } from '../../testing/temp.ts';
import { runExample, type Ran } from './run-example.ts';

async function place(env: Readonly<Record<string, string>> = {}) {
  const directory = await tempDirectory();
  const at = (...names: string[]): string => join(directory.path, ...names);
  await mkdir(at('uploads', 'deep'), { recursive: true });
  await writeFile(at('uploads', 'deep', 'letter.txt'), 'Dear reader');
  await writeFile(at('uploads', 'photo.jpg'), Buffer.alloc(300_000, 7));
  await writeFile(at('uploads', 'scratch.tmp'), 'not to be kept');
  const run = (name: string, ...args: string[]): Promise<Ran> =>
    runExample(name, args, { cwd: directory.path, env });
  return { at, run, [Symbol.asyncDispose]: () => directory[Symbol.asyncDispose]() };
}

test('examples/backup-files.ts backs up a directory and restores it', async () => {
  await using the = await place();
  const { stdout } = await the.run('backup-files.ts', './uploads', './backups', './restored');
  assert.match(stdout, /^a new repository; keep .*holdfast-recovery-kit-.*\.md away/);
  assert.match(stdout, /\n1 backups of uploads\nrestored 2 files to .*restored, 2 compared and equal\n$/);
  assert.equal(await readFile(the.at('restored', 'deep', 'letter.txt'), 'utf8'), 'Dear reader');

  const again = await the.run('backup-files.ts', './uploads', './backups', './again');
  assert.match(again.stdout, /^backup .*\n2 backups of uploads\n/);
});

test('examples/read-one-file.ts lists a backup and reads a file of it; commonjs.cjs checks it', async () => {
  await using the = await place();
  await the.run('backup-files.ts', './uploads', './backups', './restored');
  const listed = await the.run('read-one-file.ts', './backups');
  assert.match(listed.stdout, /^11\tdeep\/letter\.txt$/m);
  assert.match(listed.stdout, /^300000\tphoto\.jpg$/m);
  assert.equal((await the.run('read-one-file.ts', './backups', 'deep/letter.txt')).stdout, 'Dear reader');
  assert.match(
    (await the.run('commonjs.cjs', './backups')).stdout,
    /^[0-9a-f]{32} .* uploads\nall is well\n$/,
  );
});

test('examples/progress-and-abort.ts shows how far it is, and gives up when its time is over', async () => {
  await using the = await place();
  const done = await the.run('progress-and-abort.ts', './uploads', './backups', '60');
  assert.match(done.stdout, /^uploads: .*\n/);
  assert.match(done.stdout, /\nuploads: \d+ of .* bytes\n/);
  assert.match(done.stdout, /\ndone: backup [0-9a-f]{8}\n$/);
  assert.match(done.stderr, /^info: backup done$/m);
  const given = await the.run('progress-and-abort.ts', './uploads', './backups', '0.001');
  assert.match(given.stdout, /given up: interrupted: .*timeout/);
});

test('examples/backup-postgres.ts backs up a database and restores it under another name', async () => {
  await using server = await startPostgres();
  await server.psql('CREATE DATABASE shop');
  await server.psql('CREATE TABLE orders AS SELECT generate_series(1, 1000) AS id', 'shop');
  await using the = await place({ DATABASE_URL: server.url('shop') });
  const { stdout } = await the.run('backup-postgres.ts', './backups', 'shop_copy');
  assert.equal(stdout, 'restored 1 tables with 1000 rows as shop_copy\n');
  assert.equal(await server.psql('SELECT count(*) FROM orders', 'shop_copy'), '1000');
});

test('an example shows what goes wrong with its code, and ends by itself', async () => {
  await using the = await place();
  await assert.rejects(
    the.run('backup-files.ts', './no-such-directory', './backups'),
    ({ stderr, code }: Ran & { code: number }) => /^HF-\d{4}: .+\n.+\n$/.test(stderr) && code > 1,
  );
});
