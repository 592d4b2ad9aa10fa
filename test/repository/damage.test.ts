import assert from 'node:assert/strict';
import { test } from 'node:test';
import { systemClock } from '../../src/kernel/clock.ts';
import { asFailure } from '../../src/kernel/errors/failure.ts';
import { silentLogger } from '../../src/kernel/log.ts';
import { verifyRepository } from '../../src/operations/verify.ts';
import type { VerifyProblem } from '../../src/operations/verify-report.ts';
import type { Repository } from '../../src/repository/repository.ts';
import { MemoryStorage } from '../../src/storage/memory/memory-storage.ts';
import {
  backUp,
  bytesSource,
  makeRepository,
  openTestRepository,
  readBack,
  silentProgress,
} from '../../testing/repository.ts';
import { patternedBytes } from '../../testing/bytes.ts';

const contents = { a: Buffer.from('first table'), b: Buffer.from('second table, with more') };
const options = {
  signal: new AbortController().signal,
  log: silentLogger,
  jobs: 1,
  progress: silentProgress,
  readData: true,
};

async function problemsOf(repository: Repository): Promise<readonly VerifyProblem[]> {
  return (await verifyRepository(repository, options)).problems;
}

async function replace(storage: MemoryStorage, name: string, bytes: Uint8Array): Promise<void> {
  await storage.delete(name);
  await storage.put(name, bytes);
}

async function objectsUnder(storage: MemoryStorage, prefix: string): Promise<string[]> {
  const names: string[] = [];
  for await (const { name } of storage.list(prefix)) names.push(name);
  return names;
}

function flipped(bytes: Uint8Array, bit: number): Uint8Array {
  const copy = Uint8Array.from(bytes);
  copy[bit >> 3] = (copy[bit >> 3] ?? 0) ^ (1 << (bit & 7));
  return copy;
}

for (const encrypted of [true, false]) {
  for (const prefix of ['packs/', 'index/', 'snapshots/', 'keys/']) {
    if (prefix === 'keys/' && !encrypted) continue;
    test(`every flipped bit under ${prefix} is found and named (${encrypted ? 'encrypted' : 'plain'})`, async () => {
      const storage = new MemoryStorage(systemClock);
      await using repository = await makeRepository(storage, { encrypted });
      await backUp(repository, bytesSource(contents));
      assert.deepEqual(await problemsOf(repository), []);
      for (const name of await objectsUnder(storage, prefix)) {
        const good = await storage.get(name);
        for (let bit = 0; bit < good.length * 8; bit += 1) {
          await replace(storage, name, flipped(good, bit));
          const problems = await problemsOf(repository);
          const named = problems.some((problem) => problem.object === name);
          assert.ok(named, `bit ${bit} of ${name} (${good.length} bytes): ${JSON.stringify(problems)}`);
        }
        await replace(storage, name, good);
      }
      assert.deepEqual(await problemsOf(repository), []);
    });
  }

  test(`every flipped bit of holdfast.json is refused (${encrypted ? 'encrypted' : 'plain'})`, async () => {
    const storage = new MemoryStorage(systemClock);
    await using repository = await makeRepository(storage, { encrypted });
    await backUp(repository, bytesSource(contents));
    const good = await storage.get('holdfast.json');
    for (let bit = 0; bit < good.length * 8; bit += 1) {
      await replace(storage, 'holdfast.json', flipped(good, bit));
      const error = await openTestRepository(storage).then(
        () => undefined,
        (thrown: unknown) => asFailure(thrown),
      );
      const expected = ['repository_damaged', 'repository_newer'].includes(error?.errorName ?? 'none');
      assert.ok(expected, `bit ${bit}: ${error?.message ?? 'opened'}`);
    }
  });
}

test('a flipped bit costs at most the chunk it hit', async () => {
  const storage = new MemoryStorage(systemClock);
  {
    await using repository = await makeRepository(storage, { encrypted: false });
    await backUp(repository, bytesSource(contents));
  }
  const [pack = ''] = await objectsUnder(storage, 'packs/');
  const good = await storage.get(pack);
  let lost = 0;
  for (let bit = 0; bit < good.length * 8; bit += 37) {
    await replace(storage, pack, flipped(good, bit));
    await using repository = await openTestRepository(storage);
    const manifest = await repository.find('latest');
    const outcomes = await Promise.allSettled([readBack(repository, manifest)]);
    const entries = await readEach(repository, manifest);
    if (entries.a === 'damaged' && entries.b === 'damaged') assert.fail(`bit ${bit} cost both entries`);
    if (outcomes[0]?.status === 'rejected') lost += 1;
  }
  assert.ok(lost > 0);
});

async function readEach(
  repository: Repository,
  manifest: Awaited<ReturnType<Repository['find']>>,
): Promise<Record<string, string>> {
  const found: Record<string, string> = {};
  try {
    for await (const entry of repository.entries(manifest)) {
      if (entry.stream === null) continue;
      const pieces: Uint8Array[] = [];
      try {
        for await (const piece of repository.open(entry.stream)) pieces.push(piece);
        assert.deepEqual(Buffer.concat(pieces), contents[entry.path as 'a' | 'b']);
        found[entry.path] = 'good';
      } catch (error) {
        assert.equal(asFailure(error).errorName, 'blob_damaged');
        found[entry.path] = 'damaged';
      }
    }
  } catch (error) {
    // The list of entries is a chunk as well.
    assert.equal(asFailure(error).errorName, 'blob_damaged');
  }
  return found;
}

test('swapped, truncated, missing and transplanted objects are named, with the backups they hurt', async () => {
  const storage = new MemoryStorage(systemClock);
  await using repository = await makeRepository(storage);
  const first = await backUp(repository, bytesSource({ big: patternedBytes(20_000_000, 1) }));
  const second = await backUp(repository, bytesSource({ small: patternedBytes(200_000, 2) }));
  const other = new MemoryStorage(systemClock);
  {
    await using foreign = await makeRepository(other);
    await backUp(foreign, bytesSource(contents));
  }
  const packs = await objectsUnder(storage, 'packs/');
  const [foreignPack = ''] = await objectsUnder(other, 'packs/');
  const [indexName = ''] = await objectsUnder(storage, 'index/');
  const damages: [string, (name: string, bytes: Uint8Array) => Promise<void>][] = [
    ['cut', (name, bytes) => replace(storage, name, bytes.subarray(0, bytes.length - 1))],
    ['cut to nothing', (name) => replace(storage, name, new Uint8Array(0))],
    ['missing', (name) => storage.delete(name)],
    ['of another repository', async (name) => replace(storage, name, await other.get(foreignPack))],
    ['of another type', async (name) => replace(storage, name, await storage.get(indexName))],
    [
      'another pack',
      async (name) => replace(storage, name, await storage.get(packs.find((pack) => pack !== name) ?? '')),
    ],
  ];
  for (const name of packs) {
    const good = await storage.get(name);
    for (const [what, damage] of damages) {
      await damage(name, good);
      await using reopened = await openTestRepository(storage);
      const problems = await problemsOf(reopened);
      const ofPack = problems.filter((problem) => problem.object === name);
      assert.ok(ofPack.length > 0, `${what}: ${name}: ${JSON.stringify(problems).slice(0, 500)}`);
      const hurt = new Set(problems.flatMap((problem) => problem.backups));
      assert.ok(
        hurt.size === 1 && (hurt.has(first.id) || hurt.has(second.id)),
        `${what}: ${[...hurt].join()}`,
      );
      const unhurt = hurt.has(first.id) ? second : first;
      await readBack(reopened, unhurt);
      await storage.delete(name);
      await storage.put(name, good);
    }
  }
});

test('a removed backup shows in the history', async () => {
  const storage = new MemoryStorage(systemClock);
  await using repository = await makeRepository(storage);
  await backUp(repository, bytesSource(contents));
  const removed = await backUp(repository, bytesSource(contents));
  // Both of these know it, and it is one gap all the same, of which no backup that is there has need.
  await backUp(repository, bytesSource(contents));
  await backUp(repository, bytesSource(contents));
  const name = (await objectsUnder(storage, 'snapshots/')).find((object) => object.endsWith(removed.id));
  await storage.delete(name ?? '');
  const problems = await problemsOf(repository);
  assert.deepEqual(
    problems.map(({ code, backups }) => [code, backups]),
    [['HF-3015', []]],
  );
  assert.ok(problems[0]?.message.includes(removed.id));
});
