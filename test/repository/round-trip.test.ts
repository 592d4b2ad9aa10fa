import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { systemClock } from '../../src/kernel/clock.ts';
import { MemoryStorage } from '../../src/storage/memory/memory-storage.ts';
import {
  backUp,
  bytesSource,
  makeRepository,
  openTestRepository,
  readBack,
} from '../../testing/repository.ts';
import { patternedBytes } from '../../testing/bytes.ts';

const newStorage = (): MemoryStorage => new MemoryStorage(systemClock);

for (const encrypted of [true, false]) {
  const kind = encrypted ? 'encrypted' : 'plain';

  test(`what is backed up comes back byte for byte (${kind})`, async () => {
    await using repository = await makeRepository(newStorage(), { encrypted });
    const contents = {
      empty: Buffer.alloc(0),
      one: Buffer.from('x'),
      text: Buffer.from('hold fast\n'.repeat(400_000)),
      random: patternedBytes(9_000_000, 1),
    };
    const manifest = await backUp(repository, bytesSource(contents));
    assert.deepEqual(await readBack(repository, manifest), contents);
    assert.equal(manifest.stats.bytes_read, 1 + 4_000_000 + 9_000_000);
  });

  test(`another process with an empty cache reads the same (${kind})`, async () => {
    const storage = newStorage();
    const contents = { random: patternedBytes(3_000_000, 2) };
    {
      await using repository = await makeRepository(storage, { encrypted });
      await backUp(repository, bytesSource(contents));
    }
    await using reopened = await openTestRepository(storage, { encrypted });
    assert.deepEqual(await readBack(reopened, await reopened.find('latest')), contents);
  });
}

test('a second backup of the same bytes stores next to nothing', async () => {
  await using repository = await makeRepository(newStorage());
  const contents = { random: patternedBytes(8_000_000, 3) };
  const first = await backUp(repository, bytesSource(contents));
  const second = await backUp(repository, bytesSource(contents));
  assert.ok(first.stats.bytes_added > 8_000_000);
  assert.ok(second.stats.bytes_added < 2_000, `${second.stats.bytes_added} bytes`);
  assert.deepEqual(await readBack(repository, second), contents);
});

test('losing every index loses nothing', async () => {
  const storage = newStorage();
  const contents = { a: patternedBytes(5_000_000, 4), b: patternedBytes(70_000, 5) };
  {
    await using repository = await makeRepository(storage);
    await backUp(repository, bytesSource(contents));
  }
  for await (const { name } of storage.list('index/')) await storage.delete(name);
  await using reopened = await openTestRepository(storage);
  assert.deepEqual(await readBack(reopened, await reopened.find('latest')), contents);
  const again = await backUp(reopened, bytesSource(contents));
  assert.ok(again.stats.bytes_added < 2_000);
});

test('any bytes, cut into any chunks, come back', async () => {
  await using repository = await makeRepository(newStorage(), { encrypted: false });
  const chunkings = fc.constantFrom(
    { type: 'content', averageBytes: 65_536 } as const,
    { type: 'content', averageBytes: 1_048_576 } as const,
    { type: 'fixed', sizeBytes: 8192 } as const,
    { type: 'fixed', sizeBytes: 512 } as const,
  );
  const streams = fc.array(fc.record({ size: fc.integer({ min: 0, max: 400_000 }), seed: fc.nat(3) }), {
    maxLength: 4,
  });
  await fc.assert(
    fc.asyncProperty(streams, chunkings, async (specs, chunking) => {
      const contents = Object.fromEntries(
        specs.map(({ size, seed }, i) => [`s${i}`, patternedBytes(size, seed)]),
      );
      const manifest = await backUp(repository, bytesSource(contents, chunking));
      assert.deepEqual(await readBack(repository, manifest), contents);
    }),
    { numRuns: 25 },
  );
});

test('a map of several levels leads to the same bytes', async () => {
  await using repository = await makeRepository(newStorage(), { encrypted: false });
  const contents = { pages: patternedBytes(6_000_000, 6) };
  const manifest = await backUp(repository, bytesSource(contents, { type: 'fixed', sizeBytes: 512 }));
  let depth = 0;
  for await (const entry of repository.entries(manifest)) depth = entry.stream?.depth ?? 0;
  assert.ok(depth >= 2, `depth ${depth}`);
  assert.deepEqual(await readBack(repository, manifest), contents);
});
