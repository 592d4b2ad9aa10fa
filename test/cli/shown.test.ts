import assert from 'node:assert/strict';
import { copyFileSync, linkSync, mkdirSync, utimesSync, writeFileSync } from 'node:fs';
import { after, before, describe, it } from 'node:test';
import { asWritten } from '../../src/cli/format.ts';
import { sizeSchema } from '../../src/contract/config-setting.ts';
import { runInProcess } from './in-process.ts';
import { sandbox, type Sandbox } from './program-runner.ts';
import { shop, type Shop } from './shop.ts';

describe('a backup, as people read of it', () => {
  let the: Shop;
  before(async () => {
    the = await shop();
  });
  after(() => the[Symbol.asyncDispose]());

  it('info tells what is in it, database by database', async () => {
    const { stdout } = await the.ok(['info', 'latest']);
    assert.match(stdout, /^server +PostgreSQL 1\d\.\d+.*, read by pg_dump 1\d/m);
    assert.match(stdout, /^database +shop: 1 table, 20000 rows, [\d.]+ KiB \([\d.]+ MiB on the server\)$/m);
    assert.match(stdout, /^roles +in it, with the hashes of their passwords$/m);
    assert.doesNotMatch(stdout, /server_version_number/);
  });

  it('restore --force says once where the database before is', async () => {
    await the.ok(['restore', 'latest', '--to', the.server.url('again')]);
    const { stderr } = await the.ok(['restore', 'latest', '--to', the.server.url('again'), '--force']);
    const telling = stderr.split('\n').filter((line) => line.includes('holdfast_replaced_'));
    assert.equal(telling.length, 1, stderr);
    assert.match(telling[0] ?? '', /^the database before is kept as holdfast_replaced_/);
  });

  it('what a backup remarks on itself is kept, and said unless it is to be quiet', async () => {
    await the.server.psql(
      "CREATE ROLE guest LOGIN PASSWORD 'guest'; GRANT SELECT ON orders TO guest",
      'shop',
    );
    const url = new URL(the.server.url('shop'));
    [url.username, url.password] = ['guest', 'guest'];
    const asGuest = { DATABASE_URL: url.href };
    assert.match((await the.ok(['backup'], asGuest)).stderr, /^warning: shop: .*passwords.*globals: false/m);
    assert.equal((await the.ok(['backup', '--quiet'], asGuest)).stderr, '');
    const { stdout } = await the.ok(['info', 'latest']);
    assert.match(stdout, /^warning +.*passwords/m);
    assert.match(stdout, /^roles +in it, without their passwords$/m);
  });
});

describe('backups of files, as people read of them', () => {
  const env = { HOLDFAST_PASSPHRASE: 'correct horse battery' };
  let box: Sandbox;
  const ok = async (...args: string[]) => {
    const ran = await runInProcess(box, args, { env });
    assert.equal(ran.code, 0, `${args.join(' ')}: ${ran.stderr}`);
    return ran;
  };
  before(async () => {
    box = await sandbox();
    mkdirSync(box.at('up'));
    writeFileSync(box.at('up', 'a.txt'), 'alpha', { mode: 0o640 });
    utimesSync(box.at('up', 'a.txt'), 1_700_000_000, 1_700_000_000);
    linkSync(box.at('up', 'a.txt'), box.at('up', 'b.txt'));
    await ok('init', '--repo', 'repo');
    await ok('backup', '--repo', 'repo', '--from', 'files:up', '--tag', 'team=web');
  });
  after(() => box[Symbol.asyncDispose]());

  it('info --entries tells of the backup first, then mode and time of each file', async () => {
    const { stdout } = await ok('info', 'latest', '--entries', '--repo', 'repo');
    const [about = '', entries = ''] = stdout.split('\n\n');
    assert.match(about, /^id .*\n(?:.*\n)*entries +3$/);
    assert.match(entries, /^ +5 B {2}0640 {2}2023-11-14 22:13:20Z {2}files\.file {7}a\.txt$/m);
    assert.match(entries, /^ +0 B {5}- {2}- {21}files\.hardlink {3}b\.txt$/m);
    const json = (await ok('info', 'latest', '--entries', '--json', '--repo', 'repo')).json();
    assert.equal((json['entries'] as unknown[]).length, 3);
    assert.equal((json['backup'] as { entries: number }).entries, 3);
  });

  it('restore tells that its target is a directory, loudly where it reads like the name of the one file', async () => {
    const only = ['--only', 'path=a.txt', '--repo', 'repo'];
    const { stderr } = await ok('restore', 'latest', '--to', 'x/copy.txt', '--dry-run', ...only);
    assert.match(stderr, /copy\.txt is a directory, and the file goes into it.*\n.*--to \S+\/x\n/);
    assert.match(stderr, /^would restore backup \w+ to the directory \S+copy\.txt: 1 file/m);
    for (const wanted of [
      ['--to', 'look', ...only],
      ['--to', 'look.txt', '--repo', 'repo'],
    ])
      assert.doesNotMatch((await ok('restore', 'latest', '--dry-run', ...wanted)).stderr, /goes into it/);
  });

  it('restore --force notes what is kept; that is no warning', async () => {
    for (const _ of [1, 2]) {
      const { stderr } = await ok('restore', 'latest', '--to', 'back', '--force', '--repo', 'repo');
      assert.doesNotMatch(stderr, /warning/);
      if (_ === 2) assert.match(stderr, /^what was at .*back is kept as .*holdfast-replaced-/m);
    }
  });

  it('list tells shortly what was imported, and JSON all of it', async () => {
    const { stdout } = await ok('export', 'latest', '--to', 'out', '--repo', 'repo');
    const [file = ''] = stdout.split('\n');
    await ok('import', file, '--repo', 'repo', '--tag', 'x=y');
    copyFileSync(file, box.at(`${'long'.repeat(20)}.tar.gz`));
    await ok('import', `${'long'.repeat(20)}.tar.gz`, '--repo', 'repo', '--source', 'x');
    const backups = (await ok('list', '--json', '--repo', 'repo')).json()['backups'] as {
      id: string;
      tags: Record<string, string>;
    }[];
    const id = backups[0]?.id ?? '';
    assert.equal(backups[1]?.tags['imported_id'], id);
    assert.match(backups[1]?.tags['imported_started_at'] ?? '', /^20/);
    const [, first, second, third] = (await ok('list', '--repo', 'repo')).stdout.split('\n');
    assert.match(first ?? '', / {2}team=web$/);
    assert.match(second ?? '', new RegExp(` {2}imported from ${id.slice(0, 8)} .*x=y`));
    assert.doesNotMatch(second ?? '', /imported_/);
    assert.match(third ?? '', / {2}imported from …(?:long)*g?.*\.tar\.gz$/);
    assert.ok((third ?? '').length < 130, third);
  });
});

describe('config show', () => {
  it('shows what holds, defaults that are worked out included, with units, source by source', async () => {
    await using box = await sandbox();
    const env = {
      HOLDFAST_SOURCES_SHOP_URL: 'postgres://shop@localhost/shop',
      HOLDFAST_SOURCES_BLOG_URL: 'postgres://blog@localhost/blog',
      HOLDFAST_COMPRESSION_CODEC: 'gzip',
    };
    const { stdout, stderr } = await runInProcess(box, ['config', 'show'], { env });
    const shown = new Map(
      stdout
        .trimEnd()
        .split('\n')
        .map((line) => line.split(/ {2,}/) as [string, string]),
    );
    const state = `${box.home}/.local/state/holdfast`;
    for (const [setting, value] of [
      ['log.file', `${state}/holdfast.log`],
      ['audit.file', `${state}/audit.jsonl`],
      ['cache_directory', `${box.home}/.cache/holdfast`],
      ['compression.level', '6'],
      ['log.max_size', '10MB'],
      ['sources.shop.connect_timeout', '10s'],
    ])
      assert.equal(shown.get(setting ?? ''), value, stderr);
    assert.notEqual(shown.get('temp_directory'), '-');
    const sources = [...shown.keys()].flatMap((name) => /^sources\.(\w+)\./.exec(name)?.[1] ?? []);
    assert.equal(sources.filter((name, at) => name !== sources[at - 1]).length, 2, sources.join(' '));
  });

  it('shows of each source the settings of its own type, each once', async () => {
    await using box = await sandbox();
    const env = {
      HOLDFAST_SOURCES_SHOP_URL: 'postgres://shop@localhost/shop',
      HOLDFAST_SOURCES_APP_TYPE: 'sqlite',
      HOLDFAST_SOURCES_APP_PATHS: '/srv/app.db',
      HOLDFAST_SOURCES_UP_TYPE: 'files',
      HOLDFAST_SOURCES_UP_PATHS: '/srv/up',
    };
    const text = await runInProcess(box, ['config', 'show'], { env });
    const json = await runInProcess(box, ['config', 'show', '--json'], { env });
    const settings = json.json()['settings'] as { setting: string }[];
    const names = settings.map(({ setting }) => setting);
    assert.deepEqual(
      names,
      text.stdout
        .trimEnd()
        .split('\n')
        .slice(1)
        .map((line) => line.split(' ', 1)[0]),
    );
    assert.deepEqual(names, [...new Set(names)]);
    for (const name of ['shop', 'app', 'up']) assert.ok(names.includes(`sources.${name}.tags`), name);
    for (const other of ['shop.paths', 'app.url', 'app.xattrs', 'up.check', 'up.lock_timeout'])
      assert.ok(!names.includes(`sources.${other}`), other);
  });

  it('writes a size so that it is read as the same', () => {
    for (const size of [1, 1023, 1024, 1000, 10_000_000, 10_000_000_000, 2 ** 20, 3 * 2 ** 30, 1_234_567])
      assert.equal(sizeSchema.parse(asWritten(size, 'bytes')), size);
    assert.equal(asWritten(10_000_000_000, 'bytes'), '10GB');
    assert.equal(asWritten(90_000, 'ms'), '90s');
    assert.equal(asWritten(0, 'ms'), '0ms');
  });
});
