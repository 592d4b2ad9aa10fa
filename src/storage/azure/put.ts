import { createHash } from 'node:crypto';
import { failure, isFailure } from '../../kernel/errors/failure.ts';
import { newBackupId } from '../../kernel/ids.ts';
import { pieces, sizeOf } from '../parts.ts';
import { serviceCodeOf } from './errors.ts';
import { bodyOfParts } from './http.ts';
import type { AzurePlace } from './place.ts';
import { download, findByListing, lookAt, type BlobFacts } from './read.ts';

/** One object on its way in. */
interface Arrival {
  readonly name: string;
  readonly parts: readonly Uint8Array[];
  readonly sizeBytes: number;
  readonly md5: Buffer;
  readonly signal: AbortSignal | undefined;
}

const packs = 'packs/';
/** Only where nothing is: the service decides, so that of two writers one wins. */
const whenFree = { ifNoneMatch: '*' };

/**
 * Stores an object under a name that is free; where it is taken, the same bytes are success. The service compares the
 * MD5 of what comes before it is visible, and keeps that of the whole for readers.
 */
export async function putObject(
  place: AzurePlace,
  name: string,
  parts: readonly Uint8Array[],
  signal: AbortSignal | undefined,
): Promise<void> {
  const arrival = { name, parts, sizeBytes: sizeOf(parts), md5: md5Of(parts), signal };
  const isLarge = arrival.sizeBytes > place.settings.block_size;
  // Much would be sent in vain.
  if (isLarge && (await isPresent(place, arrival))) return;
  try {
    await (isLarge ? sendInBlocks(place, arrival) : sendAtOnce(place, arrival));
  } catch (error) {
    if (!saysTaken(error) || !(await isPresent(place, arrival))) throw error;
  }
}

async function sendAtOnce(place: AzurePlace, arrival: Arrival): Promise<void> {
  const { name, parts, sizeBytes, md5, signal } = arrival;
  const call = {
    operation: 'PutBlob',
    action: 'write',
    name,
    permission: 'c',
    sentBytes: sizeBytes,
    signal,
  } as const;
  await place.ask(call, () =>
    place.blob(name).upload(bodyOfParts(parts), sizeBytes, {
      conditions: whenFree,
      transactionalContentMD5: md5,
      ...properties(place, arrival),
    }),
  );
}

/**
 * Blocks side by side, and then the list of them, which makes the object. Their ids are this put's own: blocks that wait
 * under one name are shared by all who write it, and a list must not take another's. What is never listed the service
 * drops after a week.
 */
async function sendInBlocks(place: AzurePlace, arrival: Arrival): Promise<void> {
  const { name, parts, signal } = arrival;
  const blocks = blocksOf(parts, place.settings.block_size);
  const mine = newBackupId();
  const ids = blocks.map((_, index) =>
    Buffer.from(`${mine}-${String(index).padStart(5, '0')}`).toString('base64'),
  );
  const stop = new AbortController();
  const either = signal === undefined ? stop.signal : AbortSignal.any([signal, stop.signal]);
  const next = blocks.entries();
  const lane = async (): Promise<void> => {
    for (const [index, block] of next) await sendBlock(place, arrival, ids[index] ?? '', block, either);
  };
  const lanes = Array.from({ length: place.settings.parallel_blocks }, () =>
    lane().catch((error: unknown) => {
      stop.abort(error);
      throw error;
    }),
  );
  // All of them, so that nothing reads the caller's bytes after this has settled.
  const failed = (await Promise.allSettled(lanes)).some(({ status }) => status === 'rejected');
  signal?.throwIfAborted();
  if (failed) throw stop.signal.reason;
  const call = { operation: 'PutBlockList', action: 'write', name, permission: 'w', signal } as const;
  await place.ask(call, () =>
    place.blob(name).commitBlockList(ids, { conditions: whenFree, ...properties(place, arrival) }),
  );
}

async function sendBlock(
  place: AzurePlace,
  { name }: Arrival,
  id: string,
  block: readonly Uint8Array[],
  signal: AbortSignal,
): Promise<void> {
  const sentBytes = sizeOf(block);
  const call = { operation: 'PutBlock', action: 'write', name, permission: 'w', sentBytes, signal } as const;
  await place.ask(call, () =>
    place.blob(name).stageBlock(id, bodyOfParts(block), sentBytes, {
      transactionalContentMD5: md5Of(block),
      abortSignal: signal,
    }),
  );
}

function properties(place: AzurePlace, { name, md5, signal }: Arrival) {
  const { access_tier: tier } = place.settings;
  return {
    blobHTTPHeaders: { blobContentMD5: md5, blobContentType: 'application/octet-stream' },
    ...(tier === undefined || !name.startsWith(packs) ? {} : { tier }),
    ...(signal === undefined ? {} : { abortSignal: signal }),
  };
}

/** The parts gathered to blocks of that size; nothing is copied. */
function blocksOf(parts: readonly Uint8Array[], blockBytes: number): Uint8Array[][] {
  const blocks: Uint8Array[][] = [];
  let room = 0;
  for (const part of parts) {
    for (let at = 0; at < part.byteLength;) {
      if (room === 0) {
        blocks.push([]);
        room = blockBytes;
      }
      const piece = part.subarray(at, at + room);
      blocks.at(-1)?.push(piece);
      at += piece.byteLength;
      room -= piece.byteLength;
    }
  }
  return blocks;
}

/**
 * The name is taken, or may be: another writer's object that came meanwhile makes the service drop waiting blocks, and
 * who may only create is denied what would overwrite.
 */
function saysTaken(error: unknown): boolean {
  const code = serviceCodeOf(error) ?? '';
  if (isFailure(error, 'object_exists') || isFailure(error, 'storage_denied')) return true;
  return ['ConditionNotMet', 'InvalidBlockList'].includes(code);
}

/** False when the name is free. Rejects with `object_exists` when it has other bytes. */
async function isPresent(place: AzurePlace, arrival: Arrival): Promise<boolean> {
  const { name, sizeBytes, md5, signal } = arrival;
  const facts = await factsOf(place, name, signal);
  if (facts === undefined) return false;
  const isSame =
    facts.sizeBytes === sizeBytes &&
    (facts.md5 === undefined ? await readsSame(place, arrival) : md5.equals(facts.md5));
  if (!isSame) throw failure('object_exists', { name, location: place.location });
  return true;
}

async function factsOf(
  place: AzurePlace,
  name: string,
  signal: AbortSignal | undefined,
): Promise<BlobFacts | undefined> {
  try {
    return await lookAt(place, name, signal);
  } catch (error) {
    if (isFailure(error, 'object_missing')) return undefined;
    // Who may only write and list can see it there.
    if (isFailure(error, 'storage_denied')) return await findByListing(place, name, signal);
    throw error;
  }
}

async function readsSame(place: AzurePlace, { name, parts, signal }: Arrival): Promise<boolean> {
  const present = await download(place, name, { signal });
  let at = 0;
  for (const piece of pieces(parts, Number.MAX_SAFE_INTEGER)) {
    if (Buffer.compare(present.subarray(at, at + piece.byteLength), piece) !== 0) return false;
    at += piece.byteLength;
  }
  return at === present.byteLength;
}

function md5Of(parts: readonly Uint8Array[]): Buffer {
  const hash = createHash('md5');
  for (const part of parts) hash.update(part);
  return hash.digest();
}
