import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { failure } from '../../src/kernel/errors/failure.ts';
import { silentLogger, type LogFields, type Logger } from '../../src/kernel/log.ts';
import { MemoryStorage } from '../../src/storage/memory/memory-storage.ts';
import type { Storage } from '../../src/storage/port.ts';
import { atCalls, everyNth, type FaultPlan } from '../../src/storage/wrap/fault-plan.ts';
import { withFaults } from '../../src/storage/wrap/faults.ts';
import { withLimit } from '../../src/storage/wrap/limit.ts';
import { withLog } from '../../src/storage/wrap/log.ts';
import { withRetry, type Retry } from '../../src/storage/wrap/retry.ts';
import { assertSame, namesOf, pattern, rejectsWith } from '../../testing/storage-conformance.ts';
import { TestClock } from './support.ts';

interface Rig {
  readonly clock: TestClock;
  readonly inner: MemoryStorage;
  readonly storage: Storage;
  readonly retries: Retry[];
}

function retrying(plan: FaultPlan, random: () => number = () => 0.999): Rig {
  const clock = new TestClock();
  const inner = new MemoryStorage(clock);
  const retries: Retry[] = [];
  const onRetry = (retry: Retry): void => void retries.push(retry);
  const storage = withRetry(withFaults(inner, plan, clock), {
    clock,
    random,
    attempts: 4,
    baseDelayMs: 100,
    maxDelayMs: 250,
    onRetry,
  });
  return { clock, inner, storage, retries };
}

describe('withRetry', () => {
  test('gives up after its attempts, with the last error, having doubled its pauses to the bound', async () => {
    const { storage, clock, retries } = retrying(everyNth(1, { kind: 'fail_before' }));
    await rejectsWith('storage_unreachable', storage.get('one'));
    assert.deepEqual(clock.sleeps, [99, 199, 249]);
    assert.deepEqual(
      retries.map((retry) => [retry.operation, retry.attempt]),
      [
        ['get', 1],
        ['get', 2],
        ['get', 3],
      ],
    );
  });

  test('pauses anything between nothing and the bound', async () => {
    const { storage, clock } = retrying(everyNth(1, { kind: 'fail_before' }), () => 0);
    await rejectsWith('storage_unreachable', storage.stat('one'));
    assert.deepEqual(clock.sleeps, [0, 0, 0]);
  });

  test('does not try again what cannot succeed', async () => {
    for (const error of [failure('storage_full', { location: 'x', name: 'y' }), new TypeError('a bug')]) {
      const { storage, clock } = retrying(everyNth(1, { kind: 'fail_before', error }));
      await assert.rejects(storage.put('one', pattern(1, 1)), error);
      assert.deepEqual(clock.sleeps, []);
    }
  });

  test('a put whose answer was lost comes out right', async () => {
    const { storage, inner, retries } = retrying(atCalls({ 1: { kind: 'fail_after' } }));
    await storage.put('one', pattern(100, 1));
    assert.equal(retries.length, 1);
    assertSame(await inner.get('one'), pattern(100, 1));
  });

  test('a delete whose answer was lost comes out right', async () => {
    const { storage, inner } = retrying(atCalls({ 1: { kind: 'fail_after' } }));
    await inner.put('one', pattern(1, 1));
    await storage.delete('one');
    assert.deepEqual(await namesOf(inner.list('')), []);
  });

  test('a listing goes on after the last name given, and progress renews its tries', async () => {
    const { storage, inner, clock } = retrying(({ index }) =>
      index < 30 ? { kind: 'list_fail', items: index } : undefined,
    );
    const names = Array.from({ length: 40 }, (_, i) => `n/${String(i).padStart(3, '0')}`);
    for (const name of names) await inner.put(name, pattern(1, 1));
    assert.deepEqual(await namesOf(storage.list('')), names);
    assert.equal(clock.sleeps.length, 29);
  });

  test('a listing that gets nowhere gives up, and has not pretended to be complete', async () => {
    const { storage, inner } = retrying(everyNth(1, { kind: 'list_fail', items: 2 }));
    for (const name of ['a', 'b', 'c', 'd']) await inner.put(name, pattern(1, 1));
    const seen: string[] = [];
    const read = async (): Promise<void> => {
      for await (const info of storage.list('')) {
        seen.push(info.name);
        // A listing that gave the same again would count it for progress, and never end.
        assert.ok(seen.length <= 4, `given: ${seen.join(' ')}`);
      }
    };
    await rejectsWith('storage_unreachable', read());
    assert.deepEqual(seen, ['a', 'b']);
  });

  test('a listing out of order is refused', async () => {
    const { inner, clock } = retrying(() => undefined);
    async function* disorder(): AsyncGenerator<{ name: string; sizeBytes: number; modifiedAtMs: number }> {
      for (const name of ['b', 'a']) yield { name, sizeBytes: 1, modifiedAtMs: 0 };
    }
    const storage = withRetry(Object.assign(inner, { list: disorder }), { clock, random: () => 0 });
    const error = await rejectsWith('storage_disorder', namesOf(storage.list('')));
    assert.equal(error.exitCode, 9);
  });

  test('an abort ends it with its reason, even one that looks retryable, during a call and during a pause', async () => {
    const reason = failure('interrupted', { what: 'the test', next: 'nothing' });
    const during = new AbortController();
    const plan: FaultPlan = () => {
      during.abort(reason);
      return { kind: 'fail_before' };
    };
    const { storage, clock, retries } = retrying(plan);
    await assert.rejects(storage.get('one', { signal: during.signal }), (error) => error === reason);
    assert.deepEqual(clock.sleeps, []);
    assert.deepEqual(retries, []);

    const pausing = new AbortController();
    const sleepy = { sleep: async () => pausing.abort(reason) };
    const paused = withRetry(withFaults(new MemoryStorage(clock), everyNth(1, { kind: 'fail_before' })), {
      clock: sleepy,
      random: () => 0,
    });
    await assert.rejects(paused.get('one', { signal: pausing.signal }), (error) => error === reason);
  });
});

describe('withLimit', () => {
  function gated(): { inner: Storage; peak: () => number; waiting: (() => void)[] } {
    const memory = new MemoryStorage(new TestClock());
    const waiting: (() => void)[] = [];
    let peak = 0;
    const get = async (): Promise<Uint8Array> => {
      await new Promise<void>((resolve) => {
        waiting.push(resolve);
        peak = Math.max(peak, waiting.length);
      });
      return new Uint8Array(1);
    };
    return { inner: Object.assign(memory, { get }), peak: () => peak, waiting };
  }

  const turn = (): Promise<void> => new Promise(setImmediate);

  test('never lets more through than it says, and all in the end', async () => {
    const { inner, peak, waiting } = gated();
    const storage = withLimit(inner, { concurrency: 3 });
    const calls = Array.from({ length: 10 }, (_, i) => storage.get(`n${i}`));
    for (let done = 0; done < 10; done += 1) {
      await turn();
      assert.ok(waiting.length <= 3);
      waiting.shift()?.();
    }
    assert.equal((await Promise.all(calls)).length, 10);
    assert.equal(peak(), 3);
  });

  test('a call that waits leaves when its signal aborts, and its place is not lost', async () => {
    const { inner, waiting } = gated();
    const storage = withLimit(inner, { concurrency: 1 });
    const first = storage.get('a');
    const controller = new AbortController();
    const reason = new Error('enough');
    const second = storage.get('b', { signal: controller.signal });
    const third = storage.get('c');
    controller.abort(reason);
    await assert.rejects(second, (error) => error === reason);
    waiting.shift()?.();
    await first;
    await turn();
    assert.equal(waiting.length, 1, 'the third has the place');
    waiting.shift()?.();
    await third;
  });

  test('a limit that lets nothing through is refused', () => {
    for (const concurrency of [0, -1, Number.NaN]) {
      assert.throws(() => withLimit(new MemoryStorage(new TestClock()), { concurrency }), RangeError);
    }
  });

  test('a call that fails gives its place back', async () => {
    const storage = withLimit(new MemoryStorage(new TestClock()), { concurrency: 1 });
    for (let i = 0; i < 3; i += 1) await rejectsWith('object_missing', storage.get('none'));
  });
});

describe('withLog', () => {
  test('one line a call with duration, bytes and outcome, and sums', async () => {
    const lines: [string, LogFields][] = [];
    const logger: Logger = { ...silentLogger, debug: (text, fields = {}) => void lines.push([text, fields]) };
    const clock = new TestClock();
    const slow = withFaults(new MemoryStorage(clock), everyNth(1, { kind: 'delay', ms: 5 }), clock);
    const storage = withLog(slow, logger, clock);
    await storage.put('a', [pattern(100, 1), pattern(50, 2)]);
    await storage.put('b', pattern(10, 1));
    await storage.get('a', { length: 30 });
    await rejectsWith('object_missing', storage.stat('c'));
    await namesOf(storage.list(''));
    for await (const _ of storage.list('')) break;
    await storage.delete('a');
    assert.deepEqual(
      lines.map(([text, { name, outcome, bytes, objects }]) => [text, name, outcome, bytes, objects]),
      [
        ['storage put', 'a', 'done', 150, undefined],
        ['storage put', 'b', 'done', 10, undefined],
        ['storage get', 'a', 'done', 30, undefined],
        ['storage stat', 'c', 'HF-2001', undefined, undefined],
        ['storage list', '', 'done', undefined, 2],
        ['storage list', '', 'left', undefined, 1],
        ['storage delete', 'a', 'done', undefined, undefined],
      ],
    );
    for (const [, { durationMs }] of lines) assert.equal(durationMs, 5);
    assert.deepEqual(storage.counts.put, { calls: 2, failed: 0, bytes: 160, objects: 0, durationMs: 10 });
    assert.deepEqual(storage.counts.stat, { calls: 1, failed: 1, bytes: 0, objects: 0, durationMs: 5 });
    assert.deepEqual(storage.counts.list, { calls: 2, failed: 0, bytes: 0, objects: 3, durationMs: 10 });
  });

  test('a list that fails counts as failed', async () => {
    const clock = new TestClock();
    const storage = withLog(
      withFaults(new MemoryStorage(clock), everyNth(1, { kind: 'list_fail', items: 0 })),
      silentLogger,
      clock,
    );
    await rejectsWith('storage_unreachable', namesOf(storage.list('')));
    assert.equal(storage.counts.list.failed, 1);
  });
});
