import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { isFailure, type HoldfastError } from '../src/kernel/errors/failure.ts';
import type { ErrorName } from '../src/kernel/errors/catalogue.ts';
import type { ObjectInfo, Storage } from '../src/storage/port.ts';

export interface ConformanceSubject {
  /** Empty. */
  readonly storage: Storage;
  readonly cleanup: () => Promise<void>;
  /** Another client of the same place, as another process would have it. */
  readonly second?: () => Promise<Storage>;
}

export interface ConformanceScale {
  /** Objects in the large listing; 3000 unless given. */
  readonly objects?: number;
  /** Bytes of the largest object; 20 MiB unless given. */
  readonly largeBytes?: number;
}

/**
 * Registers the tests every storage must pass. It knows nothing of any implementation, so it runs on a user's own
 * bucket as well. Each test gets a subject of its own from `makeStorage`.
 */
export function storageConformance(
  name: string,
  makeStorage: () => Promise<ConformanceSubject>,
  scale: ConformanceScale = {},
): void {
  const on = (title: string, run: (storage: Storage, subject: ConformanceSubject) => Promise<void>): void => {
    test(title, async () => {
      const subject = await makeStorage();
      try {
        await run(subject.storage, subject);
      } finally {
        await subject.storage.close();
        await subject.cleanup();
      }
    });
  };
  const largeBytes = scale.largeBytes ?? 20 * 1024 * 1024;
  describe(`storage conformance: ${name}`, { concurrency: 1 }, () => {
    objectTests(on, largeBytes);
    exclusionTests(on);
    listTests(on, scale.objects ?? 3000);
    abortTests(on, largeBytes);
    refusalTests(on);
  });
}

type On = (title: string, run: (storage: Storage, subject: ConformanceSubject) => Promise<void>) => void;

function objectTests(on: On, largeBytes: number): void {
  on('gives back what was put, at every size', async (storage) => {
    for (const size of [0, 1, 4095, 4096, 1024 * 1024, largeBytes]) {
      const data = pattern(size, size);
      await storage.put(`sizes/${size}`, data);
      assertSame(await storage.get(`sizes/${size}`), data);
      const info = await storage.stat(`sizes/${size}`);
      assert.equal(info.name, `sizes/${size}`);
      assert.equal(info.sizeBytes, size);
      assert.ok(Number.isFinite(info.modifiedAtMs));
    }
  });

  on('joins data given in parts', async (storage) => {
    const whole = pattern(300_000, 7);
    const parts = [
      whole.subarray(0, 1),
      new Uint8Array(0),
      whole.subarray(1, 70_000),
      whole.subarray(70_000),
    ];
    await storage.put('parts', parts);
    assertSame(await storage.get('parts'), whole);
    await storage.put('parts', whole);
    await storage.put('none', []);
    assert.equal((await storage.get('none')).byteLength, 0);
  });

  on('leaves the data it is given as it is, and keeps a copy', async (storage) => {
    const data = pattern(10_000, 3);
    const before = data.slice();
    await storage.put('kept', data);
    assertSame(data, before);
    data.fill(0);
    const got = await storage.get('kept');
    assertSame(got, before);
    got.fill(1);
    assertSame(await storage.get('kept'), before);
  });

  on('reads ranges, cut at the end of the object', async (storage) => {
    const data = pattern(10_000, 5);
    await storage.put('ranges', data);
    const edges = [0, 1, 4095, 4096, 9_999, 10_000, 10_001, 50_000];
    for (const offset of edges) {
      assertSame(await storage.get('ranges', { offset }), data.subarray(offset));
      for (const length of edges) {
        assertSame(await storage.get('ranges', { offset, length }), data.subarray(offset, offset + length));
      }
    }
    assertSame(await storage.get('ranges', { length: 10 }), data.subarray(0, 10));
  });

  on('says object_missing for what is not there', async (storage) => {
    await storage.put('there/one', pattern(10, 1));
    for (const name of ['nothing', 'there', 'there/two', 'there/one/below', 'far/away/below']) {
      await rejectsWith('object_missing', storage.get(name));
      await rejectsWith('object_missing', storage.get(name, { offset: 1, length: 1 }));
      await rejectsWith('object_missing', storage.stat(name));
      await storage.delete(name);
    }
    assertSame(await storage.get('there/one'), pattern(10, 1));
  });

  on('deletes, and deletes again', async (storage) => {
    await storage.put('a/gone', pattern(10, 1));
    await storage.put('a/stays', pattern(10, 2));
    await storage.delete('a/gone');
    await storage.delete('a/gone');
    await rejectsWith('object_missing', storage.get('a/gone'));
    assert.deepEqual(await namesOf(storage.list('')), ['a/stays']);
    await storage.put('a/gone', pattern(10, 3));
    assertSame(await storage.get('a/gone'), pattern(10, 3));
  });
}

function exclusionTests(on: On): void {
  on('never overwrites: other bytes reject, the same bytes succeed', async (storage) => {
    const data = pattern(100_000, 1);
    await storage.put('once', data);
    const last = data.slice();
    last[99_999] = (last[99_999] ?? 0) ^ 1;
    for (const other of [last, data.subarray(1), new Uint8Array(0), pattern(100_001, 1)]) {
      await rejectsWith('object_exists', storage.put('once', other));
      assertSame(await storage.get('once'), data);
    }
    await storage.put('once', data);
    await storage.put('once', [data.subarray(0, 500), data.subarray(500)]);
    assertSame(await storage.get('once'), data);
  });

  on('lets exactly one of many writers of one name win', async (storage, subject) => {
    const second = (await subject.second?.()) ?? storage;
    for (let round = 0; round < 5; round += 1) {
      const name = `race/${round}/x`;
      const writers = Array.from({ length: 12 }, (_, seed) => pattern(50_000 + seed, seed));
      const results = await Promise.allSettled(
        writers.map((data, i) => (i % 2 === 0 ? storage : second).put(name, data)),
      );
      const winners = results.flatMap((result, i) => (result.status === 'fulfilled' ? [i] : []));
      assert.equal(winners.length, 1, `winners: ${winners.join(', ')}`);
      for (const result of results) {
        if (result.status === 'rejected')
          assert.ok(isFailure(result.reason, 'object_exists'), String(result.reason));
      }
      assertSame(await second.get(name), writers[winners[0] ?? -1] ?? new Uint8Array(0));
    }
    if (second !== storage) await second.close();
  });

  on('lets all of many writers of the same bytes succeed', async (storage) => {
    const data = pattern(80_000, 9);
    await Promise.all(Array.from({ length: 12 }, () => storage.put('same', data)));
    assertSame(await storage.get('same'), data);
    assert.deepEqual(await namesOf(storage.list('')), ['same']);
  });

  on('shows an object whole or not at all while it is put', async (storage, subject) => {
    const watcher = (await subject.second?.()) ?? storage;
    const data = pattern(8 * 1024 * 1024, 4);
    const state = { settled: false };
    const put = storage.put('slow/object', data).finally(() => (state.settled = true));
    while (!state.settled) {
      for await (const info of watcher.list('slow/')) assert.equal(info.sizeBytes, data.byteLength);
      try {
        assertSame(await watcher.get('slow/object'), data);
      } catch (error) {
        assert.ok(isFailure(error, 'object_missing'), String(error));
      }
    }
    await put;
    assert.deepEqual(await namesOf(watcher.list('')), ['slow/object']);
    if (watcher !== storage) await watcher.close();
  });
}

function listTests(on: On, objects: number): void {
  on('lists in byte order of whole names, by prefix', async (storage) => {
    const names = [
      'a',
      'a-',
      'a-b/c',
      'a.',
      'a.b/z',
      'a0',
      'a_',
      'b/a',
      'b/a-a',
      'b/a.a',
      'b/b/1',
      'b/b/10',
      'b/b/2',
      'b/b-/x',
      'b-/y',
      'b.',
      'b0',
      'z/y/x/w/v',
    ];
    for (const name of names.toReversed()) await storage.put(name, Buffer.from(name));
    const sorted = names.toSorted();
    assert.deepEqual(await namesOf(storage.list('')), sorted);
    for (const prefix of [
      'a',
      'a-',
      'a.b/',
      'b',
      'b/',
      'b/a',
      'b/b',
      'b/b/',
      'b/b/1',
      'z/y/',
      'z/y/x/w/v',
      'none/',
      'zz',
    ]) {
      const expected = sorted.filter((name) => name.startsWith(prefix));
      assert.deepEqual(await namesOf(storage.list(prefix)), expected, `prefix ${prefix}`);
    }
    for await (const info of storage.list('')) assert.equal(info.sizeBytes, info.name.length);
  });

  on(`lists ${objects} objects, also while others are written`, async (storage) => {
    const names = Array.from(
      { length: objects },
      (_, i) => `many/${(i % 16).toString(16)}/${i.toString(36)}`,
    );
    await inParallel(16, names, (name) => storage.put(name, Buffer.from(name)));
    const sorted = names.toSorted();
    const seen: string[] = [];
    let written = 0;
    for await (const info of storage.list('many/')) {
      seen.push(info.name);
      if (seen.length % 300 === 0)
        await storage.put(`many/${(written++ % 16).toString(16)}/new-${written}`, pattern(9, written));
    }
    assert.deepEqual(seen, seen.toSorted(), 'in order');
    assert.equal(new Set(seen).size, seen.length, 'no name twice');
    assert.deepEqual(
      seen.filter((name) => !name.includes('new-')),
      sorted,
      'complete',
    );
    assert.equal((await namesOf(storage.list('many/'))).length, objects + written);
  });

  on('lets a reader leave a listing early, and call other methods in between', async (storage) => {
    for (const name of ['x/1', 'x/2', 'x/3']) await storage.put(name, Buffer.from(name));
    for await (const info of storage.list('x/')) {
      assertSame(await storage.get(info.name), Buffer.from(info.name));
      if (info.name === 'x/2') break;
    }
    assert.deepEqual(await namesOf(storage.list('x/')), ['x/1', 'x/2', 'x/3']);
  });

  on('lists nothing where there is nothing', async (storage) => {
    assert.deepEqual(await namesOf(storage.list('')), []);
    assert.deepEqual(await namesOf(storage.list('no/such/')), []);
  });
}

function abortTests(on: On, largeBytes: number): void {
  on('does nothing for a signal that has aborted', async (storage) => {
    await storage.put('here', pattern(100, 1));
    const reason = lookingLikeTrouble('no more');
    const signal = AbortSignal.abort(reason);
    await rejectsAs(reason, storage.put('new', pattern(100, 1), { signal }));
    await rejectsAs(reason, storage.get('here', { signal }));
    await rejectsAs(reason, storage.stat('here', { signal }));
    await rejectsAs(reason, storage.delete('here', { signal }));
    await rejectsAs(reason, namesOf(storage.list('', { signal })));
    assert.deepEqual(await namesOf(storage.list('')), ['here']);
  });

  on('breaks off a put, leaving the whole object or nothing', async (storage) => {
    const data = pattern(largeBytes, 2);
    const reason = lookingLikeTrouble('stop');
    for (let round = 0; round < 4; round += 1) {
      const controller = new AbortController();
      const put = storage.put(`torn/${round}`, data, { signal: controller.signal });
      for (let turn = 0; turn < round * 3; turn += 1) await new Promise(setImmediate);
      controller.abort(reason);
      const outcome = await put.then(
        () => 'stored',
        (error: unknown) => error,
      );
      if (outcome !== 'stored') assert.equal(outcome, reason);
      for await (const info of storage.list('torn/')) assert.equal(info.sizeBytes, data.byteLength);
      await storage.put(`torn/${round}`, data);
    }
    assertSame(await storage.get('torn/0'), data);
  });

  on('breaks off a listing with the reason of the abort', async (storage) => {
    for (let i = 0; i < 50; i += 1) await storage.put(`l/${i}`, pattern(1, i));
    const controller = new AbortController();
    const reason = lookingLikeTrouble('enough');
    const reading = (async () => {
      for await (const _ of storage.list('', { signal: controller.signal })) controller.abort(reason);
    })();
    await rejectsAs(reason, reading);
  });
}

function refusalTests(on: On): void {
  on('refuses what is not a name', async (storage) => {
    const bad = [
      '',
      '/',
      '/a',
      'a/',
      'a//b',
      '.',
      '..',
      '../a',
      'a/../b',
      '.hidden',
      'a/.b',
      'A',
      'a b',
      'é',
      'a\\b',
      'a\0',
      'a+b',
    ];
    for (const name of [...bad, 'x'.repeat(256), Array.from({ length: 520 }, () => 'ab').join('/')]) {
      await rejectsWith('storage_name', storage.put(name, pattern(1, 1)));
      await rejectsWith('storage_name', storage.get(name));
      await rejectsWith('storage_name', storage.stat(name));
      await rejectsWith('storage_name', storage.delete(name));
    }
    for (const prefix of ['/', '../', 'a//', 'A', '.', './'])
      await rejectsWith('storage_name', namesOf(storage.list(prefix)));
    assert.deepEqual(await namesOf(storage.list('')), []);
  });

  on('refuses what is not a range', async (storage) => {
    await storage.put('r', pattern(10, 1));
    for (const range of [
      { offset: -1 },
      { length: -1 },
      { offset: 0.5 },
      { length: Number.NaN },
      { offset: Infinity },
    ]) {
      await rejectsWith('storage_range', storage.get('r', range));
    }
  });

  on('takes the longest names and deep folders', async (storage) => {
    const names = ['x'.repeat(255), 'd/'.repeat(100) + 'leaf', `${'y'.repeat(255)}/${'z'.repeat(255)}`];
    for (const name of names) await storage.put(name, Buffer.from(name));
    assert.deepEqual(await namesOf(storage.list('')), names.toSorted());
  });

  on('closes twice', async (storage) => {
    await storage.close();
    await storage.close();
  });
}

/** A reason that could be taken for an error of the storage itself: another connection's, for instance. */
function lookingLikeTrouble(text: string): Error {
  return Object.assign(new Error(text), { code: 'ECONNRESET', syscall: 'read' });
}

/** Repeatable bytes that differ by seed, and from one page to the next. */
export function pattern(sizeBytes: number, seed: number): Uint8Array {
  const words = new Uint32Array(Math.ceil(sizeBytes / 4));
  let state = (seed * 2_654_435_761 + 1) >>> 0;
  for (let i = 0; i < words.length; i += 1) {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    words[i] = state;
  }
  return new Uint8Array(words.buffer, 0, sizeBytes);
}

/** Compares without printing megabytes when it fails. */
export function assertSame(actual: Uint8Array, expected: Uint8Array): void {
  assert.equal(actual.byteLength, expected.byteLength, 'length');
  assert.ok(Buffer.compare(actual, expected) === 0, 'the bytes differ');
}

export async function namesOf(listing: AsyncIterable<ObjectInfo>): Promise<string[]> {
  const names: string[] = [];
  for await (const info of listing) names.push(info.name);
  return names;
}

/** The coded error `promise` rejects with, which must be the one called `name`. */
export async function rejectsWith(name: ErrorName, promise: Promise<unknown>): Promise<HoldfastError> {
  const error = await promise.then(
    () => assert.fail(`expected ${name}, but it succeeded`),
    (thrown: unknown) => thrown,
  );
  assert.ok(isFailure(error, name), `expected ${name}, got ${String(error)}`);
  return error;
}

async function rejectsAs(reason: Error, promise: Promise<unknown>): Promise<void> {
  const error = await promise.then(
    () => assert.fail('expected a rejection'),
    (thrown: unknown) => thrown,
  );
  assert.equal(error, reason);
}

async function inParallel<T>(
  width: number,
  items: readonly T[],
  act: (item: T) => Promise<void>,
): Promise<void> {
  const queue = items.values();
  await Promise.all(
    Array.from({ length: width }, async () => {
      for (const item of queue) await act(item);
    }),
  );
}
