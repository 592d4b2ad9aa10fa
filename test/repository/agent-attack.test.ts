import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isFailure } from '../../src/kernel/errors/failure.ts';
import { silentLogger } from '../../src/kernel/log.ts';
import { syncTo } from '../../src/operations/sync/sync.ts';
import { verifyRepository } from '../../src/operations/verify.ts';
import { Compressor, defaultCompression } from '../../src/pipeline/codec.ts';
import { PackBuilder, type FinishedPack } from '../../src/pipeline/pack-builder.ts';
import { encodeIndex } from '../../src/repository/index-object.ts';
import { indexObject, packIdOf, packObject, packsPrefix } from '../../src/repository/layout.ts';
import { readEntries } from '../../src/pipeline/pack-format.ts';
import { forgottenRecords, putForgotten } from '../../src/repository/history/forgotten.ts';
import { putMark, listMarks, readMark } from '../../src/repository/gc/marks.ts';
import { indexFromPack } from '../../src/repository/pack-recovery.ts';
import type { Repository } from '../../src/repository/repository.ts';
import { MemoryStorage } from '../../src/storage/memory/memory-storage.ts';
import { ManualClock } from '../../testing/clock.ts';
import { patternedBytes } from '../../testing/bytes.ts';
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

/*
 * What somebody can do who has taken over a machine with the credentials of an agent, and may put objects: nothing that
 * costs a backup which was there before.
 */

const hour = 3_600_000;
const contents = { a: patternedBytes(300_000, 4), b: Buffer.from('more') };

async function packs(storage: MemoryStorage): Promise<string[]> {
  const found: string[] = [];
  for await (const { name } of storage.list(packsPrefix)) found.push(packIdOf(name) ?? '');
  return found;
}

/** A pack that says of every blob of another one that it holds it, and sorts before that one. */
async function poison(owner: Repository, attacker: Repository, pack: string): Promise<FinishedPack> {
  const { storage, pipelineKeys } = owner;
  const { sizeBytes } = await storage.stat(packObject(pack));
  const { entries } = await indexFromPack(storage, pipelineKeys, pack, sizeBytes);
  for (;;) {
    const compressor = new Compressor(defaultCompression);
    const builder = new PackBuilder(attacker.pipelineKeys, compressor, 16 * 1024 * 1024);
    for (const { type, id, rawLength } of readEntries(entries))
      builder.add(type, id, Buffer.alloc(rawLength, 'garbage'));
    const made = builder.finish();
    assert.ok(made !== undefined);
    if (made.id < pack) return made;
  }
}

async function problemsOf(repository: Repository) {
  const signal = new AbortController().signal;
  const options = { signal, log: silentLogger, jobs: 1, progress: silentProgress, readData: false };
  return (await verifyRepository(repository, options)).problems;
}

for (const who of ['an agent', 'the owner'] as const) {
  test(`a pack that only says that it has the blobs of a backup of ${who} does not cost that backup`, async () => {
    const clock = new ManualClock();
    const storage = new MemoryStorage(clock);
    await using owner = await makeRepository(storage, { clock });
    await using agent = await openAgent(owner, storage, { clock });
    const manifest = await backUp(who === 'an agent' ? agent : owner, bytesSource(contents), { clock });
    for (const pack of await packs(storage)) {
      const { id, buffer, lengthBytes } = await poison(owner, agent, pack);
      await agent.storage.put(packObject(id), new Uint8Array(buffer, 0, lengthBytes));
    }
    // What was found out once is known the next time.
    const cache = cacheDirectory();
    let found = 0;
    const log = { ...silentLogger, warn: () => (found += 1) };
    for (let round = 0; round < 5; round += 1) {
      await clock.advance(200 * hour);
      await using pruner = await openTestRepository(storage, { clock, cache });
      await pruneWith(pruner, clock, { log });
    }
    if (who === 'an agent') assert.ok(found > 0, 'the copy was read before the good one would have gone');
    await using reader = await openTestRepository(storage, { clock });
    const back = await readBack(reader, manifest);
    for (const [path, bytes] of Object.entries(contents)) assert.ok(back[path]?.equals(bytes), path);
  });
}

test('nobody but the agent itself comes to rely on what it says it has stored', async () => {
  const clock = new ManualClock();
  const storage = new MemoryStorage(clock);
  await using owner = await makeRepository(storage, { clock });
  await using agent = await openAgent(owner, storage, { clock });
  const first = await backUp(agent, bytesSource(contents), { clock });
  await using fresh = await openTestRepository(storage, { clock });
  const own = await backUp(fresh, bytesSource(contents), { clock });
  assert.equal(own.stats.chunks_new, first.stats.chunks_new);
  await using other = await openAgent(owner, storage, { clock });
  assert.equal(
    (await backUp(other, bytesSource(contents), { clock })).stats.chunks_new,
    first.stats.chunks_new,
  );
  // Of its own backups the owner uses everything.
  await using again = await openTestRepository(storage, { clock });
  assert.equal((await backUp(again, bytesSource(contents), { clock })).stats.chunks_new, 0);
});

test('an index, a record of forgetting and a mark that an agent made are not believed', async () => {
  const clock = new ManualClock();
  const storage = new MemoryStorage(clock);
  await using owner = await makeRepository(storage, { clock });
  await using agent = await openAgent(owner, storage, { clock });
  const manifest = await backUp(owner, bytesSource(contents), { clock });
  const [pack = ''] = await packs(storage);
  const { sizeBytes } = await storage.stat(packObject(pack));
  const good = await indexFromPack(storage, owner.pipelineKeys, pack, sizeBytes);
  const forged = encodeIndex(agent.pipelineKeys, [{ ...good, entries: good.entries.subarray(0, 48) }]);
  await storage.put(indexObject(forged.id), forged.bytes);
  const instant = new Date(clock.now()).toISOString();
  const { id, sequence, started_at } = manifest;
  const one = {
    id,
    sequence,
    object_name: 'snapshots/x',
    sha256: '0'.repeat(64),
    source: null,
    started_at,
    why: [],
  };
  const record = {
    schema: 1 as const,
    forgotten_at: instant,
    host: 'h',
    user: 'u',
    reason: 'r',
    backups: [one],
  };
  await putForgotten({ storage, pipelineKeys: agent.pipelineKeys }, record);
  await assert.rejects(
    putMark(storage, agent.pipelineKeys, '20200101t000000000z-0123456789abcdef', 0, mark(pack)),
    (error) => isFailure(error, 'agent_cannot'),
  );
  const signing = {
    ...agent.pipelineKeys,
    signing: { ...owner.pipelineKeys.signing, privateKey: new Uint8Array(32).fill(5) },
  };
  await putMark(storage, signing, '20200101t000000000z-0123456789abcdef', 0, mark(pack));
  await using reader = await openTestRepository(storage, { clock });
  for await (const read of forgottenRecords(reader)) assert.ok('damage' in read);
  for await (const listed of listMarks(storage))
    for (const keys of [reader.pipelineKeys, agent.pipelineKeys])
      assert.equal(await readMark(storage, keys, listed), undefined);
  const named = (await problemsOf(reader)).map(({ object }) => object);
  assert.ok(named.includes(indexObject(forged.id)), JSON.stringify(named));
  const back = await readBack(reader, manifest);
  assert.ok(back['a']?.equals(contents.a));
});

function mark(pack: string) {
  return { schema: 1 as const, marked_at_ms: 0, grace_ms: 1, host: 'h', packs: [pack], wal: [] };
}

test('packs of agents are told of by an index of the owner after a prune', async () => {
  const clock = new ManualClock();
  const storage = new MemoryStorage(clock);
  await using owner = await makeRepository(storage, { clock });
  await using agent = await openAgent(owner, storage, { clock });
  const manifest = await backUp(agent, bytesSource(contents), { clock });
  const indexes = async (): Promise<number> => (await Array.fromAsync(storage.list('index/'))).length;
  assert.equal(await indexes(), 0);
  await using pruner = await openTestRepository(storage, { clock });
  await pruneWith(pruner, clock);
  assert.equal(await indexes(), 1);
  await using again = await openTestRepository(storage, { clock });
  await pruneWith(again, clock);
  assert.equal(await indexes(), 1);
  assert.deepEqual(await problemsOf(again), []);
  await using reader = await openTestRepository(storage, { clock });
  assert.ok((await readBack(reader, manifest))['a']?.equals(contents.a));
});

test('a copy gets the good pack too, where another one only says that it has the same', async () => {
  const clock = new ManualClock();
  const storage = new MemoryStorage(clock);
  const copy = new MemoryStorage(clock);
  await using owner = await makeRepository(storage, { clock });
  await using agent = await openAgent(owner, storage, { clock });
  const sync = async () => {
    const options = { signal: new AbortController().signal, log: silentLogger, progress: silentProgress };
    await using from = await openTestRepository(storage, { clock });
    return await syncTo(from, copy, options);
  };
  await sync();
  const manifest = await backUp(agent, bytesSource(contents), { clock });
  const good = await packs(storage);
  for (const pack of good) {
    const { id, buffer, lengthBytes } = await poison(owner, agent, pack);
    for (const place of [storage, copy])
      await place.put(packObject(id), new Uint8Array(buffer, 0, lengthBytes));
  }
  const report = await sync();
  assert.deepEqual(report.problems, []);
  assert.deepEqual(report.copied, [manifest.id]);
  const there = await packs(copy);
  assert.ok(good.every((pack) => there.includes(pack)));
  await using reader = await openTestRepository(copy, { clock });
  assert.ok((await readBack(reader, manifest))['a']?.equals(contents.a));
  assert.equal((await sync()).packs.objects, 0);
});
