import assert from 'node:assert/strict';
import { chmod, cp, mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { ownMounts } from '../../testing/own-mounts.ts';
import { runInProcess } from './in-process.ts';
import type { Json } from './program-runner.ts';
import { assertFailed, shop, type Shop } from './shop.ts';

describe('bad input and bad days', () => {
  let the: Shop;
  before(async () => {
    the = await shop();
    await the.server.psql("CREATE ROLE guest LOGIN PASSWORD 'guest'");
  });
  after(() => the[Symbol.asyncDispose]());

  /** A copy of the repository, to be spoilt. */
  async function copy(name: string): Promise<string> {
    await cp(the.box.at('r'), the.box.at(name), { recursive: true });
    return the.box.at(name);
  }

  it('wrong passphrase', async () =>
    void (await the.fails(['list'], 10, 'HF-3101', { env: { HOLDFAST_PASSPHRASE: 'wrong horse' } })));

  it('no passphrase', async () => {
    const { HOLDFAST_PASSPHRASE: _, ...rest } = the.env;
    assertFailed(await runInProcess(the.box, ['backup'], { env: rest }), 10, 'HF-3102');
  });

  it('two sources that both fail: each error once, with its name', async () => {
    const env = {
      HOLDFAST_SOURCES_ONE_URL: the.server.url('gone_one'),
      HOLDFAST_SOURCES_TWO_URL: the.server.url('gone_two'),
    };
    const { stderr } = await the.fails(['backup', '--quiet'], 6, 'HF-5004', { env });
    assert.deepEqual(
      [...stderr.matchAll(/error\[HF-5004\]: (\w+)/g)]
        .map(([, source = '']) => source)
        .toSorted((a, b) => a.localeCompare(b)),
      ['one', 'two'],
    );
  });

  it('a source without a backup is no mistake, one that nobody knows is', async () => {
    const env = { HOLDFAST_SOURCES_FRESH_URL: the.server.url('shop') };
    const { stderr, stdout } = await the.ok(['list', '--source', 'fresh', '--json'], env);
    assert.deepEqual((JSON.parse(stdout) as Json)['backups'], []);
    assert.match(stderr, /^source fresh is configured and has no backup yet$/m);
    await the.fails(['list', '--source', 'frsh'], 6, 'HF-1112', { env });
  });

  it('no repository', async () => {
    await mkdir(the.box.at('empty'));
    await the.fails(['backup'], 6, 'HF-3001', { env: { HOLDFAST_REPOSITORY: the.box.at('empty') } });
    await the.fails(['list', '--repo', the.box.at('nowhere')], 6, 'HF-2008');
  });

  it('a foreign directory', async () => {
    await mkdir(the.box.at('photos'));
    await writeFile(the.box.at('photos', 'cat.jpg'), 'meow');
    await the.fails(['init', '--repo', the.box.at('photos')], 4, 'HF-3003');
    assert.deepEqual(await readdir(the.box.at('photos')), ['cat.jpg']);
  });

  it('a repository of a newer format, and one whose description is damaged', async () => {
    const path = await copy('spoilt');
    const file = join(path, 'holdfast.json');
    const text = await readFile(file, 'utf8');
    await chmod(file, 0o600);
    await writeFile(file, text.replace(/"format": ?1/, '"format":2'));
    await the.fails(['backup', '--repo', path], 4, 'HF-3004');
    await writeFile(file, text.replace('20', '30'));
    await the.fails(['list', '--repo', path], 9, 'HF-3005');
    await writeFile(file, text.slice(0, -20));
    await the.fails(['list', '--repo', path], 9, 'HF-3005');
  });

  it('no pg_dump', async () => {
    await mkdir(the.box.at('nothing'), { recursive: true });
    const source = {
      HOLDFAST_SOURCES_SHOP_URL: the.server.url('shop'),
      HOLDFAST_SOURCES_SHOP_CLIENT_BIN: the.box.at('nothing'),
    };
    await the.fails(['backup'], 4, 'HF-5009', { env: source });
  });

  it('pg_dump older than the server', async () => {
    await mkdir(the.box.at('old'));
    await writeFile(the.box.at('old', 'pg_dump'), '#!/bin/sh\necho "pg_dump (PostgreSQL) 11.2"\n', {
      mode: 0o755,
    });
    const source = {
      HOLDFAST_SOURCES_SHOP_URL: the.server.url('shop'),
      HOLDFAST_SOURCES_SHOP_CLIENT_BIN: the.box.at('old'),
    };
    await the.fails(['backup'], 4, 'HF-5008', { env: source });
  });

  it('connection refused', async () =>
    void (await the.fails(['backup', '--from', 'postgres://u:p@127.0.0.1:1/d'], 8, 'HF-5001')));

  it('wrong password', async () => {
    await the.fails(['backup', '--from', the.server.url('shop', 'guest', 'wrong')], 4, 'HF-5003');
  });

  it('a database that is not there', async () =>
    void (await the.fails(['backup', '--from', the.server.url('nodb')], 6, 'HF-5004')));

  it('permission denied on one table', async () => {
    const before = await the.backupCount();
    await the.fails(['backup', '--from', the.server.url('shop', 'guest', 'guest')], 4, 'HF-5007');
    assert.equal(await the.backupCount(), before);
  });

  it('a target that is not empty', async () => {
    await the.fails(['restore', 'latest', '--to', the.server.url('shop')], 7, 'HF-5030');
    assert.equal(await the.server.psql('SELECT count(*) FROM orders', 'shop'), '20000');
  });

  it('an unknown id, an ambiguous prefix, and what is none', async () => {
    await the.fails(['info', the.backupId.startsWith('0000') ? 'ffff0' : '00000'], 6, 'HF-3010');
    await the.fails(['restore', 'latest:nobody', '--to', the.server.url('x')], 6, 'HF-3010');
    await the.fails(['info', 'the last one'], 2, 'HF-3012');
  });

  it('an unknown source, with the nearest one', async () => {
    const { stderr } = await the.fails(['backup', 'shpo'], 6, 'HF-1112');
    assert.match(stderr, /did you mean shop\?/);
  });

  it('one source of two fails: the other is backed up and the failed one is named', async () => {
    const sources = {
      HOLDFAST_SOURCES_BAD_URL: 'postgres://u:p@127.0.0.1:1/d',
      HOLDFAST_SOURCES_GOOD_URL: the.server.url('shop'),
    };
    const ran = await the.fails(['backup', '--json'], 3, 'HF-1005', { env: sources });
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

  it('a damaged manifest: list shows every other backup, and says which it cannot', async () => {
    const path = await copy('unreadable');
    await the.ok(['backup', '--repo', path]);
    const snapshots = await readdir(join(path, 'snapshots'));
    const file = join(path, 'snapshots', snapshots.toSorted()[0] ?? '');
    await chmod(file, 0o600);
    await writeFile(file, (await readFile(file)).subarray(0, -1));
    const ran = await the.fails(['list', '--json', '--repo', path], 9, 'HF-3016');
    const { backups, unreadable, ok } = ran.lines().at(-1) as Json & { backups: Json[]; unreadable: Json[] };
    assert.deepEqual(
      [ok, backups.length, unreadable.length, unreadable[0]?.['code']],
      [false, snapshots.length - 1, 1, 'HF-3006'],
    );
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
    const ran = await the.fails(['verify', '--read-data', '--json', '--repo', path], 9, 'HF-1123');
    const problems = (ran.lines().at(-1) ?? {})['problems'] as Json[];
    assert.ok(problems.some(({ object }) => String(object).startsWith('packs/')));
    assert.ok(problems.some(({ backups }) => (backups as string[]).includes(the.backupId)));
    await the.fails(['restore', the.backupId, '--to', the.server.url('never'), '--repo', path], 9, 'HF-3007');
    assert.equal(await the.server.psql("SELECT count(*) FROM pg_database WHERE datname = 'never'"), '0');
  });

  it('a missing pack', async () => {
    const path = await copy('gone');
    await rm(join(path, 'packs'), { recursive: true });
    await mkdir(join(path, 'packs'));
    const ran = await the.fails(['verify', '--repo', path], 9, 'HF-1123');
    assert.match(ran.stdout, new RegExp(`needed by: .*${the.backupId.slice(0, 8)}`));
    await the.fails(['restore', the.backupId, '--to', the.server.url('never'), '--repo', path], 6, 'HF-2001');
  });

  it('a key file that others can read', async () => {
    const { HOLDFAST_PASSPHRASE: _, ...env } = the.env;
    const made = await runInProcess(the.box, ['init', '--repo', 'k', '--json'], { env });
    await chmod(String(made.json()['key_file']), 0o644);
    const ran = await runInProcess(the.box, ['list', '--repo', 'k'], { env });
    assertFailed(ran, 4, 'HF-1119');
    assert.match(ran.stderr, /hint: close it: chmod 600/);
  });

  describe('no room', () => {
    const rows = 'SELECT gen_random_uuid() AS a, gen_random_uuid() AS b FROM generate_series(1, 100000)';
    before(() => the.server.psql(`CREATE TABLE noise AS ${rows}`, 'shop'));
    after(() => the.server.psql('DROP TABLE noise', 'shop'));

    it('a full disk', async (t) => {
      const words = await ownMounts(t);
      if (words === undefined) return;
      // All on one mount, which ends with the shell.
      const script = `mkdir small && mount -t tmpfs -o size=2m tmpfs small && "$0" "$@" init --repo small/r || exit
        "$0" "$@" backup --repo small/r; code=$?
        "$0" "$@" list --repo small/r --json && "$0" "$@" verify --repo small/r >&2 && exit $code`;
      const ran = await the.box.run([], { env: the.env, wrapper: [...words, '/bin/sh', '-c', script] });
      assert.equal(ran.code, 1, ran.stderr);
      assert.match(ran.stderr, /error\[HF-2005\]: .+\nhint: (.*\n)+all is well: 0 backups/);
      assert.deepEqual(ran.json()['backups'], []);
    });

    it('a limit on the size of files', async () => {
      const before = await the.backupCount();
      const under = (blocks: number) => ({
        wrapper: ['/bin/sh', '-c', `ulimit -f ${blocks} && exec "$0" "$@"`],
      });
      await the.fails(['backup'], 1, 'HF-2014', under(2000));
      const { stderr } = await the.fails(['backup'], 1, 'HF-3013', under(8));
      assert.match(stderr, /hint: free some space there/);
      assert.equal(await the.backupCount(), before);
      const listed = await the.box.run(['list'], { env: the.env, ...under(0) });
      assert.deepEqual([listed.code, listed.stdout.split('\n').length], [0, before + 2], listed.stderr);
      await the.ok(['verify', '--read-data']);
    });
  });
});
