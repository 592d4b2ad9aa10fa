import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { gunzipSync } from 'node:zlib';
import { systemClock } from '../../src/kernel/clock.ts';
import { silentLogger } from '../../src/kernel/log.ts';
import { exportBackup, type NamedItem } from '../../src/operations/export.ts';
import { GzipWriter } from '../../src/operations/gzip.ts';
import type { ExportItem } from '../../src/sources/export-port.ts';
import { MemoryStorage } from '../../src/storage/memory/memory-storage.ts';
import { backUp, bytesSource, makeRepository, silentProgress } from '../../testing/repository.ts';
import { tempDirectory } from '../../testing/temp.ts';
import { failing } from '../postgres/support.ts';
import { shell } from './support.ts';

function item(write: ExportItem['write'], gzip = false): ExportItem {
  return {
    label: '',
    extension: '',
    format: 'db',
    gzip,
    bytes: 0,
    contents: {},
    warnings: [],
    use: (file) => file,
    write,
  };
}

async function setUp() {
  const directory = await tempDirectory();
  const repository = await makeRepository(new MemoryStorage(systemClock));
  const manifest = await backUp(repository, bytesSource({ a: Buffer.from('content') }));
  const controller = new AbortController();
  const run = (items: readonly NamedItem[], replace = false) =>
    exportBackup(repository, manifest, items, {
      directory: directory.path,
      token: 'abc123',
      replace,
      describe: ({ sha256 }) => ({ sha256 }),
      signal: controller.signal,
      log: silentLogger,
      jobs: 2,
      progress: silentProgress,
    });
  return {
    path: directory.path,
    controller,
    run,
    [Symbol.asyncDispose]: async () => {
      await repository[Symbol.asyncDispose]();
      await directory[Symbol.asyncDispose]();
    },
  };
}

test('files get their names together, when all are complete', async () => {
  await using the = await setUp();
  const seen: string[][] = [];
  const big = randomBytes(5_000_000);
  const files = await the.run([
    {
      name: 'one',
      item: item(async (sink) => {
        for (let at = 0; at < big.length; at += 700_001) await sink.write(big.subarray(at, at + 700_001));
        await sink.write(big);
        await sink.overwriteStart(Buffer.from('start'));
      }),
    },
    { name: 'two', item: item(async () => void seen.push(await readdir(the.path))) },
    { name: 'three', item: item((sink) => sink.write(big), true) },
  ]);
  assert.deepEqual(seen, [['.one.partial-abc123', '.two.partial-abc123']]);
  const names = ['one', 'three', 'two'].flatMap((name) => [name, `${name}.meta.json`, `${name}.sha256`]);
  assert.deepEqual((await readdir(the.path)).toSorted(), names);
  await shell('sha256sum -c *.sha256', the.path);
  const one = await readFile(join(the.path, 'one'));
  assert.deepEqual(one, Buffer.concat([Buffer.from('start'), big.subarray(5), big]));
  assert.equal(files[0]?.bytes, one.length);
  assert.deepEqual(gunzipSync(await readFile(join(the.path, 'three'))), big);
});

test('a failure and an abort leave nothing, wherever they come', async () => {
  await using the = await setUp();
  const good: NamedItem = { name: 'good', item: item((sink) => sink.write(Buffer.from('x'))) };
  const broken = item(async (sink) => {
    await sink.write(Buffer.from('half'));
    throw new Error('damaged');
  });
  await assert.rejects(the.run([good, { name: 'bad', item: broken }]), /damaged/);
  assert.deepEqual(await readdir(the.path), []);
  const stopped = item(async (sink) => {
    await sink.write(Buffer.from('half'));
    the.controller.abort(new Error('stopped'));
  });
  await assert.rejects(the.run([good, { name: 'bad', item: stopped }]), /stopped/);
  assert.deepEqual(await readdir(the.path), []);
});

test('what somebody else put there meanwhile stays', async () => {
  await using the = await setUp();
  const name = 'taken';
  const late = item(async (sink) => {
    await sink.write(Buffer.from('ours'));
    await writeFile(join(the.path, name), 'theirs');
  });
  await assert.rejects(the.run([{ name, item: late }]), failing('export_exists'));
  assert.equal(await readFile(join(the.path, name), 'utf8'), 'theirs');
  assert.deepEqual(await readdir(the.path), [name]);
  await the.run([{ name, item: late }], true);
  assert.equal(await readFile(join(the.path, name), 'utf8'), 'ours');
});

test('gzip of any size, also of nothing, is read back by everybody', async () => {
  for (const size of [0, 1, 2_097_151, 2_097_152, 9_000_000]) {
    const bytes = randomBytes(size);
    const out: Uint8Array[] = [];
    const writer = new GzipWriter(2, async (piece) => void out.push(piece));
    for (let at = 0; at < size; at += 333_333) await writer.write(bytes.subarray(at, at + 333_333));
    await writer.end();
    assert.deepEqual(gunzipSync(Buffer.concat(out)), bytes, String(size));
  }
});
