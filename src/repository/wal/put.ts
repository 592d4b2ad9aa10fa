import type { WalFacts } from '../../contract/wal.ts';
import { failure, isFailure, reasonOf } from '../../kernel/errors/failure.ts';
import { formatLsn, lsnOf } from '../../postgres/lsn.ts';
import type { WalPut, WalPutContext, WalStretch } from './model.ts';
import { orGone, type WalStore } from './store.ts';
import { encodeStretch, listUnit, readStretch, stretchObject, unitOf, type WalPlace } from './stretches.ts';

/** A stretch that is to be stored. */
export interface Draft extends WalPlace {
  readonly objectName: string;
  readonly bytes: Uint8Array;
}

/** What of a unit has been compared with a draft already, by object name. */
type Compared = Set<string>;

interface Seen {
  readonly compared: Compared;
  /** What the caller has compared itself. */
  readonly known: WalPutContext['known'];
}

/** A name that was taken and is free again, so many times, is somebody's game. */
const tries = 5;

/** As `WalArchive.put`. */
export async function putStretch(
  store: WalStore,
  stretch: { readonly timeline: number; readonly start: bigint; readonly bytes: Uint8Array },
  facts: WalFacts,
  { signal, known, unseen = false }: WalPutContext,
): Promise<WalPut> {
  const draft = draftOf(store, stretch);
  const compared: Compared = new Set();
  const compare = () => compareWithStored(store, draft, { compared, known }, signal);
  if (!unseen && (await compare())) return 'already_there';
  const object = encodeStretch(store, draft, draft.bytes, facts);
  const readThere = () => readStretch(store, draft, signal);
  const check = (there: Uint8Array) => refuseDifference(store, draft, { ...draft, bytes: there });
  const outcome = await putOrCompare(store, draft.objectName, object, { readThere, check }, signal);
  // Another program may have looked before this was stored, and have stored other bytes under another name meanwhile.
  // Whoever of the two stored last sees both here.
  compared.add(draft.objectName);
  if (!unseen) await compare();
  return outcome;
}

/**
 * Stores an object where its name is free; where it is not, `check` gets what is there, and throws when that is not the
 * same. `object_damaged` when it cannot be read.
 */
export async function putOrCompare(
  { storage }: WalStore,
  name: string,
  object: readonly Uint8Array[],
  there: { readonly readThere: () => Promise<Uint8Array>; readonly check: (bytes: Uint8Array) => void },
  signal: AbortSignal | undefined,
): Promise<WalPut> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      await storage.put(name, object, { signal });
      return 'stored';
    } catch (error) {
      if (!isFailure(error, 'object_exists') || attempt === tries) throw error;
    }
    const bytes = await orGone(there.readThere());
    if (bytes === undefined) continue;
    there.check(bytes);
    return 'already_there';
  }
}

/** Throws `wal_differs`, naming the first position at which the two are not the same. */
export function refuseDifference(
  store: WalStore,
  one: WalPlace & { readonly bytes: Uint8Array },
  other: WalPlace & { readonly bytes: Uint8Array; readonly objectName: string },
): void {
  const start = one.start > other.start ? one.start : other.start;
  const end = one.end < other.end ? one.end : other.end;
  if (start >= end) return;
  const mine = one.bytes.subarray(Number(start - one.start), Number(end - one.start));
  const theirs = other.bytes.subarray(Number(start - other.start), Number(end - other.start));
  if (Buffer.compare(mine, theirs) === 0) return;
  const at = mine.findIndex((byte, index) => byte !== theirs[index]);
  throw failure('wal_differs', {
    source: store.info.source,
    timeline: one.timeline,
    lsn: formatLsn(lsnOf(start + BigInt(at))),
    name: other.objectName,
  });
}

/**
 * Compares a draft with everything that is stored at its positions and was not compared yet. True when its own object is
 * there already. Other objects that are damaged count for nothing: good WAL is stored beside them.
 */
async function compareWithStored(
  store: WalStore,
  draft: Draft,
  { compared, known }: Seen,
  signal: AbortSignal | undefined,
): Promise<boolean> {
  let isThere = false;
  for (const other of await listUnit(store, draft.timeline, unitOf(store, draft.start), signal)) {
    if (compared.has(other.objectName) || other.start >= draft.end || other.end <= draft.start) continue;
    const isOwn = other.objectName === draft.objectName;
    if (!isOwn && known?.(other.start, other.end) === true) continue;
    const bytes = await readOther(store, other, isOwn, signal);
    compared.add(other.objectName);
    if (bytes === undefined) continue;
    refuseDifference(store, draft, { ...other, bytes });
    isThere ||= isOwn;
  }
  return isThere;
}

async function readOther(
  store: WalStore,
  other: WalStretch,
  isOwn: boolean,
  signal: AbortSignal | undefined,
): Promise<Uint8Array | undefined> {
  try {
    return await orGone(readStretch(store, other, signal));
  } catch (error) {
    if (isOwn || !isFailure(error, 'object_damaged')) throw error;
    store.log.warn('damaged WAL could not be compared with what is stored now', {
      object: other.objectName,
      reason: reasonOf(error),
    });
    return undefined;
  }
}

/** A stretch, and the name of the object it goes into. */
export function draftOf(
  store: WalStore,
  {
    timeline,
    start,
    bytes,
  }: { readonly timeline: number; readonly start: bigint; readonly bytes: Uint8Array },
): Draft {
  if (!Number.isInteger(timeline) || timeline < 1 || timeline > 0xffff_ffff)
    throw new RangeError(`${timeline} is no timeline`);
  const place = { timeline, start: lsnOf(start), end: lsnOf(start + BigInt(bytes.length)) };
  if (bytes.length === 0) throw new RangeError('a stretch of WAL has at least one byte');
  if (unitOf(store, place.start) !== unitOf(store, place.end - 1n))
    throw new RangeError(`a stretch of WAL at ${formatLsn(place.start)} crosses the border of its unit`);
  return { ...place, objectName: stretchObject(store, place), bytes };
}
