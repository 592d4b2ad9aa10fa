import assert from 'node:assert/strict';
import { randomInt } from 'node:crypto';
import { test } from 'node:test';
import { unscannedFacts } from '../../src/contract/wal.ts';
import { systemClock } from '../../src/kernel/clock.ts';
import { isFailure } from '../../src/kernel/errors/failure.ts';
import type { WalArchive } from '../../src/repository/wal/model.ts';
import { MemoryStorage } from '../../src/storage/memory/memory-storage.ts';
import { withFaults } from '../../src/storage/wrap/faults.ts';
import { crashAtMutation, passingFaults, type FaultPlan } from '../../src/storage/wrap/fault-plan.ts';
import { withRetry } from '../../src/storage/wrap/retry.ts';
import { openTestRepository } from '../../testing/repository.ts';
import { failureOf, makeWalArchive, mib, putWal, walBytes, walInfo } from '../../testing/wal-archive.ts';

interface Faulty {
  readonly archive: WalArchive;
  readonly good: WalArchive;
  readonly follow: (plan: FaultPlan, during?: () => Promise<void>) => void;
  readonly stack: AsyncDisposableStack;
}

/** An archive whose storage does what the plan says from now on, and a view of the same without faults. */
async function makeFaulty(): Promise<Faulty> {
  const storage = new MemoryStorage(systemClock);
  const good = await makeWalArchive({ storage });
  let plan: FaultPlan = () => undefined;
  let meanwhile = async (): Promise<void> => {};
  const faulty = withFaults(storage, (call) => plan(call), { sleep: () => meanwhile() });
  const repository = await openTestRepository(faulty);
  const archive = await repository.walArchive(walInfo);
  const stack = new AsyncDisposableStack();
  stack.use(good.repository);
  stack.use(repository);
  /** `during` is done while a call is delayed. */
  const follow = (next: FaultPlan, during = meanwhile): void => {
    plan = next;
    meanwhile = during;
  };
  return { archive, good: good.archive, follow, stack };
}

test('a lost answer is an error, and the same again is there already', async () => {
  const { archive, good, follow, stack } = await makeFaulty();
  await using _ = stack;
  follow(({ operation }) => (operation === 'put' ? { kind: 'fail_after' } : undefined));
  assert.equal((await failureOf(putWal(archive, 0, walBytes(0, mib)))).kind, 'unreachable');
  assert.equal(Buffer.compare(await good.readUnit(1, 0n), walBytes(0, mib)), 0);
  assert.equal((await failureOf(archive.putFile('00000002.history', walBytes(0, 9)))).kind, 'unreachable');
  assert.equal(await putWal(archive, 0, walBytes(0, mib)), 'already_there');
  assert.equal(await archive.putFile('00000002.history', walBytes(0, 9)), 'already_there');
});

test('an archive whose making was answered with an error is found by the next who asks', async () => {
  const storage = new MemoryStorage(systemClock);
  const { repository } = await makeWalArchive({ storage });
  await using _ = repository;
  const faulty = withFaults(storage, ({ operation, index }) =>
    operation === 'put' && index > 0 ? { kind: 'fail_after' } : undefined,
  );
  await using shaky = await openTestRepository(faulty);
  const wanted = { ...walInfo, source: 'another' };
  assert.equal((await failureOf(shaky.walArchive(wanted))).kind, 'unreachable');
  const again = await repository.walArchive(wanted);
  assert.equal((await shaky.walArchive(wanted)).id, again.id);
  const error = await failureOf(shaky.walArchive({ ...wanted, segment_bytes: 2 * mib }));
  assert.equal(error.errorName, 'wal_archive_differs');
});

test('no answer of a listing or a read that fails is taken for nothing there', async () => {
  const { archive, follow, stack } = await makeFaulty();
  await using _ = stack;
  await putWal(archive, 0, walBytes(0, 1000));
  await putWal(archive, 1000, walBytes(1000, 1000));
  for (const items of [0, 1]) {
    follow(({ operation }) => (operation === 'list' ? { kind: 'list_fail', items } : undefined));
    assert.equal((await failureOf(archive.readUnit(1, 0n))).kind, 'unreachable');
    assert.equal((await failureOf(archive.runs(1))).kind, 'unreachable');
    assert.equal((await failureOf(archive.timelines())).kind, 'unreachable');
    assert.equal((await failureOf(Array.fromAsync(archive.files()))).kind, 'unreachable');
    assert.equal((await failureOf(putWal(archive, 0, walBytes(0, mib)))).kind, 'unreachable');
  }
  follow(({ operation }) => (operation === 'get' ? { kind: 'fail_before' } : undefined));
  assert.equal((await failureOf(archive.readUnit(1, 0n))).kind, 'unreachable');
  assert.equal((await failureOf(archive.getFile('00000002.history'))).kind, 'unreachable');
  assert.equal((await failureOf(putWal(archive, 0, walBytes(0, mib)))).kind, 'unreachable');
});

test('a unit whose parts are dropped while it is read comes from the whole', async () => {
  const { archive, good, follow, stack } = await makeFaulty();
  await using _ = stack;
  await putWal(archive, 0, walBytes(0, 1000));
  await putWal(archive, 1000, walBytes(1000, 1000));
  let isDropped = false;
  // The listing is made; before the first part is read the whole unit comes and the parts go.
  follow(
    ({ operation }) => (operation === 'get' && !isDropped ? { kind: 'delay', ms: 1 } : undefined),
    async () => {
      isDropped = true;
      await putWal(good, 0, walBytes(0, mib));
      await good.dropParts(1, 0n);
    },
  );
  assert.equal(Buffer.compare(await archive.readUnit(1, 0n), walBytes(0, mib)), 0);
  assert.ok(isDropped);
});

test('parts that cannot be removed stay and hurt nobody', async () => {
  const { archive, follow, stack } = await makeFaulty();
  await using _ = stack;
  await putWal(archive, 0, walBytes(0, 1000));
  await putWal(archive, 0, walBytes(0, mib));
  follow(({ operation }) => (operation === 'delete' ? { kind: 'fail_before' } : undefined));
  await archive.dropParts(1, 0n);
  assert.equal((await archive.runs(1))[0]?.stretches, 2);
  assert.equal((await archive.readUnit(1, 0n)).length, mib);
});

test('after a crash at any change nothing is lost, and the same calls again finish', async () => {
  for (let mutation = 1; mutation <= 6; mutation += 1) {
    for (const applied of [false, true]) {
      const { archive, good, follow, stack } = await makeFaulty();
      await using _ = stack;
      // Counts from the storage's first change on, which is after the making of the archive.
      follow(crashAtMutation(mutation, applied));
      const durable: [number, number][] = [];
      try {
        await feed(archive, durable);
      } catch (error) {
        if (!isFailure(error) || error.kind !== 'unreachable') throw error;
      }
      for (const [start, end] of durable) {
        const unit = await good.readUnit(1, BigInt(start - (start % mib)));
        assert.ok(
          unit.length >= end - (start - (start % mib)),
          `crash ${mutation} ${applied}: ${start} to ${end}`,
        );
      }
      await feed(good, []);
      assert.equal(Buffer.compare(await good.readUnit(1, 0n), walBytes(0, mib)), 0);
      assert.deepEqual(
        (await good.runs(1)).map(({ start, end }) => [start, end]),
        [[0n, BigInt(mib + 500)]],
      );
    }
  }
});

/** As a receiver does it: parts, then the whole unit, then the parts go; notes what was said to be durable. */
async function feed(archive: WalArchive, durable: [number, number][]): Promise<void> {
  const put = async (start: number, end: number): Promise<void> => {
    await putWal(archive, start, walBytes(start, end - start));
    durable.push([start, end]);
  };
  await put(0, 5000);
  await put(5000, 9000);
  await put(0, mib);
  await archive.dropParts(1, 0n);
  await put(mib, mib + 500);
}

test('over a storage with passing faults everything arrives once', async () => {
  const seed = randomInt(0x7fff_ffff);
  const random = randomFrom(seed);
  const storage = new MemoryStorage(systemClock);
  const { repository: good, archive: seen } = await makeWalArchive({ storage });
  await using _ = good;
  const faulty = withFaults(storage, passingFaults(random, 0.3));
  const clock = { sleep: async () => {} };
  const steady = withRetry(faulty, { clock, random, attempts: 50 });
  await using repository = await openTestRepository(steady);
  const archive = await repository.walArchive(walInfo);
  for (let start = 0; start < 3 * mib; start += 100_000) {
    const end = Math.min(start + 100_000, (Math.floor(start / mib) + 1) * mib);
    await putWal(archive, start, walBytes(start, end - start));
  }
  for (let start = 0; start < 2 * mib; start += mib) await putWal(archive, start, walBytes(start, mib));
  for (const unit of [0, mib, 2 * mib]) {
    const found = await archive.readUnit(1, BigInt(unit));
    const expected = walBytes(unit, found.length);
    assert.equal(Buffer.compare(found, expected), 0, `seed ${seed}`);
    assert.ok(unit === 2 * mib || found.length === mib, `seed ${seed}`);
  }
  assert.deepEqual(await archive.runs(1), await seen.runs(1), `seed ${seed}`);
});

test('a bit flipped on the way is found, and so is an answer cut short', async () => {
  const { archive, follow, stack } = await makeFaulty();
  await using _ = stack;
  await putWal(archive, 0, walBytes(0, 3000));
  follow(({ operation }) => (operation === 'get' ? { kind: 'flip_bit', bit: 1777 } : undefined));
  assert.equal((await failureOf(archive.readUnit(1, 0n))).errorName, 'object_damaged');
  follow(({ operation }) => (operation === 'get' ? { kind: 'truncate', keepBytes: 200 } : undefined));
  assert.equal((await failureOf(archive.readUnit(1, 0n))).errorName, 'object_damaged');
});

test('a call that is cancelled rejects with the reason', async () => {
  const { archive, stack } = await makeFaulty();
  await using _ = stack;
  const signal = AbortSignal.abort(new Error('enough'));
  const stretch = { timeline: 1, start: 0n, bytes: walBytes(0, 100) };
  await assert.rejects(archive.put(stretch, unscannedFacts, { signal }), /enough/);
  await assert.rejects(archive.runs(1, {}, { signal }), /enough/);
  await assert.rejects(archive.readUnit(1, 0n, { signal }), /enough/);
});

/** xorshift32 as numbers from 0 to 1. */
function randomFrom(seed: number): () => number {
  let state = seed | 1;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) / 0x1_0000_0000;
  };
}
