import assert from 'node:assert/strict';
import { test } from 'node:test';
import { systemClock } from '../../src/kernel/clock.ts';
import { forgottenRecords } from '../../src/repository/history/forgotten.ts';
import { MemoryStorage } from '../../src/storage/memory/memory-storage.ts';
import { patternedBytes } from '../../testing/bytes.ts';
import { assertWhole, copyOf, namesIn, repaired, verified, type Made } from '../../testing/repair.ts';
import { backUp, bytesSource, makeRepository, openTestRepository } from '../../testing/repository.ts';
import { forgetAt } from './forget-support.ts';

async function threeBackups(storage: MemoryStorage): Promise<readonly Made[]> {
  await using repository = await makeRepository(storage);
  const made: Made[] = [];
  for (const number of [1, 2, 3]) {
    const contents = { own: patternedBytes(200_000, number) };
    made.push([await backUp(repository, bytesSource(contents)), contents]);
  }
  return made;
}

async function forgetSecond(storage: MemoryStorage): Promise<void> {
  await using repository = await openTestRepository(storage);
  await forgetAt(repository, [1]);
}

/** Removes the manifest of the second backup, which the third one names. */
async function loseSecond(storage: MemoryStorage): Promise<void> {
  const [, name = ''] = await namesIn(storage, 'snapshots/');
  await storage.delete(name);
  assert.equal((await verified(storage)).ok, false);
}

for (const others of ['another copy', 'nobody else'] as const)
  test(`a backup that one copy has forgotten by its own rules is brought back; ${others} has it, too`, async () => {
    const storage = new MemoryStorage(systemClock);
    const made = await threeBackups(storage);
    const small = await copyOf(storage);
    const big = await copyOf(storage);
    await forgetSecond(small);
    await loseSecond(storage);
    const { after, report } = await repaired(storage, others === 'another copy' ? [small, big] : [small]);
    const [step] = report.done;
    assert.deepEqual(
      [step?.action, step?.from],
      ['bring_back', others === 'another copy' ? 'copy1' : 'copy0'],
    );
    assert.deepEqual(after.problems, []);
    assert.deepEqual(await namesIn(storage, 'forgotten/'), []);
    await assertWhole(storage, made);
  });

test('of a backup that nobody has any more the record of a copy is taken over, and it is said whose it is', async () => {
  const storage = new MemoryStorage(systemClock);
  const made = await threeBackups(storage);
  const small = await copyOf(storage);
  await forgetSecond(small);
  for (const name of await namesIn(small, 'trash/')) await small.delete(name);
  await loseSecond(storage);
  const { after, report } = await repaired(storage, [small]);
  assert.match(report.plan[0]?.note ?? '', /told by copy0 to have been forgotten there/);
  assert.deepEqual(after.problems, []);
  await assertWhole(
    storage,
    [made[0], made[2]].filter((one) => one !== undefined),
  );
});

test('of a record only what is told of what nobody has is taken over', async () => {
  const storage = new MemoryStorage(systemClock);
  const made = await threeBackups(storage);
  const small = await copyOf(storage);
  const big = await copyOf(storage);
  {
    await using repository = await openTestRepository(small);
    await forgetAt(repository, [0, 1]);
  }
  for (const name of await namesIn(small, 'trash/')) await small.delete(name);
  // The first one nobody has now, the second one the other copy.
  const [first = '', second = ''] = await namesIn(storage, 'snapshots/');
  await big.delete(first);
  for (const name of [first, second]) await storage.delete(name);
  await verified(storage);
  const { after } = await repaired(storage, [small, big]);
  assert.deepEqual(after.problems, []);
  await assertWhole(storage, made.slice(1));
  await using repository = await openTestRepository(storage);
  const records = await Array.fromAsync(forgottenRecords(repository));
  const told = records.flatMap((read) => ('record' in read ? read.record.backups.map(({ id }) => id) : []));
  assert.deepEqual(told, [made[0]?.[0].id]);
});

test('a backup in the own trash without any record is brought back from there', async () => {
  const storage = new MemoryStorage(systemClock);
  const made = await threeBackups(storage);
  await forgetSecond(storage);
  for (const name of await namesIn(storage, 'forgotten/')) await storage.delete(name);
  const { after, report } = await repaired(storage, []);
  assert.deepEqual(
    report.done.map(({ action, from }) => [action, from]),
    [['bring_back', 'here']],
  );
  assert.deepEqual(after.problems, []);
  await assertWhole(storage, made);
});
