import { asFailure, failure, isFailure, type HoldfastError } from '../../kernel/errors/failure.ts';
import { forgottenRecords } from '../../repository/history/forgotten.ts';
import { trashPrefix } from '../../repository/history/names.ts';
import { endedRuns } from '../../repository/gc/sweep.ts';
import { listMarks, readMark } from '../../repository/gc/marks.ts';
import { packsPrefix, walPrefix } from '../../repository/layout.ts';
import { readRepositoryInfo } from '../../repository/info.ts';
import { listManifests } from '../../repository/manifests.ts';
import type { BackupName } from '../../repository/model.ts';
import type { Repository } from '../../repository/repository.ts';
import type { Storage } from '../../storage/port.ts';
import type { CostEstimate } from '../costs/estimate.ts';
import { openStorageAt, type App } from '../compose.ts';
import type { Place } from '../places.ts';
import { within } from './deadline.ts';
import { lastVerification, type LastVerification } from './verification.ts';

/** So many ids are named where more are missing. */
const idsNamed = 20;

/** What a prune has marked and waits for its grace. */
export interface WaitingForPrune {
  readonly packs: number;
  readonly marked_at: string;
  readonly removable_at: string;
}

/** What objects take, from one listing of all of them. */
export interface PlaceSizes {
  readonly objects: number;
  readonly bytes: number;
  readonly packs: number;
  readonly pack_bytes: number;
  readonly wal_bytes: number;
}

/** One of the places that hold the repository. What could not be found out is null. */
export interface PlaceStatus {
  /** As in the configuration; the location where it has no name. */
  readonly name: string;
  readonly location: string;
  /** Whether it is the one that backups are made to. */
  readonly primary: boolean;
  readonly reachable: boolean;
  /** Why it could not be looked at. */
  readonly error: Record<string, unknown> | null;
  readonly backups: number | null;
  readonly newest: { readonly id: string; readonly started_at: string } | null;
  /** Backups that the primary has, and that it lacks without having forgotten them; of the primary null. */
  readonly behind: { readonly backups: number; readonly ids: readonly string[] } | null;
  /** Backups that were forgotten and whose space was not given back yet. */
  readonly forgotten: number | null;
  readonly waiting: readonly WaitingForPrune[] | null;
  /** What the last verification of this place said; null when nobody has verified it. */
  readonly verification: LastVerification | null;
  /** Only when asked for. */
  readonly sizes: PlaceSizes | null;
  /** What it may cost in a month; only with sizes, and where prices are known. */
  readonly cost: CostEstimate | null;
}

export interface PlacesWish {
  /** Of which it all is; its keys open every copy. */
  readonly repository: Repository;
  readonly sizes: boolean;
  readonly deadlineMs: number;
}

/** Looks at the place that is open. */
export async function primaryStatus(app: App, place: Place, wish: PlacesWish): Promise<PlaceStatus> {
  const { storage } = wish.repository;
  try {
    const names = await listManifests(storage, app.signal);
    return { ...nothingKnown(place, true), ...(await contentsOf(storage, names, wish, app.signal)) };
  } catch (error) {
    app.signal.throwIfAborted();
    return unreachable(place, true, asFailure(error));
  }
}

/** Looks at a copy. Whatever is wrong with it is in the answer. `primary` is null where that cannot be reached. */
export async function copyStatus(
  app: App,
  place: Place,
  primary: readonly BackupName[] | null,
  wish: PlacesWish,
): Promise<PlaceStatus> {
  try {
    return await atPlace(app, place, wish.deadlineMs, async (storage, signal) => {
      await assertSame(storage, wish.repository);
      const names = await listManifests(storage, signal);
      const behind = primary === null ? null : await missingIn(storage, names, primary, wish, signal);
      return { ...nothingKnown(place, false), ...(await contentsOf(storage, names, wish, signal)), behind };
    });
  } catch (error) {
    app.signal.throwIfAborted();
    return unreachable(place, false, asFailure(error));
  }
}

/** Opens a place for a while that it must not exceed: `place_slow`. */
export async function atPlace<T>(
  app: App,
  { location }: Place,
  deadlineMs: number,
  work: (storage: Storage, signal: AbortSignal) => Promise<T>,
): Promise<T> {
  return await within(app, location, deadlineMs, async (signal) => {
    const storage = await openStorageAt({ ...app, signal }, location, false);
    try {
      signal.throwIfAborted();
      return await work(storage, signal);
    } finally {
      await storage.close();
    }
  });
}

/** `copy_foreign`, `repository_missing`. */
export async function assertSame(storage: Storage, { info, storage: from }: Repository): Promise<void> {
  const { location } = storage;
  const there = await readRepositoryInfo(storage);
  if (there === null) throw failure('repository_missing', { location });
  if (there.id === info.id) return;
  throw failure('copy_foreign', { location, origin: from.location, reason: 'another repository is there' });
}

export function unreachable(place: Place, primary: boolean, error: HoldfastError): PlaceStatus {
  return { ...nothingKnown(place, primary), reachable: false, error: error.toJSON() };
}

function nothingKnown({ name, location }: Place, primary: boolean): PlaceStatus {
  const unknown = {
    backups: null,
    newest: null,
    behind: null,
    forgotten: null,
    waiting: null,
    verification: null,
    sizes: null,
    cost: null,
  };
  return { name, location, primary, reachable: true, error: null, ...unknown };
}

async function contentsOf(
  storage: Storage,
  names: readonly BackupName[],
  wish: PlacesWish,
  signal: AbortSignal,
): Promise<Pick<PlaceStatus, 'backups' | 'newest' | 'forgotten' | 'waiting' | 'verification' | 'sizes'>> {
  const newest = names.toSorted((a, b) => a.startedAtMs - b.startedAtMs).at(-1);
  const { pipelineKeys } = wish.repository;
  const [forgotten, waiting, verification, sizes] = await Promise.all([
    count(storage, trashPrefix, signal),
    waitingIn(storage, wish.repository, signal),
    lastVerification({ storage, pipelineKeys }, signal),
    wish.sizes ? sizesOf(storage, signal) : null,
  ]);
  return {
    backups: names.length,
    newest:
      newest === undefined ? null : { id: newest.id, started_at: new Date(newest.startedAtMs).toISOString() },
    forgotten,
    waiting,
    verification,
    sizes,
  };
}

async function count(storage: Storage, prefix: string, signal: AbortSignal): Promise<number> {
  let objects = 0;
  for await (const _object of storage.list(prefix, { signal })) objects += 1;
  return objects;
}

async function waitingIn(
  storage: Storage,
  { pipelineKeys }: Repository,
  signal: AbortSignal,
): Promise<WaitingForPrune[]> {
  const ended = await endedRuns(storage, signal);
  const runs = new Map<string, { packs: number; storedAtMs: number; graceMs: number }>();
  for await (const listed of listMarks(storage, signal)) {
    if (ended.has(listed.run)) continue;
    const mark = await readMark(storage, pipelineKeys, listed, signal);
    if (mark === undefined) continue;
    const run = runs.get(mark.run) ?? { packs: 0, storedAtMs: 0, graceMs: 0 };
    runs.set(mark.run, {
      packs: run.packs + mark.contents.packs.length,
      storedAtMs: Math.max(run.storedAtMs, mark.storedAtMs),
      graceMs: Math.max(run.graceMs, mark.contents.grace_ms),
    });
  }
  return Array.from(runs.values(), ({ packs, storedAtMs, graceMs }) => ({
    packs,
    marked_at: new Date(storedAtMs).toISOString(),
    removable_at: new Date(storedAtMs + graceMs).toISOString(),
  }));
}

async function sizesOf(storage: Storage, signal: AbortSignal): Promise<PlaceSizes> {
  const sizes = { objects: 0, bytes: 0, packs: 0, pack_bytes: 0, wal_bytes: 0 };
  for await (const { name, sizeBytes } of storage.list('', { signal })) {
    sizes.objects += 1;
    sizes.bytes += sizeBytes;
    if (name.startsWith(packsPrefix)) {
      sizes.packs += 1;
      sizes.pack_bytes += sizeBytes;
    }
    if (name.startsWith(walPrefix)) sizes.wal_bytes += sizeBytes;
  }
  return sizes;
}

/** By names alone; only where there are any, the records of what was forgotten there are read, the newest first. */
async function missingIn(
  storage: Storage,
  names: readonly BackupName[],
  primary: readonly BackupName[],
  { repository: { pipelineKeys } }: PlacesWish,
  signal: AbortSignal,
): Promise<NonNullable<PlaceStatus['behind']>> {
  const there = new Set<string>(names.map(({ id }) => id));
  const missing = new Set<string>(primary.map(({ id }) => id).filter((id) => !there.has(id)));
  if (missing.size > 0)
    for await (const read of forgottenRecords({ storage, pipelineKeys }, signal)) {
      if ('record' in read) for (const { id } of read.record.backups) missing.delete(id);
      if (missing.size === 0) break;
    }
  return { backups: missing.size, ids: [...missing].slice(-idsNamed) };
}

/** Whether a copy has a backup. */
export interface CopyOfBackup {
  /** As in the configuration; the location where it has no name. */
  readonly name: string;
  readonly location: string;
  /** Null when it could not be found out. */
  readonly has: boolean | null;
  readonly error: Record<string, unknown> | null;
}

/** In which of these places a backup is, by names alone. */
export async function copiesOfBackup(
  app: App,
  places: readonly Place[],
  id: string,
  deadlineMs: number,
): Promise<CopyOfBackup[]> {
  const one = async (place: Place): Promise<CopyOfBackup> => {
    const { name, location } = place;
    try {
      const has = await atPlace(app, place, deadlineMs, async (storage, signal) =>
        (await listManifests(storage, signal)).some((backup) => backup.id === id),
      );
      return { name, location, has, error: null };
    } catch (error) {
      app.signal.throwIfAborted();
      if (!isFailure(error)) throw error;
      return { name, location, has: null, error: error.toJSON() };
    }
  };
  return await Promise.all(places.map(one));
}
