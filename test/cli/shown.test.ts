import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { asWritten } from '../../src/cli/format.ts';
import { sizeSchema } from '../../src/contract/config-setting.ts';
import { runInProcess } from './in-process.ts';
import { sandbox } from './program-runner.ts';
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
    assert.match(telling[0] ?? '', /^warning: .* is kept as holdfast_replaced_/);
  });

  it('what a backup remarks on itself is kept, and said unless it is to be quiet', async () => {
    await the.server.psql(
      "CREATE ROLE guest LOGIN PASSWORD 'guest'; GRANT SELECT ON orders TO guest",
      'shop',
    );
    const url = new URL(the.server.url('shop'));
    [url.username, url.password] = ['guest', 'guest'];
    const asGuest = { DATABASE_URL: url.href };
    assert.match((await the.ok(['backup'], asGuest)).stderr, /^warning: shop: .*passwords/m);
    assert.equal((await the.ok(['backup', '--quiet'], asGuest)).stderr, '');
    const { stdout } = await the.ok(['info', 'latest']);
    assert.match(stdout, /^warning +.*passwords/m);
    assert.match(stdout, /^roles +in it, without their passwords$/m);
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
