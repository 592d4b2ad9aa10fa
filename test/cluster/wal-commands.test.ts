import assert from 'node:assert/strict';
import {
  chown,
  copyFile,
  mkdir,
  mkdtemp,
  open,
  readdir,
  readFile,
  rm,
  stat,
  writeFile,
} from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { startPostgres, type PostgresServer } from '../../testing/postgres-server.ts';
import { tempDirectory, type TempDirectory } from '../../testing/temp.ts';
import { until } from '../../testing/until.ts';
import { sandbox, type Sandbox } from '../cli/program-runner.ts';

const main = fileURLToPath(new URL('../../src/cli/main.ts', import.meta.url));

/** A server that archives by the real command, and somebody who asks the archive. */
describe('archive_command and restore_command', () => {
  let server: PostgresServer;
  let box: Sandbox;
  let place: TempDirectory;
  const config = (): string => join(place.path, 'holdfast.yaml');
  const run = (...args: string[]) => box.run(['wal', ...args, '--config', config()]);
  const walFile = (name: string): string => join(server.dataDirectory, 'pg_wal', name);

  before(async () => {
    box = await sandbox();
    place = await tempDirectory('holdfast-wal-');
    await writeFile(join(place.path, 'passphrase'), 'correct horse battery staple\n', { mode: 0o644 });
    await writeFile(
      config(),
      `repository: ${join(place.path, 'r')}
encryption: { passphrase_file: ${join(place.path, 'passphrase')} }
sources: { main: { type: postgres-cluster } }
`,
    );
    assert.equal((await box.run(['init', '--config', config()])).code, 0);
    const command = `${process.execPath} --disable-warning=ExperimentalWarning ${main} wal push %p --config ${config()}`;
    server = await startPostgres({
      settings: { archive_mode: 'on', archive_command: '/bin/false', wal_level: 'replica' },
      initdbArgs: ['--wal-segsize=1'],
    });
    await giveTo(place.path, server.user);
    await server.psql(`ALTER SYSTEM SET archive_command = '${command.replaceAll("'", "''")}'`);
  });

  after(async () => {
    await server[Symbol.asyncDispose]();
    await place[Symbol.asyncDispose]();
    await box[Symbol.asyncDispose]();
  });

  it('stores what the server hands over, and what waits behind it', async () => {
    await server.psql('CREATE TABLE t AS SELECT g FROM generate_series(1, 100000) g');
    const last = await server.psql('SELECT pg_walfile_name(pg_switch_wal())');
    await server.psql('SELECT pg_reload_conf()');
    await until(async () => (await server.psql('SELECT last_archived_wal FROM pg_stat_archiver')) === last);
    assert.equal(
      await server.psql('SELECT failed_count = 0 OR last_failed_time < now() FROM pg_stat_archiver'),
      't',
    );
    const log = await server.log();
    assert.match(log, /.*/);
    const got = box.at('got');
    for (const name of await segments(server)) {
      if (name > last) continue;
      assert.equal((await run('get', name, got)).code, 0);
      assert.deepEqual(await readFile(got), await readFile(walFile(name)));
    }
  });

  it('hands out WAL on another file system than the one it fetches ahead on', async (t) => {
    const elsewhere = await mkdtemp('/dev/shm/holdfast-wal-').catch(() => undefined);
    if (elsewhere === undefined) return t.skip('there is no /dev/shm');
    try {
      if ((await stat(elsewhere)).dev === (await stat(box.at('.'))).dev) return t.skip('it is the same');
      const [name = ''] = await segments(server);
      const got = join(elsewhere, 'RECOVERYXLOG');
      const { code, stderr } = await run('get', name, got);
      assert.equal(code, 0, stderr);
      assert.deepEqual(await readFile(got), await readFile(walFile(name)));
    } finally {
      await rm(elsewhere, { recursive: true, force: true });
    }
  });

  it('stores ahead what waits, and believes it of this very file in this very repository alone', async () => {
    const [first = '', second = ''] = await segments(server);
    const wal = box.at('ahead', 'pg_wal');
    await mkdir(join(wal, 'archive_status'), { recursive: true });
    for (const name of [first, second]) {
      await copyFile(walFile(name), join(wal, name));
      await writeFile(join(wal, 'archive_status', `${name}.ready`), '');
    }
    const state = async (name: string, ...more: string[]): Promise<unknown> =>
      (await box.run(['wal', 'push', join(wal, name), '--json', ...more])).json()['state'];
    const settings = join(box.path, 'other.yaml');
    const inPlace = async (): Promise<void> => {
      await rm(box.at('other'), { recursive: true, force: true });
      const text = `repository: ${box.at('other')}\nsources: { main: { type: postgres-cluster } }\n`;
      await writeFile(settings, text);
      assert.equal((await box.run(['init', '--config', settings])).code, 0);
    };
    await inPlace();
    assert.equal(await state(first, '--config', settings), 'stored');
    assert.equal(await state(second, '--config', settings), 'pushed_before');
    assert.equal(await state(second, '--config', settings), 'already_there', 'a mark is believed once');
    await inPlace();
    assert.equal(await state(first, '--config', settings), 'stored');
    await inPlace();
    assert.equal(await state(second, '--config', settings), 'stored', 'another repository in its place');
  });

  it('takes the same file again, and refuses another one of its name', async () => {
    const [name = ''] = await segments(server);
    const again = await run('push', walFile(name), '--json');
    assert.equal(again.code, 0, again.stderr);
    assert.equal(again.json()['state'], 'already_there');
    await mkdir(box.at('pg_wal'));
    const other = join(box.at('pg_wal'), name);
    await copyFile(walFile(name), other);
    await flip(other, 700_000);
    const refused = await run('push', other);
    assert.equal(refused.code, 7, refused.stderr);
    await flip(other, 9);
    const odd = await run('push', other);
    assert.equal(odd.code, 4);
    assert.match(odd.stderr, /^error\[HF-5433\]/);
  });

  it('is not kept by the damaged archive of another cluster', async () => {
    const about = join(place.path, 'r', 'wal', 'about');
    await writeFile(join(about, '0'.repeat(32)), 'nothing that anybody has written');
    try {
      const [name = ''] = await segments(server);
      assert.equal((await run('get', name, box.at('beside'))).code, 0);
      assert.equal((await run('push', walFile(name))).code, 0);
    } finally {
      await rm(join(about, '0'.repeat(32)));
    }
  });

  it('answers as PostgreSQL expects it', async () => {
    const to = box.at('answer');
    const missing = await run('get', '0000000100000A0000000001', to);
    assert.deepEqual([missing.code, missing.stderr.startsWith('error[HF-5435]')], [1, true]);
    assert.equal((await run('get', '00000002.history', to)).code, 1);
    assert.equal((await run('get', 'not-a-name', to)).code, 126);
    const [name = ''] = await segments(server);
    const misspelt = await run('get', name, to, '--source', 'mian');
    assert.equal(misspelt.code, 126, 'not the end of the WAL, but the wrong place');
    assert.match(misspelt.stderr, /^error\[HF-5438\]/);
    const begun = await run('push', walFile(name), '--source', 'mian');
    assert.equal(begun.code, 6, begun.stderr);
    const nowhere = await box.run([
      'wal',
      'get',
      '000000010000000000000001',
      to,
      '--repo',
      box.at('nowhere'),
    ]);
    assert.equal(nowhere.code, 126);
  });
});

async function segments(server: PostgresServer): Promise<string[]> {
  const names = await readdir(join(server.dataDirectory, 'pg_wal'));
  const current = await server.psql('SELECT pg_walfile_name(pg_current_wal_insert_lsn())');
  return names.filter((name) => /^[0-9A-F]{24}$/.test(name) && name < current).toSorted();
}

async function flip(path: string, at: number): Promise<void> {
  await using handle = await open(path, 'r+');
  const byte = Buffer.alloc(1);
  await handle.read(byte, 0, 1, at);
  byte[0] = (byte[0] ?? 0) ^ 1;
  await handle.write(byte, 0, 1, at);
}

async function giveTo(path: string, user: PostgresServer['user']): Promise<void> {
  if (user === undefined) return;
  await chown(path, user.uid, user.gid);
  for (const entry of await readdir(path, { recursive: true }))
    await chown(join(path, entry), user.uid, user.gid);
}
