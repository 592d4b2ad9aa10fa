import assert from 'node:assert/strict';
import { randomInt } from 'node:crypto';
import { test } from 'node:test';
import fc from 'fast-check';
import { unscannedFacts } from '../../src/contract/wal.ts';
import { systemClock } from '../../src/kernel/clock.ts';
import { isFailure } from '../../src/kernel/errors/failure.ts';
import type { WalArchive, WalPutContext } from '../../src/repository/wal/model.ts';
import { MemoryStorage } from '../../src/storage/memory/memory-storage.ts';
import type { GetOptions, ObjectInfo, Storage } from '../../src/storage/port.ts';
import { openTestRepository } from '../../testing/repository.ts';
import { failureOf, makeWalArchive, mib, putWal, walBytes, walInfo } from '../../testing/wal-archive.ts';

/** Positions of what is stored first and of what comes then, in the unit from 1 MiB on. */
const combinations = [
  ['whole on whole', [0, mib], [0, mib]],
  ['part on whole', [0, mib], [1000, 5000]],
  ['part at the start on whole', [0, mib], [0, 5000]],
  ['whole on part', [1000, 5000], [0, mib]],
  ['the same part', [1000, 5000], [1000, 5000]],
  ['longer part at the same start', [1000, 5000], [1000, 6000]],
  ['shorter part at the same start', [1000, 5000], [1000, 4000]],
  ['part that begins later', [1000, 5000], [4999, 6000]],
  ['part that begins before', [1000, 5000], [500, 1001]],
  ['part around it', [1000, 5000], [500, 6000]],
] as const;

for (const [what, [start, end], [nextStart, nextEnd]] of combinations) {
  test(`one other byte is refused, and the same bytes are not: ${what}`, async () => {
    const { repository, archive, storage } = await makeWalArchive();
    await using _ = repository;
    const unit = walBytes(mib, mib);
    await putWal(archive, mib + start, unit.subarray(start, end));
    const before = await snapshotOf(storage);
    for (const at of [Math.max(start, nextStart), Math.min(end, nextEnd) - 1]) {
      const other = unit.slice();
      other[at] = (other[at] ?? 0) ^ 1;
      const error = await failureOf(putWal(archive, mib + nextStart, other.subarray(nextStart, nextEnd)));
      assert.equal(error.errorName, 'wal_differs');
      assert.equal(error.exitCode, 7);
      const lsn = `0/${(mib + at).toString(16).toUpperCase()}`;
      assert.ok(
        error.message.includes(`WAL of main is already stored at ${lsn} of timeline 1 `),
        error.message,
      );
      assert.deepEqual(await snapshotOf(storage), before);
    }
    const isSame = start === nextStart && end === nextEnd;
    const outcome = await putWal(archive, mib + nextStart, unit.subarray(nextStart, nextEnd));
    assert.equal(outcome, isSame ? 'already_there' : 'stored');
  });
}

test('other bytes beside what is stored, in another unit and on another timeline are no conflict', async () => {
  const { repository, archive } = await makeWalArchive();
  await using _ = repository;
  await putWal(archive, 1000, walBytes(1000, 1000));
  assert.equal(await putWal(archive, 2000, walBytes(2000, 1000, 1)), 'stored');
  assert.equal(await putWal(archive, 0, walBytes(0, 1000, 1)), 'stored');
  assert.equal(await putWal(archive, mib + 1000, walBytes(0, 1000, 1)), 'stored');
  assert.equal(await putWal(archive, 1000, walBytes(1000, 1000, 1), 2), 'stored');
  assert.equal((await failureOf(putWal(archive, 0, walBytes(0, mib)))).errorName, 'wal_differs');
});

test('a unit whose parts disagree is not put together', async () => {
  const { repository, archive, storage } = await makeWalArchive();
  await using _ = repository;
  await putWal(archive, 0, walBytes(0, 100));
  // As it may be left when two programs store at the same moment: neither saw the other before.
  await putUnseen(storage, archive, 50, walBytes(50, 100, 1));
  assert.equal((await failureOf(archive.readUnit(1, 0n))).errorName, 'wal_differs');
  // Whoever tries again is told so again.
  assert.equal((await failureOf(putWal(archive, 0, walBytes(0, 100)))).errorName, 'wal_differs');
});

test('what is put without looking is compared by the next who looks, and a name that is taken at once', async () => {
  const { repository, archive } = await makeWalArchive();
  await using _ = repository;
  const put = async (start: number, bytes: Uint8Array, context: WalPutContext): Promise<string> =>
    await archive.put({ timeline: 1, start: BigInt(start), bytes }, unscannedFacts, context);
  await putWal(archive, 0, walBytes(0, 1000));
  const other = walBytes(0, 1000, 1);
  assert.equal((await failureOf(put(0, other, { unseen: true }))).errorName, 'wal_differs');
  assert.equal(await put(0, walBytes(0, 1000), { unseen: true }), 'already_there');
  assert.equal(await put(500, walBytes(500, 1000, 1), { unseen: true }), 'stored');
  // The caller has compared the first part itself, and not the one that somebody else has put meanwhile.
  const known = (start: bigint, end: bigint): boolean => start === 0n && end === 1000n;
  assert.equal((await failureOf(put(900, walBytes(900, 2000), { known }))).errorName, 'wal_differs');
  assert.equal(await put(400, other.subarray(400, 500), { known }), 'stored');
});

/** Stores a part for which the archive has found nothing at its positions, and nothing afterwards either. */
async function putUnseen(
  storage: Storage,
  archive: WalArchive,
  start: number,
  bytes: Uint8Array,
): Promise<void> {
  const blind = new ScheduledStorage(
    storage,
    async () => {},
    () => false,
  );
  await using repository = await openTestRepository(blind);
  const same = await repository.walArchive(walInfo);
  assert.equal(same.id, archive.id);
  await putWal(same, start, bytes);
}

test('of two that store different bytes at the same moment, at least one is told', async () => {
  const seed = randomInt(0x7fff_ffff);
  const range = fc
    .tuple(fc.integer({ min: 0, max: 6 }), fc.integer({ min: 1, max: 6 }))
    .map(([start, length]) => ({ start, end: Math.min(start + length, 8) }));
  const place = fc.oneof(range, fc.constant({ start: 0, end: 8 }));
  let conflicts = 0;
  await fc.assert(
    fc.asyncProperty(place, place, fc.boolean(), fc.scheduler(), async (one, other, isSame, scheduler) => {
      const storage = new MemoryStorage(systemClock);
      const { repository } = await makeWalArchive({ storage });
      await using _ = repository;
      const slow = new ScheduledStorage(storage, async (call) => {
        await scheduler.schedule(Promise.resolve(), call);
      });
      const flavours = [0, isSame ? 0 : 1];
      slow.isPaused = true;
      await using opened = await openTestRepository(slow);
      const archive = await opened.walArchive(walInfo);
      slow.isPaused = false;
      const step = mib / 8;
      const puts = [one, other].map(({ start, end }, index) => {
        const bytes = walBytes(start * step, (end - start) * step, flavours[index] ?? 0);
        return putWal(archive, start * step, bytes);
      });
      const settled = Promise.allSettled(puts);
      await scheduler.waitFor(settled);
      const errors = (await settled).flatMap((result): unknown[] =>
        result.status === 'rejected' ? [result.reason] : [],
      );
      for (const error of errors) if (!isFailure(error, 'wal_differs')) throw error;
      const overlap = one.start < other.end && other.start < one.end;
      assert.equal(errors.length > 0, overlap && !isSame);
      conflicts += errors.length;
    }),
    { seed, numRuns: 60 },
  );
  assert.ok(conflicts > 0);
});

test('two that make the same archive at once have the same', async () => {
  const storage = new MemoryStorage(systemClock);
  const { repository } = await makeWalArchive({ storage });
  await using _ = repository;
  const wanted = { ...walInfo, source: 'another' };
  const [one, other] = await Promise.all([repository.walArchive(wanted), repository.walArchive(wanted)]);
  assert.equal(one.id, other.id);
  assert.deepEqual(one.info, other.info);
});

/** Every call waits for its turn first; listings are made in one piece when it has come. */
class ScheduledStorage implements Storage {
  readonly location: string;
  isPaused = false;
  readonly #inner: Storage;
  readonly #turn: (call: string) => Promise<void>;
  readonly #shows: (name: string) => boolean;

  constructor(
    inner: Storage,
    turn: (call: string) => Promise<void>,
    shows: (name: string) => boolean = () => true,
  ) {
    this.location = inner.location;
    this.#inner = inner;
    this.#turn = turn;
    this.#shows = shows;
  }

  async put(name: string, data: Uint8Array | readonly Uint8Array[]): Promise<void> {
    await this.#wait(`put ${name}`);
    await this.#inner.put(name, data);
  }

  async get(name: string, options: GetOptions = {}): Promise<Uint8Array> {
    await this.#wait(`get ${name}`);
    return await this.#inner.get(name, options);
  }

  async *list(prefix: string): AsyncGenerator<ObjectInfo, void, void> {
    await this.#wait(`list ${prefix}`);
    for (const info of await Array.fromAsync(this.#inner.list(prefix))) {
      if (this.#shows(info.name)) yield info;
    }
  }

  async stat(name: string): Promise<ObjectInfo> {
    return await this.#inner.stat(name);
  }

  async delete(name: string): Promise<void> {
    await this.#inner.delete(name);
  }

  async foreign(): Promise<string | undefined> {
    return await this.#inner.foreign();
  }

  async close(): Promise<void> {}

  async #wait(call: string): Promise<void> {
    if (!this.isPaused) await this.#turn(call);
  }
}

async function snapshotOf(storage: Storage): Promise<readonly (readonly [string, number])[]> {
  const objects = await Array.fromAsync(storage.list('wal/'));
  return objects.map(({ name, sizeBytes }) => [name, sizeBytes] as const);
}
