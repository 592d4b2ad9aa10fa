import assert from 'node:assert/strict';
import { test } from 'node:test';
import { unscannedFacts } from '../../src/contract/wal.ts';
import { systemClock } from '../../src/kernel/clock.ts';
import { isFailure } from '../../src/kernel/errors/failure.ts';
import { MemoryStorage } from '../../src/storage/memory/memory-storage.ts';
import { cacheDirectory, makeRepository, openTestRepository } from '../../testing/repository.ts';
import { ManualClock } from '../../testing/clock.ts';
import { pruneWith } from '../../testing/prune.ts';
import { failureOf, mib, putWal, walBytes, walInfo } from '../../testing/wal-archive.ts';
import { openAgent } from './agent-kit.ts';

const history = Buffer.from('1\t0/300000\tno recovery target specified\n');

test('an agent stores WAL that the owner reads, and takes the same once more for the same', async () => {
  const storage = new MemoryStorage(systemClock);
  await using owner = await makeRepository(storage);
  const cache = cacheDirectory();
  await using agent = await openAgent(owner, storage, { cache });
  const archive = await agent.walArchive(walInfo);
  assert.equal(archive.isReadable, false);
  for (const at of [0, mib]) assert.equal(await putWal(archive, at, walBytes(at, mib)), 'stored');
  assert.equal(await putWal(archive, 2 * mib, walBytes(2 * mib, 1000)), 'stored');
  assert.equal(await archive.putFile('00000002.history', history), 'stored');
  assert.equal(await putWal(archive, 0, walBytes(0, mib)), 'already_there');
  assert.equal(await archive.putFile('00000002.history', history), 'already_there');
  // By another process of the same machine.
  await using again = await openAgent(owner, storage, { cache });
  const reopened = await again.walArchive(walInfo);
  assert.equal(reopened.id, archive.id);
  assert.equal(await putWal(reopened, mib, walBytes(mib, mib)), 'already_there');
  assert.deepEqual([...agent.policed.forbidden, ...again.policed.forbidden], []);
  await using reader = await openTestRepository(storage);
  const stored = await reader.findWalArchive(archive.id);
  assert.ok(stored !== undefined);
  for (const at of [0n, BigInt(mib)])
    assert.deepEqual(Buffer.from(await stored.readUnit(1, at)), Buffer.from(walBytes(at, mib)));
  assert.equal((await stored.readUnit(1, BigInt(2 * mib))).length, 1000);
  assert.deepEqual(Buffer.from((await stored.getFile('00000002.history')) ?? []), history);
});

test('other WAL at the same position is refused, with and without a memory of what was stored', async () => {
  const storage = new MemoryStorage(systemClock);
  await using owner = await makeRepository(storage);
  await using agent = await openAgent(owner);
  const archive = await agent.walArchive(walInfo);
  await putWal(archive, 0, walBytes(0, mib));
  assert.equal((await failureOf(putWal(archive, 0, walBytes(0, mib, 1)))).errorName, 'wal_differs');
  const other = Buffer.from('1\t0/500000\tanother past\n');
  await archive.putFile('00000002.history', history);
  const differs = await failureOf(archive.putFile('00000002.history', other));
  assert.equal(differs.errorName, 'wal_file_differs');
  await using forgetful = await openAgent(owner);
  const unknown = await forgetful.walArchive(walInfo);
  assert.equal(await putWal(unknown, 0, walBytes(0, mib)), 'already_there');
  await using third = await openAgent(owner);
  const also = await third.walArchive(walInfo);
  const { errorName } = await failureOf(putWal(also, 0, new Uint8Array(mib).fill(3)));
  assert.equal(errorName, 'agent_wal_unknown');
  assert.deepEqual([...agent.policed.forbidden, ...third.policed.forbidden], []);
});

test('where nothing was looked for first, what is there is compared all the same', async () => {
  const storage = new MemoryStorage(systemClock);
  await using owner = await makeRepository(storage);
  await using agent = await openAgent(owner);
  const archive = await agent.walArchive(walInfo);
  const put = (bytes: Uint8Array) =>
    archive.put({ timeline: 1, start: 0n, bytes }, unscannedFacts, { unseen: true });
  assert.equal(await put(walBytes(0, 500)), 'stored');
  assert.equal(await put(walBytes(0, 500)), 'already_there');
  assert.equal((await failureOf(put(walBytes(0, 500, 1)))).errorName, 'wal_differs');
});

test('an agent reads no WAL, and leaves parts to the owner', async () => {
  const storage = new MemoryStorage(systemClock);
  await using owner = await makeRepository(storage);
  await using agent = await openAgent(owner);
  const archive = await agent.walArchive(walInfo);
  await putWal(archive, 0, walBytes(0, 1000));
  await putWal(archive, 0, walBytes(0, mib));
  await archive.dropParts(1, 0n);
  const [run] = await archive.runs(1);
  assert.equal(run?.stretches, 2);
  const stretches = await Array.fromAsync(archive.stretches(1));
  const [stretch] = stretches;
  assert.ok(stretch !== undefined);
  const refused = (error: unknown): boolean => isFailure(error, 'agent_cannot');
  await assert.rejects(archive.read(stretch), refused);
  await assert.rejects(archive.facts(stretch), refused);
  await assert.rejects(archive.readUnit(1, 0n), refused);
  await assert.rejects(archive.getFile('00000002.history'), refused);
  assert.equal(await agent.findWalArchive(archive.id), undefined);
  assert.deepEqual(agent.policed.forbidden, []);
});

test('the parts that an agent has to leave go with a prune of the owner, once they were compared', async () => {
  const clock = new ManualClock();
  const storage = new MemoryStorage(clock);
  await using owner = await makeRepository(storage, { clock });
  await using agent = await openAgent(owner, storage, { clock });
  const archive = await agent.walArchive(walInfo);
  await putWal(archive, 0, walBytes(0, 1000));
  await putWal(archive, 1000, walBytes(1000, 500));
  await putWal(archive, 0, walBytes(0, mib));
  await putWal(archive, mib, walBytes(mib, 700, 1));
  await putWal(archive, mib, walBytes(mib, mib));
  await putWal(archive, 2 * mib, walBytes(2 * mib, 800));
  const lengths = async (): Promise<number[]> => {
    const found = await Array.fromAsync(archive.stretches(1));
    return found.map(({ start, end }) => Number(end - start));
  };
  await pruneWith(owner, clock);
  assert.equal((await lengths()).length, 6, 'what was stored lately is left to whoever streams');
  await clock.advance(2 * 3_600_000);
  await pruneWith(owner, clock);
  assert.deepEqual(await lengths(), [mib, mib, 700, 800], 'a part that differs stays, and one that is alone');
});
