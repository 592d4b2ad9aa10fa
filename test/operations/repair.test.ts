import assert from 'node:assert/strict';
import { hash } from 'node:crypto';
import { test } from 'node:test';
import type { Manifest } from '../../src/contract/manifest.ts';
import { systemClock } from '../../src/kernel/clock.ts';
import { failure } from '../../src/kernel/errors/failure.ts';
import { MemoryStorage } from '../../src/storage/memory/memory-storage.ts';
import { crashAtMutation } from '../../src/storage/wrap/fault-plan.ts';
import { withFaults } from '../../src/storage/wrap/faults.ts';
import { patternedBytes } from '../../testing/bytes.ts';
import { backUp, bytesSource, makeRepository, openTestRepository } from '../../testing/repository.ts';
import {
  assertWhole,
  copyOf,
  cut,
  everythingIn,
  flip,
  namesIn,
  repaired,
  replace,
  storageOf,
  verified,
  type Made,
} from '../../testing/repair.ts';
import { forgetAt } from './forget-support.ts';

const hashOf = (bytes: Uint8Array): string => hash('sha256', bytes, 'hex');

/** Three backups: two that share much, and one of something else. */
async function threeBackups(storage: MemoryStorage): Promise<readonly Made[]> {
  await using repository = await makeRepository(storage);
  const made: Made[] = [];
  const contents = [
    { a: patternedBytes(600_000, 1) },
    { a: patternedBytes(600_000, 1), b: patternedBytes(300_000, 2) },
    { c: patternedBytes(400_000, 3), empty: Buffer.alloc(0) },
  ];
  for (const one of contents) made.push([await backUp(repository, bytesSource(one)), one]);
  return made;
}

const damages: readonly [string, (storage: MemoryStorage, name: string) => Promise<void>][] = [
  ['a flipped bit', async (storage, name) => replace(storage, name, flip(await storage.get(name), 4001))],
  ['cut', async (storage, name) => replace(storage, name, cut(await storage.get(name), 900))],
  ['cut to nothing', (storage, name) => replace(storage, name, new Uint8Array(0))],
  ['gone', (storage, name) => storage.delete(name)],
];

for (const [what, damage] of damages) {
  for (const prefix of ['packs/', 'snapshots/', 'index/', 'keys/', 'holdfast.json']) {
    test(`${prefix} ${what}: mended from a copy`, async () => {
      const storage = new MemoryStorage(systemClock);
      const made = await threeBackups(storage);
      const copy = await copyOf(storage);
      // What was there is remembered from then on.
      await verified(storage);
      for (const name of await namesIn(storage, prefix)) {
        const good = await storage.get(name);
        await damage(storage, name);
        const bad = await storage.get(name).catch(() => undefined);
        const { after, report } = await repaired(storage, [copy]);
        assert.deepEqual(after.problems, [], `${name}: ${JSON.stringify(report)}`);
        if (!name.startsWith('index/')) assert.deepEqual(await storage.get(name), good);
        if (bad !== undefined) {
          const [place = ''] = await namesIn(storage, `quarantine/${name}`);
          assert.deepEqual(await storage.get(place), bad, name);
        }
        await assertWhole(storage, made);
        for (const place of await namesIn(storage, 'quarantine/')) await storage.delete(place);
      }
    });
  }
}

test('without a copy: what is good of a damaged pack is saved beside it, the rest named, and other backups restore', async () => {
  const storage = new MemoryStorage(systemClock);
  const made = await threeBackups(storage);
  const [name = ''] = await namesIn(storage, 'packs/');
  await replace(storage, name, flip(await storage.get(name), 8 * 3000));
  const first = await verified(storage);
  const hurt = new Set(first.problems.flatMap(({ backups }) => backups));
  assert.ok(hurt.size > 0 && hurt.size < made.length);
  const { after, report } = await repaired(storage, []);
  const lost = after.problems;
  assert.ok(lost.length > 0, JSON.stringify(report));
  assert.deepEqual(new Set(lost.flatMap(({ backups }) => backups)), hurt);
  // Nobody else has what is lost with it: it stays, in case it can be read once.
  assert.deepEqual(await namesIn(storage, 'quarantine/'), []);
  assert.ok((await namesIn(storage, 'packs/')).includes(name));
  await assertWhole(
    storage,
    made.filter(([{ id }]: readonly [Manifest, unknown]) => !hurt.has(id)),
  );
});

test('a later backup of what still has the bytes mends the earlier ones', async () => {
  const storage = new MemoryStorage(systemClock);
  const made = await threeBackups(storage);
  for (const name of await namesIn(storage, 'packs/'))
    await replace(storage, name, flip(await storage.get(name), 8 * 3000));
  await repaired(storage, []);
  {
    await using repository = await openTestRepository(storage);
    for (const [, contents] of made) await backUp(repository, bytesSource(contents));
  }
  const {
    after: { problems },
  } = await repaired(storage, []);
  // The list of entries of a backup is nobody else's; what it lists is there again.
  const lists = problems.filter(({ entries }) => !entries.includes('(list of entries)'));
  assert.deepEqual(lists, []);
});

test('a copy that has repacked still has the chunks', async () => {
  const storage = new MemoryStorage(systemClock);
  const made = await threeBackups(storage);
  const copy = new MemoryStorage(systemClock);
  // Another repository of the same keys whose packs are cut otherwise: the backups made there once more.
  for (const name of ['holdfast.json', ...(await namesIn(storage, 'keys/'))])
    await copy.put(name, await storage.get(name));
  {
    await using repository = await openTestRepository(copy);
    for (const [, contents] of made.toReversed()) await backUp(repository, bytesSource(contents));
  }
  for (const name of await namesIn(storage, 'packs/'))
    await replace(storage, name, flip(await storage.get(name), 8 * 3000));
  const { after, report } = await repaired(storage, [copy]);
  assert.deepEqual(after.problems, [], JSON.stringify(report));
  await assertWhole(storage, made);
});

test('a repair that dies at any write loses nothing, and the next one ends it', async () => {
  const storage = new MemoryStorage(systemClock);
  const made = await threeBackups(storage);
  await verified(storage);
  const copy = await copyOf(storage);
  const [first = '', second = ''] = await namesIn(storage, 'packs/');
  const [manifest = ''] = await namesIn(storage, 'snapshots/');
  const [index = ''] = await namesIn(storage, 'index/');
  for (const name of [first, manifest, index])
    await replace(storage, name, flip(await storage.get(name), 8 * 200));
  await storage.delete(second);
  const broken = await everythingIn(storage);
  for (let at = 1; ; at += 1) {
    // One that is not done leaves what the one before it did.
    const place = await storageOf(broken);
    const outcome = await repaired(withFaults(place, crashAtMutation(at, true)), [copy]).then(
      () => 'done',
      () => 'crashed',
    );
    // Whatever lay there is there still, under its name or in the quarantine.
    const now = new Set((await everythingIn(place)).values().map(hashOf));
    for (const [name, bytes] of broken) assert.ok(now.has(hashOf(bytes)), `${name} is gone (${at})`);
    if (outcome === 'done') {
      assert.ok(at > 10, `${at} writes`);
      return;
    }
    const { after, report } = await repaired(place, [copy]);
    assert.deepEqual(after.problems, [], `${at}: ${JSON.stringify(report)}`);
    await assertWhole(place, made);
  }
});

test('without a copy, a repair that dies at any write keeps all that could be read', async () => {
  const storage = new MemoryStorage(systemClock);
  const made = await threeBackups(storage);
  await verified(storage);
  const [name = ''] = await namesIn(storage, 'packs/');
  await replace(storage, name, flip(await storage.get(name), 8 * 3000));
  const broken = await everythingIn(storage);
  const hurt = new Set((await verified(storage)).problems.flatMap(({ backups }) => backups));
  const unhurt = made.filter(([{ id }]) => !hurt.has(id));
  assert.ok(unhurt.length > 0 && unhurt.length < made.length);
  for (let at = 1; ; at += 1) {
    const place = await storageOf(broken);
    const outcome = await repaired(withFaults(place, crashAtMutation(at, true)), []).then(
      () => 'done',
      () => 'crashed',
    );
    await assertWhole(place, unhurt);
    const { after } = await repaired(place, []);
    assert.deepEqual(new Set(after.problems.flatMap(({ backups }) => backups)), hurt);
    await assertWhole(place, unhurt);
    if (outcome === 'done') return;
  }
});

test('a good pack that is only read wrongly is not removed, and no backup relies on it meanwhile', async () => {
  const storage = new MemoryStorage(systemClock);
  const made = await threeBackups(storage);
  const [name = ''] = await namesIn(storage, 'packs/');
  const misread = readWrongly(storage, name, Number.POSITIVE_INFINITY);
  const { report, after } = await repaired(misread, []);
  assert.ok(report.done.some(({ action, object }) => action === 'leave' && object === name));
  assert.equal(after.ok, false);
  await assertWhole(storage, made);
  // On another machine, too, what cannot be read is stored anew.
  {
    await using repository = await openTestRepository(misread);
    for (const [, contents] of made) await backUp(repository, bytesSource(contents));
  }
  await repaired(misread, []);
  await repaired(storage, []);
  assert.deepEqual((await verified(storage)).problems, []);
  await assertWhole(storage, made);
});

for (const prefix of ['packs/', 'keys/', 'snapshots/'])
  test(`${prefix} that are good when they are read once more stay where they are`, async () => {
    const storage = new MemoryStorage(systemClock);
    const made = await threeBackups(storage);
    const copy = await copyOf(storage);
    const [name = ''] = await namesIn(storage, prefix);
    const good = await storage.get(name);
    for (let times = 1; times <= 2; times += 1) {
      const deleted: string[] = [];
      const misread = readWrongly(storage, name, times, deleted);
      await repaired(misread, [copy]).catch(() => undefined);
      assert.deepEqual(deleted, [], `${times} times`);
      assert.deepEqual(await storage.get(name), good);
    }
    await assertWhole(storage, made);
  });

test('what another repair has mended meanwhile is not removed', async () => {
  const storage = new MemoryStorage(systemClock);
  const made = await threeBackups(storage);
  const copy = await copyOf(storage);
  const [name = ''] = await namesIn(storage, 'packs/');
  const good = await storage.get(name);
  await replace(storage, name, flip(good, 8 * 3000));
  let others = 0;
  const busy = new Proxy(storage, {
    get: (target, key) => {
      const value: unknown = Reflect.get(target, key);
      if (typeof value !== 'function') return value;
      if (key !== 'put') return value.bind(target) as unknown;
      return async (object: string, bytes: Uint8Array) => {
        await target.put(object, bytes);
        if (!object.startsWith('quarantine/')) return;
        others += 1;
        if (others === 1) await repaired(target, [copy]);
      };
    },
  });
  const { after } = await repaired(busy, [copy]);
  assert.ok(others >= 1);
  assert.deepEqual(after.problems, []);
  assert.deepEqual(await storage.get(name), good);
  await assertWhole(storage, made);
});

/** So many times an object is read with a flipped bit; what is removed is noted. */
function readWrongly(
  storage: MemoryStorage,
  name: string,
  times: number,
  deleted: string[] = [],
): MemoryStorage {
  let left = times;
  return new Proxy(storage, {
    get: (target, key) => {
      const value: unknown = Reflect.get(target, key);
      if (typeof value !== 'function') return value;
      if (key === 'delete')
        return (object: string) => {
          if (object === name) deleted.push(object);
          return target.delete(object);
        };
      if (key !== 'get') return value.bind(target) as unknown;
      return async (object: string, options: { offset?: number } = {}) => {
        const bytes = await target.get(object, options);
        const at = 200 - (options.offset ?? 0);
        if (object !== name || at < 0 || at >= bytes.length || left === 0) return bytes;
        left -= 1;
        return flip(bytes, 8 * at);
      };
    },
  });
}

test('what cannot be removed stays, and its chunks are stored beside it', async () => {
  const storage = new MemoryStorage(systemClock);
  const made = await threeBackups(storage);
  const copy = await copyOf(storage);
  const [name = ''] = await namesIn(storage, 'packs/');
  await replace(storage, name, flip(await storage.get(name), 8 * 3000));
  const locked = new Proxy(storage, {
    get: (target, key) => {
      const value: unknown = Reflect.get(target, key);
      if (typeof value !== 'function') return value;
      if (key !== 'delete') return value.bind(target) as unknown;
      return (object: string) =>
        object === name
          ? Promise.reject(
              failure('storage_denied', { action: 'delete', location: 'memory:', reason: 'no', mend: 'ask' }),
            )
          : target.delete(object);
    },
  });
  const { report } = await repaired(locked, [copy]);
  assert.ok(
    report.done.some(({ action, object }) => action === 'leave' && object === name),
    JSON.stringify(report),
  );
  await assertWhole(storage, made);
});

test('a backup that was forgotten is not brought back, though a copy has it; its record is', async () => {
  const storage = new MemoryStorage(systemClock);
  const made = await threeBackups(storage);
  const place = await copyOf(storage);
  const [[first] = []] = made;
  {
    await using repository = await openTestRepository(storage);
    await forgetAt(repository, [0]);
  }
  const copy = await copyOf(storage, place);
  const before = await repaired(storage, [copy]);
  assert.deepEqual(before.report.plan, []);
  const withRecord = await storageOf(await everythingIn(storage));
  for (const name of await namesIn(storage, 'forgotten/')) await storage.delete(name);
  // It explains only what it lacks: a copy made since has the record.
  const { after } = await repaired(storage, [copy, await copyOf(withRecord)]);
  assert.deepEqual(after.problems, []);
  assert.ok(!(await namesIn(storage, 'snapshots/')).some((name) => name.endsWith(first?.id ?? '-')));
  assert.equal((await namesIn(storage, 'forgotten/')).length, 1);
});
