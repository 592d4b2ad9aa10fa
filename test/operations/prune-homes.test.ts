import assert from 'node:assert/strict';
import { test } from 'node:test';
import { blobsOf } from '../../src/repository/index-object.ts';
import { MemoryStorage } from '../../src/storage/memory/memory-storage.ts';
import { patternedBytes } from '../../testing/bytes.ts';
import { ManualClock } from '../../testing/clock.ts';
import { pruneWith } from '../../testing/prune.ts';
import { flip, namesIn, replace } from '../../testing/repair.ts';
import {
  backUp,
  bytesSource,
  cacheDirectory,
  makeRepository,
  openTestRepository,
  readBack,
} from '../../testing/repository.ts';

const hour = 3_600_000;
const plain = { encrypted: false };

/** A repository with two packs that hold the same chunks. */
async function withCopies(seed: number) {
  const clock = new ManualClock();
  const storage = new MemoryStorage(clock);
  const cache = cacheDirectory();
  await using repository = await makeRepository(storage, { ...plain, clock, cache });
  const contents = { a: Buffer.from(patternedBytes(200_000, seed)) };
  await backUp(repository, bytesSource(contents), { clock });
  const index = await repository.cache();
  for (const { id } of index.packs('listed'))
    for (const blob of blobsOf(index.packContents(id) ?? assert.fail())) index.markDamaged(blob.id, id);
  const second = await backUp(repository, bytesSource(contents), { clock });
  await clock.advance(48 * hour);
  return { clock, storage, contents, second, packs: await namesIn(storage, 'packs/') };
}

for (const damagedOne of [0, 1])
  test(`of two copies of a chunk a prune that knows of no damage keeps the good one (${damagedOne})`, async () => {
    const { clock, storage, contents, second, packs } = await withCopies(damagedOne);
    assert.equal(packs.length, 2);
    const name = packs[damagedOne] ?? '';
    await replace(storage, name, flip(await storage.get(name), 8 * 5000));
    const cache = cacheDirectory();
    const removed: number[] = [];
    for (let round = 0; round < 3; round += 1) {
      await using elsewhere = await openTestRepository(storage, { ...plain, clock, cache });
      removed.push((await pruneWith(elsewhere, clock)).removed.packs);
      await clock.advance(100 * hour);
    }
    assert.ok(removed.reduce((sum, packs) => sum + packs) <= 1);
    await using restoring = await openTestRepository(storage, plain);
    assert.deepEqual(await readBack(restoring, second), contents);
  });

test('of two good copies of a chunk one goes, when the other was read', async () => {
  const { clock, storage, contents, second } = await withCopies(3);
  await using pruner = await openTestRepository(storage, { ...plain, clock });
  await pruneWith(pruner, clock);
  await clock.advance(100 * hour);
  assert.equal((await pruneWith(pruner, clock)).removed.packs, 1);
  assert.equal((await namesIn(storage, 'packs/')).length, 1);
  await using restoring = await openTestRepository(storage, plain);
  assert.deepEqual(await readBack(restoring, second), contents);
});
