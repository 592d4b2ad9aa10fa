import assert from 'node:assert/strict';
import { test } from 'node:test';
import { systemClock } from '../../src/kernel/clock.ts';
import { MemoryStorage } from '../../src/storage/memory/memory-storage.ts';
import { patternedBytes } from '../../testing/bytes.ts';
import {
  backUp,
  bytesSource,
  makeRepository,
  openTestRepository,
  readBack,
} from '../../testing/repository.ts';

const contents = { a: patternedBytes(400_000, 1), b: Buffer.from('small'), c: patternedBytes(90_000, 2) };

/** A repository without any index, whose only pack was changed by `damage`. */
async function withDamagedPack(damage: (pack: Uint8Array) => void): Promise<MemoryStorage> {
  const storage = new MemoryStorage(systemClock);
  {
    await using repository = await makeRepository(storage);
    await backUp(repository, bytesSource(contents));
  }
  for await (const { name } of storage.list('index/')) await storage.delete(name);
  for await (const { name } of storage.list('packs/')) {
    const bytes = await storage.get(name);
    damage(bytes);
    await storage.delete(name);
    await storage.put(name, bytes);
  }
  return storage;
}

const flip = (bytes: Uint8Array, at: number): void => {
  bytes[at] = (bytes[at] ?? 0) ^ 0x10;
};

const survivable: [string, (pack: Uint8Array) => void][] = [
  ['its footer', (pack) => flip(pack, pack.length - 200)],
  ['its trailer', (pack) => flip(pack, pack.length - 76)],
  ['its first header', (pack) => flip(pack, 30)],
  ['the copy of its header', (pack) => flip(pack, pack.length - 10)],
  ['its footer and its first header', (pack) => [30, pack.length - 200].forEach((at) => flip(pack, at))],
];

for (const [what, damage] of survivable) {
  test(`a pack tells what it holds without any index and with damage to ${what}`, async () => {
    await using repository = await openTestRepository(await withDamagedPack(damage));
    assert.deepEqual(await readBack(repository, await repository.find('latest')), contents);
  });
}

test('a pack that has lost both headers is named, and nothing is made up', async () => {
  const storage = await withDamagedPack((pack) => [30, pack.length - 10].forEach((at) => flip(pack, at)));
  await using repository = await openTestRepository(storage);
  const manifest = await repository.find('latest');
  await assert.rejects(readBack(repository, manifest), { errorName: 'blob_missing' });
  assert.deepEqual(
    repository.indexProblems.map(({ object }) => object.startsWith('packs/')),
    [true],
  );
});
