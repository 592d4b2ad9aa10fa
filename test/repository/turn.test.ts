import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Turn } from '../../src/repository/gc/turn.ts';
import { MemoryStorage } from '../../src/storage/memory/memory-storage.ts';
import { ManualClock } from '../../testing/clock.ts';
import { makeRepository } from '../../testing/repository.ts';

const minute = 60_000;

async function setUp() {
  const clock = new ManualClock();
  const storage = new MemoryStorage(clock);
  const repository = await makeRepository(storage, { encrypted: false, clock });
  const take = (host: string, pid = 1, isAlive = true): Promise<Turn> =>
    Turn.take({
      storage,
      keys: repository.pipelineKeys,
      clock,
      host,
      pid,
      isAlive: () => isAlive,
      lastsMs: 60 * minute,
    });
  const turns = async (): Promise<string[]> =>
    (await Array.fromAsync(storage.list('gc/turns/'))).map(({ name }) => name.slice(-3));
  return { clock, take, turns, repository };
}

test('one has the turn; an attempt of another one neither gets it nor ends it', async () => {
  const { clock, take, turns } = await setUp();
  const first = await take('one');
  await assert.rejects(take('two'), { errorName: 'prune_busy' });
  await first.assertHeld();
  await clock.advance(59 * minute);
  await assert.rejects(take('two'), { errorName: 'prune_busy' });
  await first[Symbol.asyncDispose]();
  assert.deepEqual(await turns(), []);
  await (await take('two'))[Symbol.asyncDispose]();
});

test('of many that begin at once, one gets it', async () => {
  const { take } = await setUp();
  const outcomes = await Promise.allSettled(Array.from({ length: 8 }, (_, i) => take(`host ${i}`)));
  assert.equal(outcomes.filter(({ status }) => status === 'fulfilled').length, 1);
});

test('who says that it is alive keeps it, however long it takes and however many ask at once', async () => {
  const { clock, take, turns } = await setUp();
  await using turn = await take('one');
  for (let hour = 0; hour < 5; hour += 1) {
    await clock.advance(50 * minute);
    await Promise.all(Array.from({ length: 6 }, () => turn.stay()));
    await assert.rejects(take('two'), { errorName: 'prune_busy' });
  }
  assert.deepEqual(await turns(), ['006']);
});

test('a turn that was left is passed over, and who left it finds out', async () => {
  const { clock, take } = await setUp();
  const slept = await take('one');
  await clock.advance(61 * minute);
  await using second = await take('two');
  await assert.rejects(slept.assertHeld(), { errorName: 'prune_turn_lost' });
  await slept[Symbol.asyncDispose]();
  await second.assertHeld();
});

test('a process of this machine that is gone is passed over at once', async () => {
  const { take } = await setUp();
  const killed = await take('one', 77);
  await using second = await take('one', 78, false);
  await assert.rejects(killed.assertHeld(), { errorName: 'prune_turn_lost' });
  await second.assertHeld();
});
