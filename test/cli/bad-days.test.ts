import assert from 'node:assert/strict';
import { chmod, cp, mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { childrenOf, isAlive } from '../../src/app/local-postgres/processes.ts';
import { startPostgres, type PostgresServer } from '../../testing/postgres-server.ts';
import { mountSmall } from '../storage/small-mount.ts';
import { sandbox, type Json, type Ran, type RunOptions, type Sandbox } from './program-runner.ts';

const passphrase = 'correct horse battery';

describe('bad input and bad days', () => {
  let server: PostgresServer;
  let box: Sandbox;
  let backupId: string;
  let env: Record<string, string>;

  before(async () => {
    server = await startPostgres();
    box = await sandbox();
    await server.psql('CREATE DATABASE shop');
    await server.psql(
      'CREATE TABLE orders AS SELECT i AS id, md5(i::text) AS note FROM generate_series(1, 20000) i',
      'shop',
    );
    await server.psql("CREATE ROLE guest LOGIN PASSWORD 'guest'");
    env = {
      HOLDFAST_PASSPHRASE: passphrase,
      HOLDFAST_REPOSITORY: box.at('r'),
      DATABASE_URL: server.url('shop'),
    };
    assert.equal((await box.run(['init'], { env })).code, 0);
    const summary = (await box.run(['backup', '--json'], { env })).lines().at(-1) ?? {};
    backupId = String((summary['backups'] as Json[])[0]?.['id']);
  });

  after(async () => {
    await box[Symbol.asyncDispose]();
    await server[Symbol.asyncDispose]();
  });

  /** Exit code and code of the error, and that there is a hint. */
  async function fails(
    args: readonly string[],
    exit: number,
    code: string,
    options: RunOptions = {},
  ): Promise<Ran> {
    const ran = await box.run(args, { ...options, env: { ...env, ...options.env } });
    assert.equal(ran.code, exit, ran.stderr);
    assert.match(
      ran.stderr,
      new RegExp(
        `error\\[${code}\\]: .+\\n(.*\\n)*hint: .+\\ndocs: docs/errors\\.md#${code.toLowerCase()}\\n$`,
      ),
    );
    assert.ok(!ran.stderr.includes(server.password) && !ran.stdout.includes(server.password));
    return ran;
  }

  /** A copy of the repository, to be spoilt. */
  async function copy(name: string): Promise<string> {
    await cp(box.at('r'), box.at(name), { recursive: true });
    return box.at(name);
  }

  async function backupCount(): Promise<number> {
    return ((await box.run(['list', '--json'], { env })).json()['backups'] as Json[]).length;
  }

  it('wrong passphrase', async () =>
    void (await fails(['list'], 10, 'HF-3101', { env: { HOLDFAST_PASSPHRASE: 'wrong horse' } })));

  it('no passphrase', async () => {
    const { HOLDFAST_PASSPHRASE: _, ...rest } = env;
    const ran = await box.run(['backup'], { env: rest });
    assert.equal(ran.code, 10);
    assert.match(ran.stderr, /error\[HF-3102\]/);
  });

  it('no repository', async () => {
    await mkdir(box.at('empty'));
    await fails(['backup'], 6, 'HF-3001', { env: { HOLDFAST_REPOSITORY: box.at('empty') } });
    await fails(['list', '--repo', box.at('nowhere')], 6, 'HF-2008');
  });

  it('a foreign directory', async () => {
    await mkdir(box.at('photos'));
    await writeFile(box.at('photos', 'cat.jpg'), 'meow');
    await fails(['init', '--repo', box.at('photos')], 4, 'HF-3003');
    assert.deepEqual(await readdir(box.at('photos')), ['cat.jpg']);
  });

  it('a repository of a newer format, and one whose description is damaged', async () => {
    const path = await copy('spoilt');
    const file = join(path, 'holdfast.json');
    const text = await readFile(file, 'utf8');
    await chmod(file, 0o600);
    await writeFile(file, text.replace(/"format": ?1/, '"format":2'));
    await fails(['backup', '--repo', path], 4, 'HF-3004');
    await writeFile(file, text.replace('20', '30'));
    await fails(['list', '--repo', path], 9, 'HF-3005');
    await writeFile(file, text.slice(0, -20));
    await fails(['list', '--repo', path], 9, 'HF-3005');
  });

  it('no pg_dump', async () => {
    await mkdir(box.at('nothing'), { recursive: true });
    const source = {
      HOLDFAST_SOURCES_SHOP_URL: server.url('shop'),
      HOLDFAST_SOURCES_SHOP_CLIENT_BIN: box.at('nothing'),
    };
    await fails(['backup'], 4, 'HF-5009', { env: source });
  });

  it('pg_dump older than the server', async () => {
    await mkdir(box.at('old'));
    await writeFile(box.at('old', 'pg_dump'), '#!/bin/sh\necho "pg_dump (PostgreSQL) 11.2"\n', {
      mode: 0o755,
    });
    const source = {
      HOLDFAST_SOURCES_SHOP_URL: server.url('shop'),
      HOLDFAST_SOURCES_SHOP_CLIENT_BIN: box.at('old'),
    };
    await fails(['backup'], 4, 'HF-5008', { env: source });
  });

  it('connection refused', async () =>
    void (await fails(['backup', '--from', 'postgres://u:p@127.0.0.1:1/d'], 8, 'HF-5001')));

  it('wrong password', async () => {
    await fails(['backup', '--from', server.url('shop', 'guest', 'wrong')], 4, 'HF-5003');
  });

  it('a database that is not there', async () =>
    void (await fails(['backup', '--from', server.url('nodb')], 6, 'HF-5004')));

  it('permission denied on one table', async () => {
    const before = await backupCount();
    await fails(['backup', '--from', server.url('shop', 'guest', 'guest')], 4, 'HF-5007');
    assert.equal(await backupCount(), before);
  });

  it('a target that is not empty', async () => {
    await fails(['restore', 'latest', '--to', server.url('shop')], 7, 'HF-5030');
    assert.equal(await server.psql('SELECT count(*) FROM orders', 'shop'), '20000');
  });

  it('an unknown id, an ambiguous prefix, and what is none', async () => {
    await fails(['info', backupId.startsWith('0000') ? 'ffff0' : '00000'], 6, 'HF-3010');
    await fails(['restore', 'latest:nobody', '--to', server.url('x')], 6, 'HF-3010');
    await fails(['info', 'the last one'], 2, 'HF-3012');
  });

  it('an unknown source, with the nearest one', async () => {
    const { stderr } = await fails(['backup', 'shpo'], 6, 'HF-1112');
    assert.match(stderr, /did you mean shop\?/);
  });

  it('one source of two fails: the other is backed up and the failed one is named', async () => {
    const sources = {
      HOLDFAST_SOURCES_BAD_URL: 'postgres://u:p@127.0.0.1:1/d',
      HOLDFAST_SOURCES_GOOD_URL: server.url('shop'),
    };
    const ran = await fails(['backup', '--json'], 3, 'HF-1005', { env: sources });
    const summary = ran.lines().at(-1) ?? {};
    assert.deepEqual(
      (summary['backups'] as Json[]).map(({ source }) => source as unknown),
      ['good'],
    );
    assert.deepEqual(
      (summary['failed'] as Json[]).map(({ source, error }) => [source, (error as Json)['code']] as unknown),
      [['bad', 'HF-5001']],
    );
    assert.equal(summary['ok'], false);
  });

  it('a damaged pack: verify names it and what needs it, restore refuses before it touches anything', async () => {
    const path = await copy('flipped');
    const packs = (await readdir(join(path, 'packs'), { recursive: true, withFileTypes: true })).filter(
      (entry) => entry.isFile(),
    );
    for (const { parentPath, name } of packs) {
      const file = join(parentPath, name);
      const bytes = await readFile(file);
      const middle = Math.floor(bytes.length / 2);
      bytes[middle] = (bytes[middle] ?? 0) ^ 1;
      await chmod(file, 0o600);
      await writeFile(file, bytes);
    }
    const ran = await fails(['verify', '--read-data', '--json', '--repo', path], 9, 'HF-1123');
    const problems = (ran.lines().at(-1) ?? {})['problems'] as Json[];
    assert.ok(problems.some(({ object }) => String(object).startsWith('packs/')));
    assert.ok(problems.some(({ backups }) => (backups as string[]).includes(backupId)));
    const restore = await box.run(['restore', backupId, '--to', server.url('never'), '--repo', path], {
      env,
    });
    assert.equal(restore.code, 9, restore.stderr);
    assert.equal(await server.psql("SELECT count(*) FROM pg_database WHERE datname = 'never'"), '0');
  });

  it('a missing pack', async () => {
    const path = await copy('gone');
    await rm(join(path, 'packs'), { recursive: true });
    await mkdir(join(path, 'packs'));
    const ran = await fails(['verify', '--repo', path], 9, 'HF-1123');
    assert.match(ran.stdout, new RegExp(`needed by: .*${backupId.slice(0, 8)}`));
    const restore = await box.run(['restore', backupId, '--to', server.url('never'), '--repo', path], {
      env,
    });
    assert.ok([6, 9].includes(restore.code ?? 0), restore.stderr);
  });

  it('a key file that others can read', async () => {
    const { HOLDFAST_PASSPHRASE: _, ...rest } = env;
    const made = await box.run(['init', '--repo', 'k', '--json'], { env: rest });
    await chmod(String(made.json()['key_file']), 0o644);
    const ran = await box.run(['list', '--repo', 'k'], { env: rest });
    assert.equal(ran.code, 4);
    assert.match(ran.stderr, /error\[HF-1119\]: .*\nhint: close it: chmod 600/);
  });

  it('a full disk', async (context) => {
    await using mount = asMount(await mountSmall(box.at('small')));
    if (mount === undefined) {
      context.skip('a small file system cannot be mounted here');
      return;
    }
    const place = join(mount.path, 'r');
    assert.equal((await box.run(['init', '--repo', place], { env })).code, 0);
    await server.psql(
      'CREATE TABLE noise AS SELECT gen_random_uuid() AS a, gen_random_uuid() AS b FROM generate_series(1, 100000)',
      'shop',
    );
    await fails(['backup', '--repo', place], 1, 'HF-2005');
    assert.deepEqual((await box.run(['list', '--repo', place, '--json'], { env })).json()['backups'], []);
    assert.equal((await box.run(['verify', '--repo', place], { env })).code, 0);
    await server.psql('DROP TABLE noise', 'shop');
  });

  it('a table stays locked', async () => {
    const before = await backupCount();
    await server.psql('CREATE TABLE locked (a int)', 'shop');
    const release = lockTable(server, 'shop', 'locked');
    await release.held;
    const source = {
      HOLDFAST_SOURCES_SHOP_URL: server.url('shop'),
      HOLDFAST_SOURCES_SHOP_LOCK_TIMEOUT: '300ms',
    };
    const { stderr } = await fails(['backup'], 7, 'HF-5010', { env: source });
    assert.match(stderr, /for a lock on public\.locked in database shop, which process \d+ of user postgres/);
    await release.end();
    await server.psql('DROP TABLE locked', 'shop');
    assert.equal(await backupCount(), before);
  });

  for (const [signal, word] of [
    ['SIGINT', 'Ctrl-C'],
    ['SIGTERM', 'SIGTERM'],
  ] as const) {
    it(`${signal}: stops in good order, exits with 130, leaves nothing visible and nothing running`, async () => {
      const before = await backupCount();
      await server.psql('CREATE TABLE locked (a int)', 'shop');
      const release = lockTable(server, 'shop', 'locked');
      await release.held;
      const running = box.start(['backup', '--json', '--log-level', 'debug'], { env });
      await server.psql(waitingFor('locked'), 'shop');
      const children = await childrenOf(running.pid);
      assert.ok(children.length > 0);
      running.kill(signal);
      const ran = await running.done;
      assert.equal(ran.code, 130, ran.stderr);
      assert.match(ran.stderr, new RegExp(`${word}: stopping`));
      assert.equal(((ran.lines().at(-1) ?? {})['error'] as Json)['code'], 'HF-1003');
      assert.deepEqual(children.filter(isAlive), []);
      await release.end();
      await server.psql('DROP TABLE locked', 'shop');
      assert.equal(await backupCount(), before);
      assert.equal((await box.run(['backup'], { env })).code, 0);
    });
  }

  it('kill -9: nothing half-done is visible, and the next backup succeeds', async () => {
    const before = await backupCount();
    await server.psql('CREATE TABLE locked (a int)', 'shop');
    const release = lockTable(server, 'shop', 'locked');
    await release.held;
    const running = box.start(['backup'], { env });
    await server.psql(waitingFor('locked'), 'shop');
    running.kill('SIGKILL');
    assert.equal((await running.done).code, null);
    await release.end();
    await server.psql('DROP TABLE locked', 'shop');
    assert.equal(await backupCount(), before);
    assert.equal((await box.run(['backup'], { env })).code, 0);
    assert.equal((await box.run(['verify', '--read-data'], { env })).code, 0);
  });
});

/** Holds a table until told to let go, through a session that waits on an advisory lock of its own. */
function lockTable(server: PostgresServer, database: string, table: string) {
  const session = server
    .psql(`BEGIN; LOCK TABLE ${table}; SELECT pg_sleep(60); COMMIT`, database)
    .catch(() => '');
  return {
    held: server.psql(
      `DO $$ BEGIN WHILE NOT EXISTS (SELECT FROM pg_locks WHERE relation = to_regclass('${table}') AND granted AND mode = 'AccessExclusiveLock') LOOP PERFORM pg_sleep(0.01); END LOOP; END $$`,
      database,
    ),
    end: async () => {
      await server.psql(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE '%pg_sleep(60)%' AND pid <> pg_backend_pid()",
      );
      await session;
    },
  };
}

/** Ends when somebody waits for the table: then the backup is in the middle. */
function waitingFor(table: string): string {
  return `DO $$ BEGIN WHILE NOT EXISTS (SELECT FROM pg_locks WHERE relation = to_regclass('${table}') AND NOT granted) LOOP PERFORM pg_sleep(0.01); END LOOP; END $$`;
}

function asMount(mounted: Awaited<ReturnType<typeof mountSmall>>) {
  return typeof mounted === 'string' ? undefined : mounted;
}
