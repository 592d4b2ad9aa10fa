import assert from 'node:assert/strict';
import type { Manifest } from '../src/contract/manifest.ts';
import { systemClock } from '../src/kernel/clock.ts';
import { isFailure } from '../src/kernel/errors/failure.ts';
import { silentLogger } from '../src/kernel/log.ts';
import { GoodSources, type RepairSource } from '../src/operations/repair/good-sources.ts';
import { repairRepository } from '../src/operations/repair/repair.ts';
import type { RepairReport } from '../src/operations/repair/report.ts';
import { syncTo } from '../src/operations/sync/sync.ts';
import { keepReport, recallReports } from '../src/operations/verify-memory.ts';
import { examine } from '../src/operations/verify.ts';
import type { VerifyReport } from '../src/operations/verify-report.ts';
import { defaultCompression } from '../src/pipeline/codec.ts';
import type { Repository } from '../src/repository/repository.ts';
import { MemoryStorage } from '../src/storage/memory/memory-storage.ts';
import type { Storage } from '../src/storage/port.ts';
import { openTestRepository, readBack, silentProgress } from './repository.ts';

/** A backup and what is in it. */
export type Made = readonly [Manifest, Readonly<Record<string, Uint8Array>>];

const context = {
  signal: new AbortController().signal,
  log: silentLogger,
  jobs: 1,
  progress: silentProgress,
};
const quickly = { readData: true, overtakenMs: 0 };

export async function namesIn(storage: Storage, prefix: string): Promise<string[]> {
  return (await Array.fromAsync(storage.list(prefix))).map(({ name }) => name);
}

/** Every object, by name; and a storage that has them. */
export async function everythingIn(storage: Storage): Promise<Map<string, Uint8Array>> {
  const all = new Map<string, Uint8Array>();
  for (const name of await namesIn(storage, '')) all.set(name, await storage.get(name));
  return all;
}

export async function storageOf(all: ReadonlyMap<string, Uint8Array>): Promise<MemoryStorage> {
  const storage = new MemoryStorage(systemClock);
  for (const [name, bytes] of all) await storage.put(name, bytes);
  return storage;
}

export async function replace(storage: Storage, name: string, bytes: Uint8Array): Promise<void> {
  await storage.delete(name);
  await storage.put(name, bytes);
}

export function flip(bytes: Uint8Array, bit: number): Uint8Array {
  const copy = Uint8Array.from(bytes);
  const at = bit % (8 * copy.length);
  copy[at >> 3] = (copy[at >> 3] ?? 0) ^ (1 << (at & 7));
  return copy;
}

export function cut(bytes: Uint8Array, length: number): Uint8Array {
  return bytes.slice(0, length % Math.max(1, bytes.length));
}

/** A copy of a repository as `sync` makes it, or brings it up to date. */
export async function copyOf(
  storage: Storage,
  place = new MemoryStorage(systemClock),
): Promise<MemoryStorage> {
  await using repository = await openTestRepository(storage);
  const { problems } = await syncTo(repository, place, context);
  assert.deepEqual(problems, []);
  return place;
}

/** Reads everything, and leaves a report, as the program does. */
export async function verified(storage: Storage): Promise<VerifyReport> {
  await using repository = await openTestRepository(storage);
  const memory = await recallReports(repository, silentLogger, context.signal);
  const how = { ...context, ...quickly, readAt: memory.readAt, remembered: memory.remembered };
  const findings = await examine(repository, how);
  const facts = { clock: systemClock, host: 'testhost', user: 'tester', startedAtMs: Date.now() };
  await keepReport(repository, findings, memory, { ...facts, verify: how, accepted: null });
  return findings.report('read-data');
}

/** Every one of these is there and restores byte for byte. */
export async function assertWhole(storage: Storage, made: readonly Made[]): Promise<void> {
  await using repository = await openTestRepository(storage);
  const visible = new Set<string>((await repository.names()).map(({ id }) => id));
  for (const [manifest, contents] of made) {
    assert.ok(visible.has(manifest.id), `backup ${manifest.id} is gone`);
    const restored = await readBack(repository, manifest);
    assert.deepEqual(Object.keys(restored), Object.keys(contents));
    for (const [path, bytes] of Object.entries(contents))
      assert.ok(Buffer.compare(restored[path] ?? Buffer.alloc(0), bytes) === 0, path);
  }
}

/** Whether a backup is there and restores byte for byte. */
export async function restores(storage: Storage, one: Made): Promise<boolean> {
  try {
    await assertWhole(storage, [one]);
    return true;
  } catch (error) {
    if (isFailure(error) || error instanceof assert.AssertionError) return false;
    throw error;
  }
}

/** Mends a repository as the program does; what it says, and what a verify that reads everything says after. */
export async function repaired(
  storage: Storage,
  copies: readonly Storage[],
): Promise<{ readonly report: RepairReport; readonly after: VerifyReport }> {
  const places: RepairSource[] = copies.map((copy, index) => ({
    name: `copy${index}`,
    open: () => openTestRepository(copy),
  }));
  await using repository = await openOrElsewhere(storage, copies);
  await using sources = new GoodSources(repository, places, silentLogger);
  const { remembered } = await recallReports(repository, silentLogger, context.signal);
  const { report } = await repairRepository({
    ...context,
    repository,
    sources,
    clock: systemClock,
    compression: defaultCompression,
    host: 'testhost',
    user: 'tester',
    dryRun: false,
    verify: { ...quickly, remembered },
  });
  return { report, after: await verified(storage) };
}

async function openOrElsewhere(storage: Storage, copies: readonly Storage[]): Promise<Repository> {
  try {
    return await openTestRepository(storage);
  } catch (error) {
    const [copy] = copies;
    if (!isFailure(error) || copy === undefined) throw error;
    await using opened = await openTestRepository(copy);
    return opened.elsewhere(storage);
  }
}
