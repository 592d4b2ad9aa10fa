import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  laterOf,
  leastRecentlyRead,
  neverRead,
  readNow,
  type ReadAt,
} from '../../src/operations/verify-rotation.ts';

interface Item {
  readonly key: string;
  readonly bytes: number;
}

const facts = { keyOf: ({ key }: Item) => key, bytesOf: ({ bytes }: Item) => bytes };
const item = (number: number, bytes = 100): Item => ({ key: String(number).padStart(6, '0'), bytes });

test('ten runs of a tenth read everything, and the eleventh begins anew with what was read first', () => {
  const items = Array.from({ length: 997 }, (_, index) => item(index, 50 + ((index * 37) % 100)));
  let readAt: ReadAt = neverRead;
  const seen = new Set<string>();
  for (let run = 1; run <= 10; run += 1) {
    const { items: chosen, ranges } = leastRecentlyRead(items, facts, 0.1, readAt);
    assert.ok(chosen.length > 80 && chosen.length < 120, `${chosen.length}`);
    for (const { key } of chosen) seen.add(key);
    readAt = readNow(readAt, ranges, run * 1000);
  }
  assert.equal(seen.size, items.length);
  const { items: again } = leastRecentlyRead(items, facts, 0.1, readAt);
  // The tenth may have begun it: each reads a little more than its share.
  assert.ok((again[0]?.key ?? '') < item(50).key);
});

test('what comes between is read within ten runs, too', () => {
  const unread = new Set(Array.from({ length: 100 }, (_, index) => index * 10));
  const all = new Set(unread);
  let readAt: ReadAt = neverRead;
  for (let run = 1; run <= 10; run += 1) {
    const items = [...all].toSorted((a, b) => a - b).map((number) => item(number));
    const { items: chosen, ranges } = leastRecentlyRead(items, facts, 0.1, readAt);
    for (const { key } of chosen) unread.delete(Number(key));
    readAt = readNow(readAt, ranges, run);
    // One behind what was read, one before: of the first ten runs only what was there at the first is promised.
    all.add(run * 97 + 1);
  }
  assert.deepEqual([...unread], []);
  const late = new Set([...all].filter((number) => number % 10 !== 0));
  for (let run = 11; run <= 21; run += 1) {
    const items = [...all].toSorted((a, b) => a - b).map((number) => item(number));
    const { items: chosen, ranges } = leastRecentlyRead(items, facts, 0.1, readAt);
    for (const { key } of chosen) late.delete(Number(key));
    readAt = readNow(readAt, ranges, run);
  }
  assert.deepEqual([...late], []);
});

test('at least one is read, nothing of nothing, and everything at once counts for everything', () => {
  assert.deepEqual(leastRecentlyRead([item(1), item(2)], facts, 0.000_001, neverRead).items, [item(1)]);
  assert.deepEqual(leastRecentlyRead([] as Item[], facts, 0.5, neverRead).items, []);
  const readAt = readNow(neverRead, [{ from: '', to: null }], 7);
  assert.deepEqual(readAt, [['', 7]]);
});

test('of two reports the later time counts, key by key, however they were cut', () => {
  const one: ReadAt = [
    ['', 5],
    ['c', 1],
    ['f', 9],
  ];
  const other: ReadAt = [
    ['', 2],
    ['b', 6],
    ['d', 0],
  ];
  const both = laterOf(one, other);
  assert.deepEqual(both, [
    ['', 5],
    ['b', 6],
    ['d', 1],
    ['f', 9],
  ]);
  assert.deepEqual(laterOf(other, one), both);
  assert.deepEqual(laterOf(both, neverRead), both);
});

test('however many small shares are read, it stays short, and never claims what was not read', () => {
  const items = Array.from({ length: 2000 }, (_, index) => item(index));
  const truth = new Map<string, number>();
  let readAt: ReadAt = neverRead;
  for (let run = 1; run <= 700; run += 1) {
    const { items: chosen, ranges } = leastRecentlyRead(items, facts, 0.002, readAt);
    for (const { key } of chosen) truth.set(key, run);
    readAt = readNow(readAt, ranges, run);
    assert.ok(readAt.length <= 256, `${readAt.length} pieces`);
  }
  for (const { key } of items) {
    const claimed = readAt.findLast(([from]) => from <= key)?.[1] ?? 0;
    assert.ok(claimed <= (truth.get(key) ?? 0), `${key}: ${claimed} and not ${truth.get(key) ?? 0}`);
  }
});
