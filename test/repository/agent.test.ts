import assert from 'node:assert/strict';
import { test } from 'node:test';
import { systemClock } from '../../src/kernel/clock.ts';
import { failure, isFailure } from '../../src/kernel/errors/failure.ts';
import { silentLogger } from '../../src/kernel/log.ts';
import { verifyRepository } from '../../src/operations/verify.ts';
import { keysOfAgent, makeCredentials } from '../../src/repository/agent/credentials.ts';
import { openAsAgent } from '../../src/repository/agent/open.ts';
import { forgetManifest } from '../../testing/forget.ts';
import { headerBytes, ObjectSeal, SealError } from '../../src/pipeline/seal.ts';
import { objectOf } from '../../src/repository/manifests.ts';
import type { Repository } from '../../src/repository/repository.ts';
import { MemoryStorage } from '../../src/storage/memory/memory-storage.ts';
import { withFaults } from '../../src/storage/wrap/faults.ts';
import { patternedBytes } from '../../testing/bytes.ts';
import { ManualClock } from '../../testing/clock.ts';
import { pruneWith } from '../../testing/prune.ts';
import {
  backUp,
  bytesSource,
  cacheDirectory,
  makeRepository,
  openTestRepository,
  readBack,
  silentProgress,
} from '../../testing/repository.ts';
import { openAgent } from './agent-kit.ts';

const hour = 3_600_000;
const contents = {
  big: patternedBytes(3_000_000, 1),
  small: Buffer.from('a little'),
  empty: Buffer.alloc(0),
};
const options = {
  signal: new AbortController().signal,
  log: silentLogger,
  jobs: 1,
  progress: silentProgress,
  readData: true,
};

async function problemsOf(repository: Repository) {
  return (await verifyRepository(repository, options)).problems;
}

async function names(storage: MemoryStorage, prefix = ''): Promise<string[]> {
  const found: string[] = [];
  for await (const { name } of storage.list(prefix)) found.push(name);
  return found;
}

function same(found: Readonly<Record<string, Buffer>>, wanted: Readonly<Record<string, Uint8Array>>): void {
  assert.deepEqual(Object.keys(found).toSorted(), Object.keys(wanted).toSorted());
  for (const [path, bytes] of Object.entries(wanted)) assert.ok(found[path]?.equals(bytes), path);
}

test('an agent backs up by putting and listing alone, and the owner verifies and restores it', async () => {
  const storage = new MemoryStorage(systemClock);
  await using owner = await makeRepository(storage);
  await using agent = await openAgent(owner);
  const first = await backUp(agent, bytesSource(contents));
  assert.equal(first.sequence, 1);
  const again = await backUp(agent, bytesSource(contents));
  assert.ok(again.stats.bytes_added < 3000, `the same again added ${again.stats.bytes_added} bytes`);
  assert.equal(again.stats.chunks_new, 0);
  assert.deepEqual(agent.policed.forbidden, []);
  assert.deepEqual(await names(storage, 'index/'), []);
  await using reader = await openTestRepository(storage);
  assert.deepEqual(await problemsOf(reader), []);
  assert.equal((await reader.names()).length, 2);
  for (const id of [first.id, again.id]) same(await readBack(reader, await reader.find(id)), contents);
});

test('without its cache an agent stores anew, and what it stored before still restores', async () => {
  const storage = new MemoryStorage(systemClock);
  await using owner = await makeRepository(storage);
  await using one = await openAgent(owner);
  const first = await backUp(one, bytesSource(contents));
  await using two = await openAgent(owner);
  const second = await backUp(two, bytesSource(contents));
  assert.equal(second.stats.chunks_new, first.stats.chunks_new);
  assert.equal(second.sequence, 2);
  assert.deepEqual(two.policed.forbidden, []);
  assert.deepEqual(await problemsOf(owner), []);
  for (const manifest of [first, second]) same(await readBack(owner, manifest), contents);
});

test('an agent opens nothing: no object, with no key it has, nor by any call', async () => {
  const storage = new MemoryStorage(systemClock);
  await using owner = await makeRepository(storage);
  await using agent = await openAgent(owner);
  const own = await backUp(agent, bytesSource(contents));
  await backUp(owner, bytesSource({ other: Buffer.from('of the owner') }));
  const keys = keysOfAgent(await makeCredentials(storage, owner.pipelineKeys, { label: '', nowMs: 0 }));
  const every = [
    keys.blobIdKey,
    keys.walKey,
    keys.agent?.secret,
    keys.agent?.publicKey,
    keys.signing.publicKey,
  ];
  let objects = 0;
  for (const name of await names(storage)) {
    const bytes = await storage.get(name);
    const header = bytes.subarray(0, headerBytes);
    if (Buffer.from(header.subarray(0, 8)).toString() !== 'HOLDFAST') continue;
    objects += 1;
    assert.throws(() => new ObjectSeal(keys, header), SealError, name);
    for (const key of every) {
      assert.ok(key !== undefined && keys.agent !== null);
      const guesses = [
        { ...keys, sealKey: key },
        { ...keys, agent: { ...keys.agent, privateKey: key } },
      ];
      for (const guess of guesses) {
        const section = bytes.subarray(headerBytes, headerBytes + 12);
        const additional = Buffer.concat([section, Buffer.from(name)]);
        const open = () => new ObjectSeal(guess, header).open(headerBytes, additional, bytes.subarray(76));
        assert.throws(open, SealError, name);
      }
    }
  }
  assert.ok(objects >= 4);
  const refused = (error: unknown): boolean => isFailure(error, 'agent_cannot');
  await assert.rejects(agent.find('latest'), refused);
  await assert.rejects(readBack(agent, own), refused);
  await assert.rejects(
    agent.keys.add({ passphrase: (await import('../../testing/repository.ts')).passphrase, label: '' }),
    refused,
  );
  await assert.rejects(agent.storage.delete('holdfast.json'), refused);
  assert.equal(await agent.newestOf(own.source), undefined);
});

test('every flipped bit of what an agent stored is found and named', async () => {
  const storage = new MemoryStorage(systemClock);
  await using owner = await makeRepository(storage);
  await using agent = await openAgent(owner);
  await backUp(agent, bytesSource({ a: Buffer.from('first table'), b: Buffer.from('second table') }));
  const kept = [...(await names(storage, 'packs/')), ...(await names(storage, 'snapshots/'))];
  for (const name of kept) {
    const good = await storage.get(name);
    for (let bit = 0; bit < good.length * 8; bit += 7) {
      const bad = Uint8Array.from(good);
      bad[bit >> 3] = (bad[bit >> 3] ?? 0) ^ (1 << (bit & 7));
      await storage.delete(name);
      await storage.put(name, bad);
      const problems = await problemsOf(owner);
      assert.ok(
        problems.some(({ object }) => object === name),
        `bit ${bit} of ${name}`,
      );
    }
    await storage.delete(name);
    await storage.put(name, good);
  }
  assert.deepEqual(await problemsOf(owner), []);
});

test('the history stays chained across owner and agents, and a removed backup shows', async () => {
  const storage = new MemoryStorage(systemClock);
  await using owner = await makeRepository(storage);
  const seen = new Map<string, string>();
  const memory = {
    points: [],
    sha256Of: (id: string) => seen.get(id),
    saw: async (points: readonly { id: string; sha256: string }[]) => {
      for (const { id, sha256 } of points) seen.set(id, sha256);
    },
  };
  await using agent = await openAgent(owner, storage, { memory });
  const first = await backUp(owner, bytesSource({ a: Buffer.from('1') }));
  const second = await backUp(agent, bytesSource({ a: Buffer.from('2') }));
  const third = await backUp(agent, bytesSource({ a: Buffer.from('3') }));
  assert.deepEqual(second.previous, [{ id: first.id, sha256: null }]);
  assert.equal(third.previous.find(({ id }) => id === second.id)?.sha256, seen.get(second.id));
  await backUp(owner, bytesSource({ a: Buffer.from('4') }));
  await using readers = new AsyncDisposableStack();
  const reopened = async (): Promise<Repository> => readers.use(await openTestRepository(storage));
  assert.deepEqual(await problemsOf(await reopened()), []);
  // Forgotten with a record it is no gap, whether its hash was known or not.
  await forgetManifest(owner, objectOf(first), systemClock);
  assert.deepEqual(await problemsOf(await reopened()), []);
  const [object] = (await names(storage, 'snapshots/')).filter((name) => name.endsWith(second.id));
  assert.ok(object !== undefined);
  await storage.delete(object);
  assert.ok((await problemsOf(await reopened())).some(({ code }) => code === 'HF-3015'));
});

test('an agent works beside an owner, a prune and what it has marked', async () => {
  const clock = new ManualClock();
  const storage = new MemoryStorage(clock);
  const cache = cacheDirectory();
  await using owner = await makeRepository(storage, { clock });
  const gone = await backUp(owner, bytesSource({ a: patternedBytes(400_000, 9) }), { clock });
  await using one = await openAgent(owner, storage, { clock, cache });
  const mine = await backUp(one, bytesSource(contents), { clock });
  await using two = await openAgent(owner, storage, { clock });
  await backUp(two, bytesSource(contents), { clock });
  await forgetManifest(owner, objectOf(gone), clock);
  await clock.advance(200 * hour);
  const marking = await pruneWith(owner, clock);
  assert.ok(marking.marked.packs >= 2, 'what is dead, and the second copy of the same');
  // Marked packs count as not there: what the agent needs of them it stores anew.
  await using later = await openAgent(owner, storage, { clock, cache });
  const after = await backUp(later, bytesSource(contents), { clock });
  assert.deepEqual(later.policed.forbidden, []);
  await clock.advance(100 * hour);
  const removing = await pruneWith(owner, clock);
  assert.ok(removing.removed.packs >= 1);
  await using reader = await openTestRepository(storage, { clock });
  assert.deepEqual(await problemsOf(reader), []);
  for (const manifest of [mine, after]) same(await readBack(reader, manifest), contents);
});

test('a lost answer to a put of an agent is no error, though it may not read what is there', async () => {
  const storage = new MemoryStorage(systemClock);
  await using owner = await makeRepository(storage);
  let puts = 0;
  const flaky = withFaults(storage, ({ operation }) => {
    if (operation !== 'put') return undefined;
    puts += 1;
    return puts % 2 === 1 ? { kind: 'fail_after', error: failure('storage_denied', denied) } : undefined;
  });
  await using agent = await openAgent(owner, flaky);
  const manifest = await backUp(agent, bytesSource(contents));
  assert.ok(puts > 1);
  same(await readBack(owner, manifest), contents);
});

const denied = { action: 'read', name: 'x', location: 'memory:', reason: 'AccessDenied', mend: '' };

test('credentials work for one repository, and only as it was', async () => {
  const storage = new MemoryStorage(systemClock);
  await using owner = await makeRepository(storage);
  const other = new MemoryStorage(systemClock);
  await using _other = await makeRepository(other);
  const plain = new MemoryStorage(systemClock);
  await using open = await makeRepository(plain, { encrypted: false });
  const about = { label: 'test', nowMs: 0 };
  const credentials = await makeCredentials(storage, owner.pipelineKeys, about);
  const parts = {
    cacheDirectory: cacheDirectory(),
    clock: systemClock,
    log: silentLogger,
    host: 'h',
    user: 'u',
    path: 'p',
  };
  for (const place of [other, plain])
    await assert.rejects(openAsAgent(place, credentials, parts), (error) =>
      isFailure(error, 'agent_file_wrong'),
    );
  // Somebody who can write puts a holdfast.json there that asks for no encryption.
  const forged = new MemoryStorage(systemClock);
  const config = JSON.parse(Buffer.from(await plain.get('holdfast.json')).toString()) as Record<
    string,
    unknown
  >;
  delete config['check'];
  const { encodeCheckedJson } = await import('../../src/repository/checked-json.ts');
  await forged.put('holdfast.json', encodeCheckedJson({ ...config, id: owner.info.id }));
  await assert.rejects(openAsAgent(forged, credentials, parts), (error) =>
    isFailure(error, 'agent_file_wrong'),
  );
  await assert.rejects(makeCredentials(plain, open.pipelineKeys, about), (error) =>
    isFailure(error, 'key_unencrypted'),
  );
});
