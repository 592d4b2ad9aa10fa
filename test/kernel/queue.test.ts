import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import fc from 'fast-check';
import { BoundedQueue, Semaphore } from '../../src/kernel/queue.ts';

async function drain<T>(queue: BoundedQueue<T>): Promise<T[]> {
  const items: T[] = [];
  for await (const item of queue) items.push(item);
  return items;
}

/** Whether a promise has settled after everything that could run has run. */
async function isPending(promise: Promise<unknown>): Promise<boolean> {
  let settled = false;
  const mark = (): void => void (settled = true);
  promise.then(mark, mark);
  await turn();
  return !settled;
}

test('everything pushed arrives in order, whatever the limit, undefined and null included', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.option(fc.integer(), { nil: undefined })),
      fc.integer({ min: 1, max: 5 }),
      async (items, limit) => {
        const queue = new BoundedQueue<number | undefined>(limit);
        const produce = async (): Promise<void> => {
          for (const item of items) {
            await queue.push(item);
            assert.ok(queue.length <= limit);
          }
          queue.close();
        };
        const [received] = await Promise.all([drain(queue), produce()]);
        assert.deepEqual(received, items);
      },
    ),
  );
});

test('pushes that were not awaited keep their order', async () => {
  const queue = new BoundedQueue<number>(2);
  const pushes = Array.from({ length: 10 }, (_, n) => queue.push(n));
  assert.equal(queue.length, 2);
  void Promise.all(pushes).then(() => queue.close());
  assert.deepEqual(await drain(queue), [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
});

test('push waits for room', async () => {
  const queue = new BoundedQueue<string>(1);
  await queue.push('a');
  const second = queue.push('b');
  assert.equal(await isPending(second), true);
  const reader = queue[Symbol.asyncIterator]();
  assert.deepEqual(await reader.next(), { value: 'a', done: false });
  await second;
});

test('close delivers what was accepted, and refuses what comes later or still waited', async () => {
  const queue = new BoundedQueue<string>(1);
  await queue.push('kept');
  const waiting = assert.rejects(queue.push('waiting'), /closed/);
  queue.close();
  queue.close();
  await waiting;
  await assert.rejects(queue.push('late'), /closed/);
  assert.deepEqual(await drain(queue), ['kept']);
});

test('fail ends both sides with the first error', async () => {
  const queue = new BoundedQueue<string>(1);
  const waitingReader = drain(new BoundedQueue<string>(1));
  await queue.push('dropped');
  const waiting = queue.push('waiting');
  queue.fail(new Error('first'));
  queue.fail(new Error('second'));
  await assert.rejects(waiting, /first/);
  await assert.rejects(queue.push('late'), /first/);
  await assert.rejects(drain(queue), /first/);
  assert.equal(await isPending(waitingReader), true);
});

test('fail wakes a waiting reader', async () => {
  const queue = new BoundedQueue<string>(1);
  const reading = drain(queue);
  await turn();
  queue.fail(new Error('gone'));
  await assert.rejects(reading, /gone/);
});

test('a reader that stops early does not leave its producer waiting for ever', async () => {
  const queue = new BoundedQueue<number>(1);
  await queue.push(1);
  const waiting = assert.rejects(
    queue.push(2).then(() => queue.push(3)),
    /stopped reading/,
  );
  for await (const item of queue) {
    assert.equal(item, 1);
    break;
  }
  await waiting;
});

test('limits that would wait for ever are refused', () => {
  for (const limit of [0, -1, NaN, 1.5, Infinity]) {
    assert.throws(() => new BoundedQueue(limit), RangeError);
    assert.throws(() => new Semaphore(limit), RangeError);
  }
});

test('a semaphore never has more holders than places, and serves in order', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.integer({ min: 1, max: 4 }),
      fc.array(fc.nat(3), { maxLength: 20 }),
      async (limit, holds) => {
        const semaphore = new Semaphore(limit);
        const order: number[] = [];
        let holders = 0;
        await Promise.all(
          holds.map(async (turns, index) => {
            using _place = await semaphore.acquire();
            order.push(index);
            holders += 1;
            assert.ok(holders <= limit);
            for (let n = 0; n < turns; n += 1) await Promise.resolve();
            holders -= 1;
          }),
        );
        assert.deepEqual(
          order,
          order.toSorted((a, b) => a - b),
        );
      },
    ),
  );
});

test('releasing twice frees one place only', async () => {
  const semaphore = new Semaphore(1);
  const place = await semaphore.acquire();
  place[Symbol.dispose]();
  place[Symbol.dispose]();
  using _held = await semaphore.acquire();
  assert.equal(await isPending(semaphore.acquire()), true);
});

test('an aborted wait for a place takes none', async () => {
  const semaphore = new Semaphore(1);
  const place = await semaphore.acquire();
  const controller = new AbortController();
  const aborted = semaphore.acquire(controller.signal);
  const next = semaphore.acquire();
  controller.abort(new Error('enough'));
  await assert.rejects(aborted, /enough/);
  place[Symbol.dispose]();
  (await next)[Symbol.dispose]();
  await assert.rejects(semaphore.acquire(controller.signal), /enough/);
  (await semaphore.acquire())[Symbol.dispose]();
});
