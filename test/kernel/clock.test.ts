import assert from 'node:assert/strict';
import { getEventListeners } from 'node:events';
import { test } from 'node:test';
import { systemClock } from '../../src/kernel/clock.ts';
import { ManualClock } from '../../testing/clock.ts';

test('sleep lasts at least as long as asked and leaves no listener behind', async () => {
  const controller = new AbortController();
  const before = systemClock.monotonicNs();
  await systemClock.sleep(20, controller.signal);
  assert.ok(systemClock.monotonicNs() - before >= 19_000_000n);
  assert.equal(getEventListeners(controller.signal, 'abort').length, 0);
  await systemClock.sleep(0);
  await systemClock.sleep(-5);
});

test('an abort ends a sleep at once with its reason, and an aborted signal starts none', async () => {
  const controller = new AbortController();
  const reason = new Error('stop');
  const sleeping = systemClock.sleep(60_000, controller.signal);
  controller.abort(reason);
  await assert.rejects(sleeping, reason);
  await assert.rejects(systemClock.sleep(1, controller.signal), reason);
});

test('a sleep of months is not over at once', async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const days = 24 * 3600 * 1000;
  let over = false;
  const sleeping = systemClock.sleep(60 * days).then(() => void (over = true));
  t.mock.timers.tick(2 ** 31 - 1);
  await Promise.resolve();
  await Promise.resolve();
  t.mock.timers.tick(1);
  await new Promise(setImmediate);
  assert.equal(over, false);
  for (let n = 0; n < 4 && !over; n += 1) {
    t.mock.timers.tick(2 ** 31 - 1);
    await new Promise(setImmediate);
  }
  await sleeping;
});

test('the clock of tests stands still, wakes in order, and moves both its hands', async () => {
  const clock = new ManualClock(1_000);
  const woken: string[] = [];
  const sleeper = async (name: string, ms: number): Promise<void> => {
    await clock.sleep(ms);
    woken.push(`${name}@${clock.now()}`);
  };
  const all = Promise.all([sleeper('b', 20), sleeper('a', 10), sleeper('c', 500)]);
  await clock.untilSleeping();
  await clock.advance(100);
  assert.deepEqual(woken, ['a@1010', 'b@1020']);
  assert.equal(clock.monotonicNs(), 100_000_000n);
  assert.equal(clock.sleeping, 1);
  await clock.advance(400);
  await all;
});
