import assert from 'node:assert/strict';
import { test } from 'node:test';
import { unscannedFacts } from '../../src/contract/wal.ts';
import { systemClock } from '../../src/kernel/clock.ts';
import { silentLogger, type Logger } from '../../src/kernel/log.ts';
import { openRepository } from '../../src/repository/open.ts';
import type { WalArchive, WalStretch } from '../../src/repository/wal/model.ts';
import { MemoryStorage } from '../../src/storage/memory/memory-storage.ts';
import type { Storage } from '../../src/storage/port.ts';
import { patternedBytes } from '../../testing/bytes.ts';
import { cacheDirectory, passphrase } from '../../testing/repository.ts';
import { failureOf, makeWalArchive, mib, putWal, walBytes, walInfo } from '../../testing/wal-archive.ts';

for (const encrypted of [true, false]) {
  const how = encrypted ? 'encrypted' : 'plain';

  test(`every flipped bit of an object with WAL is found and named (${how})`, async () => {
    const { repository, archive, storage } = await makeWalArchive({ encrypted });
    await using _ = repository;
    await putWal(archive, 4096, walBytes(4096, 300));
    const stretch = await onlyStretch(archive);
    const good = await storage.get(stretch.objectName);
    for (let bit = 0; bit < good.length * 8; bit += 1) {
      await replace(storage, stretch.objectName, flipped(good, bit));
      const error = await failureOf(archive.read(stretch));
      assert.equal(error.errorName, 'object_damaged', `bit ${bit}: ${error.message}`);
      assert.ok(error.message.includes(stretch.objectName), error.message);
    }
    await replace(storage, stretch.objectName, good);
    assert.deepEqual(await archive.read(stretch), walBytes(4096, 300));
  });

  test(`every flipped bit of what the facts are read from is found (${how})`, async () => {
    const { repository, archive, storage } = await makeWalArchive({ encrypted });
    await using _ = repository;
    await putWal(archive, 4096, walBytes(4096, 100));
    const stretch = await onlyStretch(archive);
    const good = await storage.get(stretch.objectName);
    // What lies behind the head is not looked at; it ends where the only frame begins.
    const end = good.length - lastFrameBytes(good);
    for (let bit = 0; bit < end * 8; bit += 1) {
      await replace(storage, stretch.objectName, flipped(good, bit));
      assert.equal((await failureOf(archive.facts(stretch))).errorName, 'object_damaged', `bit ${bit}`);
    }
    for (let bytes = 0; bytes < end; bytes += 1) {
      await replace(storage, stretch.objectName, good.subarray(0, bytes));
      assert.equal((await failureOf(archive.facts(stretch))).errorName, 'object_damaged', `${bytes} bytes`);
    }
  });

  test(`every flipped bit of what tells about an archive, and of a file, is found (${how})`, async () => {
    const { repository, archive, storage } = await makeWalArchive({ encrypted });
    await using _ = repository;
    const about = `wal/about/${archive.id}`;
    await archive.putFile('00000002.history', Buffer.from('1\t0/3000000\tx\n'));
    const file = `wal/${archive.id}/files/00000002.history`;
    for (const [name, read] of [
      [about, () => repository.walArchive(walInfo)],
      [file, () => archive.getFile('00000002.history')],
      [file, () => archive.putFile('00000002.history', Buffer.from('1\t0/3000000\tx\n'))],
    ] as const) {
      const good = await storage.get(name);
      for (let bit = 0; bit < good.length * 8; bit += 1) {
        await replace(storage, name, flipped(good, bit));
        const error = await failureOf(read());
        assert.equal(error.errorName, 'object_damaged', `bit ${bit} of ${name}`);
        assert.ok(error.message.includes(name));
      }
      await replace(storage, name, good);
      await read();
    }
    assert.deepEqual(await Array.fromAsync(repository.walArchiveIds()), [archive.id]);
  });

  test(`bits flipped in the frames of a large object, and cuts anywhere, are found (${how})`, async () => {
    const { repository, archive, storage } = await makeWalArchive({ encrypted, segmentBytes: 4 * mib });
    await using _ = repository;
    // The second frame does not get smaller, and is kept as it is.
    const unit = Buffer.concat([walBytes(0, mib), patternedBytes(mib, 7), walBytes(0, 2 * mib)]);
    await putWal(archive, 0, unit);
    const stretch = await onlyStretch(archive);
    const good = await storage.get(stretch.objectName);
    assert.equal(Buffer.compare(await archive.read(stretch), unit), 0);
    const step = Math.floor(good.length / 40);
    for (let byte = 13; byte < good.length; byte += step) {
      await replace(storage, stretch.objectName, flipped(good, byte * 8 + (byte % 8)));
      assert.equal((await failureOf(archive.read(stretch))).errorName, 'object_damaged', `byte ${byte}`);
      await replace(storage, stretch.objectName, good.subarray(0, byte));
      assert.equal((await failureOf(archive.read(stretch))).errorName, 'object_damaged', `cut at ${byte}`);
    }
    for (const surplus of [good.subarray(good.length - 100), Buffer.alloc(1), good]) {
      await replace(storage, stretch.objectName, Buffer.concat([good, surplus]));
      assert.equal((await failureOf(archive.read(stretch))).errorName, 'object_damaged');
    }
    await replace(storage, stretch.objectName, good.subarray(0, good.length - lastFrameBytes(good)));
    assert.equal((await failureOf(archive.read(stretch))).errorName, 'object_damaged');
  });

  test(`an object under another name, of another archive or repository is not taken (${how})`, async () => {
    const { repository, archive, storage } = await makeWalArchive({ encrypted });
    await using _ = repository;
    await putWal(archive, 0, walBytes(0, mib));
    await putWal(archive, mib, walBytes(mib, mib));
    const [one, other] = await Array.fromAsync(archive.stretches(1));
    assert.ok(one !== undefined && other !== undefined);
    const good = await storage.get(one.objectName);
    await replace(storage, other.objectName, good);
    assert.equal((await failureOf(archive.read(other))).errorName, 'object_damaged');
    assert.equal((await failureOf(archive.facts(other))).errorName, 'object_damaged');
    await storage.put(one.objectName.replace('/00000001/', '/00000002/'), good);
    const moved = await onlyStretch(archive, 2);
    assert.equal((await failureOf(archive.read(moved))).errorName, 'object_damaged');
    await storage.put(`${one.objectName}.p00001000`, good);
    const [, part] = await Array.fromAsync(archive.stretches(1));
    assert.ok(part !== undefined && !part.isWhole);
    assert.equal((await failureOf(archive.read(part))).errorName, 'object_damaged');

    const beside = await repository.walArchive({ ...walInfo, source: 'beside' });
    await storage.put(one.objectName.replace(archive.id, beside.id), good);
    const copied = await onlyStretch(beside);
    assert.equal((await failureOf(beside.read(copied))).errorName, 'object_damaged');
    assert.equal((await failureOf(beside.facts(copied))).errorName, 'object_damaged');

    const elsewhere = await makeWalArchive({ encrypted });
    await using _elsewhere = elsewhere.repository;
    await elsewhere.storage.put(one.objectName.replace(archive.id, elsewhere.archive.id), good);
    const error = await failureOf(elsewhere.archive.read(await onlyStretch(elsewhere.archive)));
    assert.match(error.message, /belongs to another repository/);

    await replace(storage, one.objectName, await storage.get(`wal/about/${archive.id}`));
    assert.equal((await failureOf(archive.read(one))).errorName, 'object_damaged');
  });
}

test('a unit that is damaged as a whole comes from its parts, as long as they reach', async () => {
  const { repository, archive, storage } = await makeWalArchive();
  await using _ = repository;
  const unit = walBytes(0, mib);
  for (const [start, end] of [
    [0, 400_000],
    [100, 300_000],
    [400_000, 600_000],
    [350_000, mib],
  ] as const)
    await putWal(archive, start, unit.subarray(start, end));
  await putWal(archive, 0, unit);
  await damage(storage, await stretchAt(archive, 0, mib));
  assert.equal(Buffer.compare(await archive.readUnit(1, 0n), unit), 0);
  await damage(storage, await stretchAt(archive, 0, 400_000));
  assert.equal((await failureOf(archive.readUnit(1, 0n))).errorName, 'object_damaged');
});

test('a damaged part is made up for by others, else it is named and nothing short is handed out', async () => {
  const { repository, archive, storage } = await makeWalArchive();
  await using _ = repository;
  const unit = walBytes(0, mib);
  for (const [start, end] of [
    [0, 1000],
    [1000, 3000],
    [1000, 2000],
    [1500, 3000],
    [3000, 4000],
    [5000, 6000],
  ] as const)
    await putWal(archive, start, unit.subarray(start, end));
  await damage(storage, await stretchAt(archive, 1000, 3000));
  assert.deepEqual(await archive.readUnit(1, 0n), unit.slice(0, 4000));
  await damage(storage, await stretchAt(archive, 5000, 6000));
  assert.deepEqual(await archive.readUnit(1, 0n), unit.slice(0, 4000));
  await damage(storage, await stretchAt(archive, 1500, 3000));
  const error = await failureOf(archive.readUnit(1, 0n));
  assert.equal(error.errorName, 'object_damaged');
});

test('damaged objects do not stop good WAL from being stored beside them', async () => {
  const warnings: string[] = [];
  const log: Logger = {
    ...silentLogger,
    warn: (message, fields) => warnings.push(`${message} ${JSON.stringify(fields)}`),
  };
  const storage = new MemoryStorage(systemClock);
  const { repository, archive: first } = await makeWalArchive({ storage });
  await using _ = repository;
  const options = { passphrase, cacheDirectory: cacheDirectory(), clock: systemClock, host: 'h', user: 'u' };
  await using logged = await openRepository(storage, { ...options, log });
  const archive = await logged.walArchive(walInfo);
  await putWal(first, 100, walBytes(100, 100));
  await putWal(first, mib, walBytes(mib, mib));
  const [part, whole] = await Array.fromAsync(archive.stretches(1));
  assert.ok(part !== undefined && whole !== undefined);
  await damage(storage, part);
  await damage(storage, whole);
  assert.equal(await putWal(archive, 0, walBytes(0, mib)), 'stored');
  assert.equal(await putWal(archive, mib + 50, walBytes(mib + 50, 10)), 'stored');
  assert.equal(warnings.length, 2);
  assert.ok(warnings[0]?.includes(part.objectName), warnings[0]);
  assert.ok(warnings[1]?.includes(whole.objectName), warnings[1]);
  const taken = await failureOf(putWal(archive, 100, walBytes(100, 100)));
  assert.equal(taken.errorName, 'object_damaged');
  assert.ok(taken.message.includes(part.objectName));
});

test('parts go when the whole unit is there and good, and only then', async () => {
  const { repository, archive, storage } = await makeWalArchive();
  await using _ = repository;
  const unit = walBytes(0, mib);
  const count = async (): Promise<number> => (await Array.fromAsync(archive.stretches(1))).length;
  await putWal(archive, 0, unit.subarray(0, 100));
  await putWal(archive, 100, unit.subarray(100, 300));
  await putWal(archive, mib, walBytes(mib, 100));
  await archive.dropParts(1, 0n);
  assert.equal(await count(), 3);
  await putWal(archive, 0, unit);
  const whole = await stretchAt(archive, 0, mib);
  const good = await storage.get(whole.objectName);
  await damage(storage, whole);
  assert.equal((await failureOf(archive.dropParts(1, 0n))).errorName, 'object_damaged');
  assert.equal(await count(), 4);
  await replace(storage, whole.objectName, good);
  await damage(storage, await stretchAt(archive, 0, 100));
  await archive.dropParts(1, 0n);
  assert.deepEqual(
    (await Array.fromAsync(archive.stretches(1))).map(({ start, isWhole }) => [start, isWhole]),
    [
      [0n, true],
      [BigInt(mib), false],
    ],
  );
  assert.equal(Buffer.compare(await archive.readUnit(1, 0n), unit), 0);
});

test('objects with names that none of ours can have are passed over', async () => {
  const { repository, archive, storage } = await makeWalArchive();
  await using _ = repository;
  const folder = `wal/${archive.id}/00000001/00000000`;
  for (const name of [
    '00100001',
    '00000010.p00000000',
    '00000010.p00100000',
    '00000000.p00100000',
    '0010',
    'x',
  ])
    await storage.put(`${folder}/${name}`, Buffer.from('something'));
  assert.deepEqual(await Array.fromAsync(archive.stretches(1)), []);
  await archive.put({ timeline: 1, start: 0n, bytes: walBytes(0, mib) }, unscannedFacts);
  assert.equal((await Array.fromAsync(archive.stretches(1))).length, 1);
});

async function onlyStretch(archive: WalArchive, timeline = 1): Promise<WalStretch> {
  const [stretch, ...others] = await Array.fromAsync(archive.stretches(timeline));
  assert.ok(stretch !== undefined && others.length === 0);
  return stretch;
}

async function stretchAt(archive: WalArchive, start: number, end: number): Promise<WalStretch> {
  for await (const stretch of archive.stretches(1))
    if (stretch.start === BigInt(start) && stretch.end === BigInt(end)) return stretch;
  throw new Error(`nothing from ${start} to ${end}`);
}

/** Of its last section, read as docs/format.md says: they follow each other. */
function lastFrameBytes(object: Uint8Array): number {
  const view = Buffer.from(object);
  let at = 64;
  for (;;) {
    const bytes = 12 + view.readUInt32LE(at + 8) + 16;
    if (at + bytes === view.length) return bytes;
    at += bytes;
  }
}

async function damage(storage: Storage, { objectName }: WalStretch): Promise<void> {
  const good = await storage.get(objectName);
  await replace(storage, objectName, flipped(good, (good.length - 20) * 8));
}

async function replace(storage: Storage, name: string, bytes: Uint8Array): Promise<void> {
  await storage.delete(name);
  await storage.put(name, bytes);
}

function flipped(bytes: Uint8Array, bit: number): Uint8Array {
  const copy = Uint8Array.from(bytes);
  copy[bit >> 3] = (copy[bit >> 3] ?? 0) ^ (1 << (bit & 7));
  return copy;
}
