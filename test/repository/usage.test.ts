import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { StreamRef } from '../../src/contract/stream.ts';
import { type BlobFacts, UsageTable } from '../../src/repository/usage.ts';

/**
 * A small world: blobs 0 to 9 are data, 10 to 14 leaves over data, 15 to 19 inner nodes over leaves. Backups name any of
 * them, as streams do, and any blob may be missing.
 */
const blob = fc.nat({ max: 19 });
const worlds = fc.record({
  leaves: fc.array(fc.array(fc.nat({ max: 9 }), { minLength: 1, maxLength: 6 }), {
    minLength: 5,
    maxLength: 5,
  }),
  inner: fc.array(fc.array(fc.integer({ min: 10, max: 14 }), { minLength: 1, maxLength: 4 }), {
    minLength: 5,
    maxLength: 5,
  }),
  sources: fc.array(fc.array(fc.array(blob, { maxLength: 6 }), { maxLength: 6 }), { maxLength: 4 }),
  absent: fc.array(blob, { maxLength: 2 }),
  unreadable: fc.array(fc.integer({ min: 10, max: 19 }), { maxLength: 2 }),
});
type World = typeof worlds extends fc.Arbitrary<infer T> ? T : never;

const idOf = (number: number): Uint8Array => Buffer.alloc(32, number);
const hexOf = (number: number): string => Buffer.from(idOf(number)).toString('hex');
const depthOf = (number: number): number => (number < 10 ? 0 : number < 15 ? 1 : 2);
const childrenOf = ({ leaves, inner }: World, number: number): readonly number[] =>
  number < 10 ? [] : ((number < 15 ? leaves[number - 10] : inner[number - 15]) ?? []);
const factsOf = (number: number): BlobFacts => ({
  isData: number < 10,
  rawBytes: 1 << number,
  storedBytes: 3 * (1 << number) + 1,
});

/** As a walk over the repository does it. */
function measure(world: World) {
  using table = new UsageTable((id) => (world.absent.includes(id[0] ?? 0) ? undefined : factsOf(id[0] ?? 0)));
  const go = (number: number, step: 'hold' | 'release'): void => {
    if (!table[step](idOf(number)) || depthOf(number) === 0) return;
    if (world.unreadable.includes(number)) {
      if (step === 'hold') table.lose(idOf(number));
    } else for (const child of childrenOf(world, number)) go(child, step);
  };
  const numberOf = ({ root }: StreamRef): number => Number.parseInt(root?.slice(0, 2) ?? '', 16);
  const ofBackups: unknown[] = [];
  const ofSources: unknown[] = [];
  for (const backups of world.sources) {
    table.beginSource();
    for (const roots of backups) {
      table.beginBackup();
      for (const root of roots) table.needs({ root: hexOf(root), depth: depthOf(root), size_bytes: 0 });
      for (const stream of table.appeared()) go(numberOf(stream), 'hold');
      for (const stream of table.gone()) go(numberOf(stream), 'release');
      ofBackups.push(table.ofBackup());
    }
    ofSources.push(table.ofSource());
  }
  return {
    ofBackups,
    ofSources,
    ownOfBackups: [...table.ownOfBackups()],
    ownOfSources: [...table.ownOfSources()],
    overall: table.overall(),
  };
}

/** The same by sets, each backup for itself. */
function expected(world: World) {
  const needs = (roots: Iterable<number>, found = new Set<number>()): Set<number> => {
    for (const root of roots) {
      if (found.has(root)) continue;
      found.add(root);
      if (!world.absent.includes(root) && !world.unreadable.includes(root))
        needs(childrenOf(world, root), found);
    }
    return found;
  };
  const totals = (blobs: Iterable<number>) => {
    const sums = { uniqueBytes: 0, uniqueStoredBytes: 0, storedBytes: 0, missing: 0 };
    for (const number of blobs) {
      const absent = world.absent.includes(number);
      if (absent || world.unreadable.includes(number)) sums.missing += 1;
      if (absent) continue;
      const { isData, rawBytes, storedBytes } = factsOf(number);
      sums.storedBytes += storedBytes;
      if (isData) sums.uniqueBytes += rawBytes;
      if (isData) sums.uniqueStoredBytes += storedBytes;
    }
    return sums;
  };
  const own = (sets: readonly ReadonlySet<number>[]): [number, number][] =>
    sets.map((set, index) => [
      index,
      totals([...set].filter((number) => sets.filter((other) => other.has(number)).length === 1)).storedBytes,
    ]);
  const sources = world.sources.map((backups) => backups.map((roots) => needs(roots)));
  const unions = sources.map((sets) => new Set(sets.flatMap((set) => [...set])));
  return {
    ofBackups: sources.flat().map(totals),
    ofSources: unions.map(totals),
    ownOfBackups: own(sources.flat()),
    ownOfSources: own(unions),
    overall: totals(new Set(unions.flatMap((set) => [...set]))),
  };
}

test('what changes from backup to backup adds up to what each needs by itself', () => {
  const nonzero = (own: readonly (readonly [number, number])[]) => own.filter(([, bytes]) => bytes > 0);
  fc.assert(
    fc.property(worlds, (world) => {
      const found = measure(world);
      const wanted = expected(world);
      assert.deepEqual(
        { ...found, ownOfBackups: nonzero(found.ownOfBackups), ownOfSources: nonzero(found.ownOfSources) },
        { ...wanted, ownOfBackups: nonzero(wanted.ownOfBackups), ownOfSources: nonzero(wanted.ownOfSources) },
      );
    }),
    { numRuns: 500 },
  );
});
