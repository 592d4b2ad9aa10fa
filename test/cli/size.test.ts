import assert from 'node:assert/strict';
import { cp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { DatabaseSync } from 'node:sqlite';
import { after, before, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import type { SizeResult } from '../../src/app/size.ts';
import { systemClock } from '../../src/kernel/clock.ts';
import { openFsStorage } from '../../src/storage/fs/open.ts';
import { patternedBytes } from '../../testing/bytes.ts';
import { backUp, bytesSource, makeRepository } from '../../testing/repository.ts';
import { runInProcess } from './in-process.ts';
import { sandbox, type Ran, type Sandbox } from './program-runner.ts';

const golden = fileURLToPath(new URL('../golden/format-1-plain', import.meta.url));

describe('holdfast size', () => {
  let box: Sandbox;
  const size = (...args: readonly string[]): Promise<Ran> =>
    runInProcess(box, ['size', '--repo', './repo', ...args]);
  const asJson = async (
    ...args: readonly string[]
  ): Promise<SizeResult & { readonly code: number | null }> => {
    const { code, stdout } = await size('--json', ...args);
    return { ...(JSON.parse(stdout) as SizeResult), code };
  };
  const fresh = async (): Promise<void> => {
    await rm(box.at('repo'), { recursive: true, force: true });
    await cp(golden, box.at('repo'), { recursive: true });
  };

  before(async () => {
    box = await sandbox();
    await fresh();
  });
  after(() => box[Symbol.asyncDispose]());

  it('shows sources, backups and the whole on standard output', async () => {
    const { code, stdout, stderr } = await size();
    assert.deepEqual([code, stderr], [0, '']);
    const [sources = '', backups = '', whole = ''] = stdout.split('\n\n');
    assert.match(
      sources,
      /^SOURCE +BACKUPS +SIZE +UNIQUE +STORED +OWN +SHARED +DEDUP +COMPRESSION\nbytes +2 +153\.9 KiB /,
    );
    assert.match(backups, /^ID +STARTED +SOURCE /);
    assert.equal(backups.split('\n').length, 3);
    assert.match(backups, / 39\.5 KiB +24\.8 KiB +1\.0x +1\.6x\n.* 4\.7 KiB +24\.8 KiB +1\.0x +2\.5x$/);
    for (const row of [
      /^the whole repository$/m,
      /^contents +153\.9 KiB in 2 backups$/m,
      /^unique +91\.9 KiB, dedup 1\.7x/m,
      /^ {2}unused +0 B$/m,
      /^total +87\.0 KiB in /m,
    ])
      assert.match(whole, row);
  });

  it('tells why UNIQUE may be above SIZE, where it is', async () => {
    const database = new DatabaseSync(box.at('app.db'));
    database.exec(`CREATE TABLE a (x INTEGER PRIMARY KEY, b TEXT);
      WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 3000)
      INSERT INTO a SELECT i, hex(randomblob(40)) FROM n`);
    const work = async (...args: readonly string[]): Promise<Ran> => {
      const ran = await runInProcess(box, [...args, '--repo', './sqlite']);
      assert.equal(ran.code, 0, ran.stderr);
      return ran;
    };
    await work('init', '--no-encryption');
    await work('backup', '--from', 'sqlite:app.db');
    const first = await work('size');
    assert.deepEqual(
      [/UNIQUE above/.test(first.stderr), first.stdout.includes('\nthe whole repository\n')],
      [false, true],
    );
    database.exec(`UPDATE a SET b = hex(randomblob(40)) WHERE x % 500 = 0`);
    database.close();
    await work('backup', '--from', 'sqlite:app.db');
    assert.match((await work('size')).stderr, /^UNIQUE above SIZE: .*SQLite/m);
  });

  it('prints one object with --json, with every backup', async () => {
    assert.equal((await size('--json')).stderr, '');
    const { schema, ok, repository, sources, backups, unreadable } = await asJson();
    assert.deepEqual([schema, ok, unreadable], [1, true, []]);
    assert.deepEqual([sources.length, backups.length, repository.backups], [1, 2, 2]);
    const config = await readFile(box.at('repo', 'holdfast.json'));
    const { pack_bytes: packs, index_bytes: index, manifest_bytes: manifests, key_bytes: keys } = repository;
    assert.equal(repository.total_bytes, packs + index + manifests + keys + config.length);
  });

  it('shows what --source and --limit leave, and measures all the same', async () => {
    const all = await asJson();
    const newest = await asJson('--limit', '1', '--source', 'bytes');
    assert.deepEqual(newest.backups, all.backups.slice(-1));
    assert.deepEqual([newest.sources, newest.repository], [all.sources, all.repository]);
    const short = await size('--limit', '1');
    assert.ok(!short.stdout.includes(all.backups[0]?.id.slice(0, 8) ?? ''), short.stdout);
    const unknown = await size('--source', 'byte');
    assert.equal(unknown.code, 6);
    assert.match(unknown.stderr, /did you mean bytes\?/);
  });

  it('names a damaged manifest, measures the rest and ends as list does', async () => {
    const [first = '', second = ''] = (await readdir(box.at('repo', 'snapshots'))).toSorted();
    const path = box.at('repo', 'snapshots', first);
    const bytes = await readFile(path);
    bytes[90] = (bytes[90] ?? 0) ^ 1;
    await writeFile(path, bytes);
    const listed = await runInProcess(box, ['list', '--repo', './repo']);
    const { code, stderr, stdout } = await size();
    assert.deepEqual([code, listed.code], [9, 9]);
    assert.match(stderr, /HF-3016/);
    assert.match(stderr, new RegExp(`${first.slice(-32, -24)} is there and cannot be measured`));
    assert.match(stdout, new RegExp(`^${second.slice(-32, -24)} `, 'm'));
    const { ok, unreadable, error } = await asJson();
    assert.deepEqual([ok, error?.['code']], [false, 'HF-3016']);
    assert.deepEqual(
      unreadable.map(({ id }) => id),
      [first.slice(-32)],
    );
    await fresh();
  });

  it('counts the chunks of a pack that is gone', async () => {
    const packs = await readdir(box.at('repo', 'packs'), { recursive: true });
    const seen = new Set<unknown>();
    for (const pack of packs.filter((name) => name.includes('/'))) {
      await rm(box.at('repo', 'packs', pack));
      const { code, error, backups, unreadable } = await asJson();
      assert.equal(code, 9);
      assert.equal(backups.length + unreadable.length, 2);
      if (backups.some(({ missing_chunks: missing }) => missing > 0))
        assert.match((await size()).stderr, /lacks \d+ chunks?/);
      seen.add(error?.['code']);
      await fresh();
    }
    assert.ok(seen.has('HF-3016'), 'each pack holds the list of a backup');
  });

  it('ends with an error of its own where only chunks are missing', async () => {
    const storage = await openFsStorage(box.at('big'), { create: true, clock: systemClock });
    {
      await using repository = await makeRepository(storage, { encrypted: false });
      await backUp(repository, bytesSource({ big: patternedBytes(20_000_000, 1) }));
    }
    // The first pack is full; the list of entries comes last, and so lies in the other one.
    const packs = (await readdir(box.at('big', 'packs'), { recursive: true })).filter((name) =>
      name.includes('/'),
    );
    const sizes = await Promise.all(
      packs.map(async (name) => (await stat(box.at('big', 'packs', name))).size),
    );
    await rm(box.at('big', 'packs', packs[sizes.indexOf(Math.max(...sizes))] ?? ''));
    const { code, stderr, stdout } = await runInProcess(box, ['size', '--repo', './big']);
    assert.equal(code, 9);
    assert.match(stderr, /error\[HF-3017\]: 1 backup in .* lacks chunks/);
    assert.match(stdout, /^contents +19\.1 MiB in 1 backup$/m);
  });

  it('says what there is in an empty repository', async () => {
    assert.equal((await runInProcess(box, ['init', '--repo', './empty', '--no-encryption'])).code, 0);
    const { code, stdout } = await runInProcess(box, ['size', '--repo', './empty']);
    assert.equal(code, 0);
    assert.match(
      stdout,
      /^the whole repository\ncontents +0 B in 0 backups\nunique +0 B, dedup -, compression -\n/,
    );
  });
});
