import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Manifest } from '../../src/contract/manifest.ts';
import type { Clock } from '../../src/kernel/clock.ts';
import { silentLogger } from '../../src/kernel/log.ts';
import { findForgotten, undoForget } from '../../src/operations/forget-undo.ts';
import { forgetBackups } from '../../src/operations/forget.ts';
import type { SyncReport } from '../../src/operations/sync/report.ts';
import { syncTo } from '../../src/operations/sync/sync.ts';
import { verifyRepository } from '../../src/operations/verify.ts';
import { forgottenRecords } from '../../src/repository/history/forgotten.ts';
import { MemoryStorage } from '../../src/storage/memory/memory-storage.ts';
import { patternedBytes } from '../../testing/bytes.ts';
import { ManualClock } from '../../testing/clock.ts';
import {
  backUp,
  bytesSource,
  makeRepository,
  openTestRepository,
  silentProgress,
} from '../../testing/repository.ts';

const signal = new AbortController().signal;
const quiet = { signal, log: silentLogger, progress: silentProgress };

/** A primary and a copy, opened anew for each step, as commands do. */
class Places {
  readonly clock = new ManualClock();
  readonly primary = new MemoryStorage(this.clock);
  readonly copy = new MemoryStorage(this.clock);
  #seed = 0;

  static async make(): Promise<Places> {
    const places = new Places();
    await using _made = await makeRepository(places.primary, { clock: places.clock });
    return places;
  }

  async backUp(place = this.primary): Promise<Manifest> {
    const { clock } = this;
    await using repository = await openTestRepository(place, { clock });
    await clock.advance(1000);
    this.#seed += 1;
    return await backUp(repository, bytesSource({ a: patternedBytes(20_000, this.#seed) }), { clock });
  }

  async sync(from = this.primary, to = this.copy): Promise<SyncReport> {
    await using repository = await openTestRepository(from, { clock: this.clock });
    return await syncTo(repository, to, quiet);
  }

  async forget(place: MemoryStorage, ...ids: readonly string[]): Promise<void> {
    const clock: Clock = this.clock;
    await using repository = await openTestRepository(place, { clock });
    const names = (await repository.names()).filter(({ id }) => ids.includes(id));
    const what = names.map((name) => ({ name, source: 'bytes', why: [] }));
    const who = { host: 'testhost', user: 'tester', reason: 'a test', mustStay: [] };
    await forgetBackups(repository, what, { ...quiet, clock, ...who });
  }

  async undo(place: MemoryStorage, id: string): Promise<void> {
    await using repository = await openTestRepository(place, { clock: this.clock });
    await undoForget(repository, await findForgotten(repository, id, signal), { ...quiet, dryRun: false });
  }

  async ids(place: MemoryStorage): Promise<string[]> {
    await using repository = await openTestRepository(place);
    return (await repository.names()).map(({ id }) => id);
  }

  async verified(place: MemoryStorage): Promise<string[]> {
    await using repository = await openTestRepository(place);
    const { problems } = await verifyRepository(repository, { ...quiet, jobs: 1, readData: false });
    return problems.map(({ code }) => code);
  }

  /** Of each record, the backups that it names. */
  async records(place: MemoryStorage): Promise<string[][]> {
    await using repository = await openTestRepository(place);
    const records = await Array.fromAsync(forgottenRecords(repository));
    return records.map((read) => ('record' in read ? read.record.backups.map(({ id }) => id) : ['damaged']));
  }
}

test('a backup that the copy keeps longer is missed there when it vanishes; what the copy lacks is explained', async () => {
  const places = await Places.make();
  const { primary, copy } = places;
  const never = await places.backUp();
  await places.backUp();
  await places.forget(primary, never.id);
  const longer = await places.backUp();
  await places.backUp();
  await places.sync();
  await places.forget(primary, longer.id);
  await places.backUp();
  await places.sync();
  assert.deepEqual(await places.records(copy), [[never.id]]);
  assert.deepEqual(await places.verified(copy), []);
  const names = (await Array.fromAsync(copy.list('snapshots/'))).map(({ name }) => name);
  await copy.delete(names.find((name) => name.includes(longer.id)) ?? '');
  assert.notDeepEqual(await places.verified(copy), []);
});

test('a record of several backups is told without those that the copy has, and once', async () => {
  const places = await Places.make();
  const { primary, copy } = places;
  const has = await places.backUp();
  await places.sync();
  const lacks = await places.backUp();
  await places.backUp();
  await places.forget(primary, has.id, lacks.id);
  await places.sync();
  assert.deepEqual(await places.records(copy), [[lacks.id]]);
  const before = await Array.fromAsync(copy.list(''));
  assert.equal((await places.sync()).others.objects, 0);
  assert.deepEqual(await Array.fromAsync(copy.list('')), before);
  // A third place learns it from the copy, in the very same words; and nothing comes back to where it was said first.
  const third = new MemoryStorage(places.clock);
  await places.sync(copy, third);
  assert.deepEqual(await places.records(third), [[lacks.id]]);
  await places.sync(copy, primary);
  assert.deepEqual(await places.records(primary), [[has.id, lacks.id]]);
});

test('a forgetting that the primary takes back reaches a copy that was told of it', async () => {
  const places = await Places.make();
  const { primary, copy } = places;
  await places.backUp();
  await places.sync();
  const [back, stays] = [await places.backUp(), await places.backUp()];
  await places.backUp();
  await places.forget(primary, back.id, stays.id);
  await places.sync();
  await places.undo(primary, back.id);
  const { copied, forgotten } = await places.sync();
  assert.deepEqual([copied, forgotten], [[back.id], 0]);
  assert.deepEqual(await places.records(copy), [[stays.id]]);
  assert.deepEqual((await places.sync()).others.objects, 0);
  assert.deepEqual(await places.verified(copy), []);
});

test('what a copy has forgotten itself stays so, also after a sync from the copy to the primary', async () => {
  const places = await Places.make();
  const { primary, copy } = places;
  const [first] = [await places.backUp(), await places.backUp()];
  await places.sync();
  await places.forget(copy, first.id);
  await places.sync(copy, primary);
  assert.deepEqual(await places.records(primary), []);
  const { copied, forgotten } = await places.sync();
  assert.deepEqual([copied, forgotten], [[], 1]);
  await places.undo(copy, first.id);
  assert.equal((await places.sync()).forgotten, 0);
  assert.deepEqual(await places.ids(copy), await places.ids(primary));
});

test('what copies were told byte for byte before is told anew without the backups that they have', async () => {
  const places = await Places.make();
  const { primary, copy } = places;
  const [has] = [await places.backUp(), await places.backUp()];
  await places.sync();
  await places.forget(primary, has.id);
  for await (const { name } of primary.list('forgotten/')) await copy.put(name, await primary.get(name));
  await places.sync();
  assert.deepEqual(await places.records(copy), []);
  assert.equal((await places.ids(copy)).length, 2);
});

test('backups that only the copy has are named, unless somebody has forgotten them', async () => {
  const places = await Places.make();
  const { primary, copy } = places;
  const [first, second] = [await places.backUp(), await places.backUp(), await places.backUp()];
  await places.sync();
  await places.forget(primary, first.id);
  assert.deepEqual((await places.sync()).only_there, []);
  const names = (await Array.fromAsync(primary.list('snapshots/'))).map(({ name }) => name);
  await primary.delete(names.find((name) => name.includes(second.id)) ?? '');
  const made = await places.backUp(copy);
  assert.deepEqual((await places.sync()).only_there, [second.id, made.id]);
});
