import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Manifest } from '../../src/contract/manifest.ts';
import type { Clock } from '../../src/kernel/clock.ts';
import { isFailure } from '../../src/kernel/errors/failure.ts';
import { silentLogger } from '../../src/kernel/log.ts';
import { backupSource } from '../../src/operations/backup.ts';
import { defaultCompression } from '../../src/pipeline/codec.ts';
import { packIdOf } from '../../src/repository/layout.ts';
import { indexFromPack } from '../../src/repository/pack-recovery.ts';
import { blobsOf } from '../../src/repository/index-object.ts';
import type { Repository } from '../../src/repository/repository.ts';
import { walkStream } from '../../src/repository/walk.ts';
import { MemoryStorage } from '../../src/storage/memory/memory-storage.ts';
import { withRetry } from '../../src/storage/wrap/retry.ts';
import { patternedBytes } from '../../testing/bytes.ts';
import { ManualClock } from '../../testing/clock.ts';
import { forgetManifest } from '../../testing/forget.ts';
import { Actor, Crash, SharedStore, type Fate, type Turned } from '../../testing/interleaving.ts';
import { pruneWith } from '../../testing/prune.ts';
import {
  bytesSource,
  cacheDirectory,
  makeRepository,
  openTestRepository,
  origin,
  readBack,
  silentProgress,
} from '../../testing/repository.ts';

/*
 * Garbage collection never removes what a running or finished backup needs, in any interleaving. The real code of several
 * writers, forgetters and pruners runs against one store; a seeded scheduler decides whose call is next, how much time
 * passes, which answers are lost, who dies and who sleeps, and shows listings as they were hours ago.
 */

const seeds = process.env['HOLDFAST_GC_SEED'];
const rounds = Number(process.env['HOLDFAST_TRIAL_INTERLEAVINGS'] ?? 5);
const steps = Number(process.env['HOLDFAST_GC_STEPS'] ?? 4000);
const hour = 3_600_000;
const graceMs = 72 * hour;

function randomFrom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

interface Finished {
  readonly manifest: Manifest;
  readonly contents: Readonly<Record<string, Uint8Array>>;
}

/** What every actor does until the scheduler has had enough. */
type Life = (world: World, actor: Actor) => Promise<void>;

class World {
  readonly random: () => number;
  readonly clock = new ManualClock();
  readonly store = new SharedStore(new MemoryStorage(this.clock), this.clock);
  readonly finished = new Map<string, Finished>();
  readonly told: string[] = [];
  removedPacks = 0;
  doomed = 0;
  prunes = 0;
  readonly errors = new Map<string, number>();
  over = false;
  /** Ids of blobs: of each backup that is visible, and of each pack there is. */
  readonly #needs = new Map<string, readonly string[]>();
  readonly #holds = new Map<string, readonly string[]>();
  #observer: Repository | undefined;

  constructor(seed: number) {
    this.random = randomFrom(seed);
  }

  /** Counts what may happen; throws what may not. */
  note(error: unknown): void {
    if (!isPassing(error)) throw error;
    const name = isFailure(error) ? error.errorName : 'other';
    this.errors.set(name, (this.errors.get(name) ?? 0) + 1);
  }

  pick<T>(all: readonly T[]): T | undefined {
    return all[Math.floor(this.random() * all.length)];
  }

  /** Small time steps mostly, hours now and then. */
  async passTime(): Promise<void> {
    const dice = this.random();
    const ms =
      dice < 0.7 ? this.random() * 120_000 : dice < 0.93 ? this.random() * hour : this.random() * 6 * hour;
    await this.clock.advance(Math.floor(ms));
  }

  async open(actor: Actor, cache: string): Promise<Repository> {
    return await openTestRepository(
      withRetry(actor, { clock: impatient, random: this.random, attempts: 6 }),
      { encrypted: false, cache, clock: this.clock },
    );
  }

  /** After each change of the store: every visible backup has all it needs. */
  async check({ operation, name }: Turned, what: string): Promise<void> {
    if (operation === 'put' && packIdOf(name) !== undefined) await this.#notePack(name);
    if (operation === 'put' && name.startsWith('snapshots/')) await this.#noteBackup(name, what);
    if (operation !== 'delete') return;
    this.#needs.delete(name);
    if (packIdOf(name) === undefined || !this.#holds.delete(name)) return;
    this.removedPacks += 1;
    const held = new Set([...this.#holds.values()].flat());
    for (const [backup, ids] of this.#needs) {
      const lost = ids.find((id) => !held.has(id));
      assert.equal(lost, undefined, `${what} took a chunk of ${backup} away with ${name}`);
    }
  }

  async #notePack(name: string): Promise<void> {
    if (this.#holds.has(name)) return;
    const { sizeBytes } = await this.store.objects.stat(name);
    const keys = (await this.observer()).pipelineKeys;
    const pack = await indexFromPack(this.store.objects, keys, packIdOf(name) ?? '', sizeBytes);
    this.#holds.set(
      name,
      Array.from(blobsOf(pack), ({ id }) => Buffer.from(id).toString('hex')),
    );
  }

  async #noteBackup(name: string, what: string): Promise<void> {
    const observer = await this.observer();
    await observer.freshCache(0, new AbortController().signal);
    const found = (await observer.names()).find(({ objectName }) => objectName === name);
    assert.ok(found !== undefined);
    const manifest = await observer.manifest(found);
    const ids = new Set<string>();
    const visitor = {
      node: (id: Uint8Array) => Boolean(ids.add(Buffer.from(id).toString('hex'))),
      unreadable: (_: Uint8Array, error: Error) => {
        throw new Error(`${what} made a backup visible that cannot be read`, { cause: error });
      },
    };
    const streams = [manifest.entries.stream];
    for await (const { stream } of observer.entries(manifest)) if (stream !== null) streams.push(stream);
    for (const stream of streams)
      for await (const chunks of walkStream(await observer.reader(), stream, visitor))
        for (const id of chunks) ids.add(Buffer.from(id).toString('hex'));
    const held = new Set([...this.#holds.values()].flat());
    for (const id of ids) assert.ok(held.has(id), `${what} made a backup visible that lacks a chunk`);
    this.#needs.set(name, [...ids]);
  }

  async observer(): Promise<Repository> {
    this.#observer ??= await openTestRepository(this.store.objects, { encrypted: false });
    return this.#observer;
  }

  async end(): Promise<void> {
    await this.#observer?.[Symbol.asyncDispose]();
  }
}

/** Sleeps take no time: the scheduler alone moves it. */
const impatient: Pick<Clock, 'sleep'> = { sleep: () => Promise.resolve() };

const rare = Array.from({ length: 8 }, (_, i) => patternedBytes(12_000, 900 + i));
const pool = Array.from({ length: 24 }, (_, i) => patternedBytes(9_000 + (i % 5) * 7_000, 500 + i));

/** `slow`: something else comes between two files, so that a backup may take days. */
const writing =
  (slow: boolean): Life =>
  async (world, actor) => {
    await using repository = await world.open(actor, cacheDirectory());
    while (!world.over) {
      // What few backups have comes first: a long backup relies on it when it has become nobody's.
      const contents: Record<string, Uint8Array> = {
        rare: rare[Math.floor(world.random() * rare.length)] ?? new Uint8Array(),
      };
      for (const [index, bytes] of pool.entries()) if (world.random() < 0.4) contents[`f${index}`] = bytes;
      if (world.random() < 0.5) contents['own'] = patternedBytes(20_000, Math.floor(world.random() * 1e6));
      const source = bytesSource(contents, { type: 'fixed', sizeBytes: 4096 }, async () => {
        if (slow) await actor.stat('holdfast.json').catch(tolerate);
      });
      try {
        const manifest = await backupSource(repository, source, {
          signal: new AbortController().signal,
          log: silentLogger,
          jobs: 1,
          progress: silentProgress,
          clock: world.clock,
          compression: defaultCompression,
          packBytes: 24_000,
          tags: {},
          origin,
        });
        world.finished.set(manifest.id, { manifest, contents });
      } catch (error) {
        if (isFailure(error, 'pack_doomed')) world.doomed += 1;
        world.note(error);
      }
    }
  };

function tolerate(error: unknown): void {
  if (!isPassing(error)) throw error;
}

const forgetter: Life = async (world, actor) => {
  const { pipelineKeys } = await world.observer();
  const storage = withRetry(actor, { clock: impatient, random: world.random, attempts: 6 });
  while (!world.over) {
    const names: string[] = [];
    for await (const { name } of storage.list('snapshots/')) names.push(name);
    const name = world.pick(names);
    const id = name?.slice(-32);
    if (name === undefined || id === undefined || names.length < 3 || !world.finished.has(id)) continue;
    world.finished.delete(id);
    await forgetManifest({ storage, pipelineKeys }, name, world.clock).catch(tolerate);
  }
};

const pruner: Life = async (world, actor) => {
  const cache = cacheDirectory();
  while (!world.over) {
    try {
      await using repository = await world.open(actor, cache);
      await pruneWith(repository, world.clock, { graceMs, pid: 1 + Math.floor(world.random() * 1e6) });
      world.prunes += 1;
    } catch (error) {
      world.note(error);
    }
  }
};

/** What a user would run again after; never what says that something is lost. */
function isPassing(error: unknown): boolean {
  const names = [
    'pack_doomed',
    'pack_lost',
    'prune_busy',
    'prune_turn_lost',
    'prune_backups_missing',
  ] as const;
  // A listing that lags behind shows too little: then a prune gives up, and that is right.
  const lagging = [
    'prune_incomplete',
    'prune_unreadable',
    'object_missing',
    'blob_missing',
    'object_exists',
  ] as const;
  return [...names, ...lagging, 'storage_unreachable' as const].some((name) => isFailure(error, name));
}

interface Living {
  readonly label: string;
  readonly life: Life;
  actor: Actor;
  done: Promise<void>;
  isDone: boolean;
  /** Not given a turn before then. */
  asleepUntilMs: number;
}

async function play(seed: number, steps: number): Promise<World> {
  const world = new World(seed);
  const { random, clock } = world;
  await (await makeRepository(world.store.objects, { encrypted: false, clock }))[Symbol.asyncDispose]();
  for await (const { name } of world.store.objects.list(''))
    await world.store.put(name, await world.store.objects.get(name));
  world.store.staleMs = () => (random() < 0.1 ? random() * (graceMs / 9) : 0);
  const living: Living[] = [];
  const start = (label: string, life: Life): Living => {
    const actor = new Actor(world.store);
    const one: Living = { label, life, actor, done: Promise.resolve(), isDone: false, asleepUntilMs: 0 };
    one.done = life(world, actor)
      .catch((error: unknown) => {
        if (!hasCrash(error)) throw error;
      })
      .finally(() => (one.isDone = true));
    one.done.catch(() => {}); // Looked at below.
    return one;
  };
  for (const [label, life] of [
    ['writer 1', writing(false)],
    ['writer 2', writing(false)],
    ['slow writer', writing(true)],
    ['forgetter', forgetter],
    ['pruner 1', pruner],
    ['pruner 2', pruner],
  ] as const)
    living.push(start(label, life));
  try {
    for (let step = 0; ; step += 1) {
      for (const [index, one] of living.entries()) {
        await parked(one);
        if (!one.isDone) continue;
        await one.done;
        if (step < steps) living[index] = start(one.label, one.life);
      }
      if (step >= steps) world.over = true;
      const awake = living.filter((one) => !one.isDone && (world.over || one.asleepUntilMs <= clock.now()));
      if (living.every(({ isDone }) => isDone)) break;
      const one = world.pick(awake);
      if (!world.over) await world.passTime();
      if (one === undefined) continue;
      const call = one.actor.pending.splice(Math.floor(random() * one.actor.pending.length), 1)[0];
      if (call === undefined) continue;
      const fate = world.over ? 'done' : fateOf(random);
      world.told.push(`${one.label}: ${call.operation} ${call.name} (${fate})`);
      call.release(fate);
      await parked(one);
      if (fate === 'done' || fate.endsWith('r') || fate === 'crash after')
        await world.check(call, `step ${step}, ${one.label}`);
      if (one.label === 'slow writer') one.asleepUntilMs = clock.now() + random() * 14 * hour;
      // A machine that is suspended: a writer while it stores, a pruner anywhere.
      const maySleep = one.label.startsWith('pruner') || call.name.startsWith('packs/');
      if (maySleep && call.operation !== 'list' && random() < 0.01)
        one.asleepUntilMs = clock.now() + random() * 3 * graceMs;
    }
    await checkAll(world);
    return world;
  } catch (error) {
    const last = world.told.slice(-60).join('\n');
    throw new Error(`seed ${seed}: ${String(error)}\n${last}`, { cause: error });
  } finally {
    await world.end();
  }
}

function fateOf(random: () => number): Fate {
  const dice = random();
  if (dice < 0.9) return 'done';
  if (dice < 0.94) return 'lost answer';
  if (dice < 0.98) return 'lost request';
  return dice < 0.99 ? 'crash before' : 'crash after';
}

function hasCrash(error: unknown): boolean {
  for (let at = error; at instanceof Error; at = at.cause)
    if (
      at instanceof Crash ||
      (at instanceof SuppressedError && (hasCrash(at.suppressed) || hasCrash(at.error)))
    )
      return true;
  return false;
}

/** Until it waits for its turn or has ended. */
async function parked(one: Living): Promise<void> {
  for (let turn = 0; one.actor.pending.length === 0 && !one.isDone; turn += 1)
    await new Promise((resolve) => (turn < 50 ? setImmediate(resolve) : setTimeout(resolve, 1)));
}

/** Every backup that was reported and not forgotten is there and restores byte for byte. */
async function checkAll(world: World): Promise<void> {
  world.store.staleMs = () => 0;
  await using repository = await openTestRepository(world.store.objects, { encrypted: false });
  const visible = new Set<string>((await repository.names()).map(({ id }) => id));
  for (const [id, { manifest, contents }] of world.finished) {
    assert.ok(visible.has(id), `backup ${id} was reported and is not there`);
    const restored = await readBack(repository, manifest);
    assert.deepEqual(Object.keys(restored).toSorted(), Object.keys(contents).toSorted());
    for (const [path, bytes] of Object.entries(contents))
      assert.ok(Buffer.compare(restored[path] ?? Buffer.alloc(0), bytes) === 0, `${id} ${path}`);
  }
}

test(`${rounds} interleavings of backups, prunes, crashes, lost answers and listings that lag behind`, async () => {
  const first = seeds === undefined ? Math.floor(Math.random() * 1e9) : Number(seeds);
  process.stdout.write(`# HOLDFAST_GC_SEED=${first}\n`);
  const sum = { backups: 0, removed: 0, doomed: 0 };
  for (let round = 0; round < rounds; round += 1) {
    const world = await play(first + round, steps);
    sum.backups += world.finished.size;
    sum.removed += world.removedPacks;
    sum.doomed += world.doomed;
    if (process.env['HOLDFAST_GC_TELL'] !== undefined)
      process.stdout.write(
        `# ${JSON.stringify([first + round, world.finished.size, world.prunes, world.removedPacks, ...world.errors])}\n`,
      );
  }
  process.stdout.write(`# ${JSON.stringify(sum)}\n`);
  assert.ok(sum.backups > rounds && (rounds < 6 || sum.removed > rounds), 'something happened');
});
