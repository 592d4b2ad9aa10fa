import { z } from 'zod';
import { walFactsSchema, type WalFacts } from '../../contract/wal.ts';
import { failure, reasonOf } from '../../kernel/errors/failure.ts';
import { formatLsn, lsnOf } from '../../postgres/lsn.ts';
import type { ObjectInfo } from '../../storage/port.ts';
import {
  parseWalObject,
  walArchivePrefix,
  walFolder,
  walPartSuffix,
  walPosition,
  walTimelineOf,
  walTimelinePrefix,
} from '../layout.ts';
import type { WalRun, WalStretch } from './model.ts';
import { decodeWalHead, decodeWalObject, encodeWalObject, usualHeadBytes } from './object.ts';
import { listFromFolder, patience } from './seek.ts';
import type { WalStore } from './store.ts';

/** Positions of a timeline. */
export interface WalPlace {
  readonly timeline: number;
  readonly start: bigint;
  readonly end: bigint;
}

const headSchema = z.looseObject({ timeline: z.number(), start: z.string(), end: z.string() });
const headFactsSchema = z.looseObject({ facts: walFactsSchema });

/** The beginning of the unit that the position lies in. */
export function unitOf(store: WalStore, position: bigint): bigint {
  return position - (position % BigInt(store.unitBytes));
}

export function isWholeUnit(store: WalStore, { start, end }: WalPlace): boolean {
  return start % BigInt(store.unitBytes) === 0n && end - start === BigInt(store.unitBytes);
}

/** The name of the object that holds these positions, which lie in one unit. */
export function stretchObject(store: WalStore, place: WalPlace): string {
  const { timeline, start, end } = place;
  const suffix = isWholeUnit(store, place) ? '' : walPartSuffix(Number(end - start));
  return `${walTimelinePrefix(store.id, timeline)}${walPosition(start)}${suffix}`;
}

/** What is stored of a timeline from the unit on that `from` lies in, by position; at one position the whole unit first. */
export async function* listStretches(
  store: WalStore,
  timeline: number,
  range: { readonly from?: bigint | undefined; readonly to?: bigint | undefined },
  signal: AbortSignal | undefined,
): AsyncGenerator<WalStretch, void, void> {
  const from = unitOf(store, range.from ?? 0n);
  const { to } = range;
  if (to !== undefined && to <= from) return;
  for await (const object of objectsFrom(store, timeline, { from, to }, signal)) {
    const stretch = stretchIn(store, object);
    if (stretch === undefined || stretch.start < from) continue;
    if (to !== undefined && stretch.start >= to) return;
    yield stretch;
  }
}

/** Objects of a timeline: all whose names are in the range, some before it, any behind. */
async function* objectsFrom(
  store: WalStore,
  timeline: number,
  { from, to }: { readonly from: bigint; readonly to: bigint | undefined },
  signal: AbortSignal | undefined,
): AsyncGenerator<ObjectInfo, void, void> {
  const folder = walTimelinePrefix(store.id, timeline);
  const first = walPosition(from);
  const common = to === undefined ? '' : commonStart(first, walPosition(to - 1n));
  let passed = 0;
  for await (const object of store.storage.list(folder + common, { signal })) {
    if (object.name >= folder + first) yield object;
    else if ((passed += 1) > patience) break;
  }
  if (passed > patience) yield* listFromFolder(store.storage, folder, first.slice(0, 8), signal);
}

/** Timelines that there is any WAL of, ascending. */
export async function listTimelines(store: WalStore, signal: AbortSignal | undefined): Promise<number[]> {
  const folder = walArchivePrefix(store.id);
  const found: number[] = [];
  let objects: AsyncIterable<ObjectInfo> | undefined = store.storage.list(folder, { signal });
  while (objects !== undefined) {
    let seen = 0;
    let next: AsyncIterable<ObjectInfo> | undefined;
    for await (const { name } of objects) {
      const timeline = walTimelineOf(name);
      if (timeline === undefined) continue;
      seen = timeline === found.at(-1) ? seen + 1 : 1;
      if (seen === 1) found.push(timeline);
      if (seen <= patience || timeline === 0xffff_ffff) continue;
      next = listFromFolder(store.storage, folder, walFolder(timeline + 1), signal);
      break;
    }
    objects = next;
  }
  return found;
}

/** All of one unit: at most some dozens. */
export async function listUnit(
  store: WalStore,
  timeline: number,
  unitStart: bigint,
  signal: AbortSignal | undefined,
): Promise<WalStretch[]> {
  const range = { from: unitStart, to: unitStart + BigInt(store.unitBytes) };
  return await Array.fromAsync(listStretches(store, timeline, range, signal));
}

/** Stretches in order of position, put together. */
export async function joinRuns(stretches: AsyncIterable<WalStretch>): Promise<WalRun[]> {
  const runs: WalRun[] = [];
  for await (const { timeline, start, end, storedBytes, storedAtMs } of stretches) {
    const last = runs.at(-1);
    if (last === undefined || start > last.end) {
      runs.push({ timeline, start, end, stretches: 1, storedBytes, storedAtMs });
      continue;
    }
    runs[runs.length - 1] = {
      ...last,
      end: end > last.end ? end : last.end,
      stretches: last.stretches + 1,
      storedBytes: last.storedBytes + storedBytes,
      storedAtMs: Math.max(last.storedAtMs, storedAtMs),
    };
  }
  return runs;
}

/** The bytes of a stretch, checked. `object_damaged`, `object_missing`. */
export async function readStretch(
  store: WalStore,
  stretch: WalPlace & { readonly objectName: string },
  signal: AbortSignal | undefined,
): Promise<Uint8Array> {
  const { objectName } = stretch;
  const stored = await store.storage.get(objectName, { signal });
  return decodeWalObject(store.keys, objectName, stored, (head) => sizeFrom(head, stretch)).bytes;
}

/** From the beginning of its object alone. `object_damaged`, `object_missing`. */
export async function readFacts(
  store: WalStore,
  stretch: WalStretch,
  signal: AbortSignal | undefined,
): Promise<WalFacts> {
  const { objectName } = stretch;
  let length = usualHeadBytes;
  for (;;) {
    const beginning = await store.storage.get(objectName, { length, signal });
    const opened = decodeWalHead(store.keys, objectName, beginning, beginning.length < length);
    if (typeof opened === 'number') {
      length = opened;
      continue;
    }
    try {
      sizeFrom(opened.head, stretch);
      return headFactsSchema.parse(opened.head).facts;
    } catch (error) {
      throw failure('object_damaged', { name: objectName, reason: reasonOf(error) }, { cause: error });
    }
  }
}

export function encodeStretch(
  store: WalStore,
  place: WalPlace,
  bytes: Uint8Array,
  facts: WalFacts,
): readonly Uint8Array[] {
  const { timeline, start, end } = place;
  const head = { timeline, start: formatLsn(lsnOf(start)), end: formatLsn(lsnOf(end)), facts };
  return encodeWalObject(store.keys, stretchObject(store, place), head, bytes);
}

/** How many bytes an object must hold by its head; throws a plain `Error` for the head of another stretch. */
export function sizeFrom(head: unknown, { timeline, start, end }: WalPlace): number {
  const found = headSchema.parse(head);
  if (
    found.timeline !== timeline ||
    found.start !== formatLsn(lsnOf(start)) ||
    found.end !== formatLsn(lsnOf(end))
  )
    throw new Error(`it holds ${found.start} to ${found.end} of timeline ${found.timeline}`);
  return Number(end - start);
}

/** Undefined for an object whose name none of ours can have. */
function stretchIn(store: WalStore, object: ObjectInfo): WalStretch | undefined {
  const named = parseWalObject(object.name);
  if (named === undefined) return undefined;
  const { timeline, start, partBytes } = named;
  const end = start + BigInt(partBytes ?? store.unitBytes);
  const isWhole = isWholeUnit(store, { timeline, start, end });
  if (isWhole !== (partBytes === undefined) || end === start) return undefined;
  if (end > unitOf(store, start) + BigInt(store.unitBytes)) return undefined;
  const { name: objectName, sizeBytes: storedBytes, modifiedAtMs: storedAtMs } = object;
  return { timeline, start, end, isWhole, objectName, storedBytes, storedAtMs };
}

function commonStart(one: string, other: string): string {
  let length = 0;
  while (length < one.length && one[length] === other[length]) length += 1;
  return one.slice(0, length);
}
