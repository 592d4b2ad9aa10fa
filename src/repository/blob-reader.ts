import { failure, isFailure } from '../kernel/errors/failure.ts';
import type { DecodeRequest } from '../pipeline/decode.ts';
import type { WorkerPool } from '../pipeline/pool.ts';
import { footerEntryBytes, recordHeaderBytes, writeEntry } from '../pipeline/pack-format.ts';
import type { Storage } from '../storage/port.ts';
import type { IndexCache, Located } from './index-cache.ts';
import { packObject } from './layout.ts';

/** Neighbouring blobs are read together up to this (stored, and unpacked), over gaps up to `gapBytes`. */
const readBytes = 2 * 1024 * 1024;
/** The same where each request takes a way over a network, and costs. */
const farReadBytes = 4 * readBytes;
const gapBytes = 64 * 1024;

/** Blobs that lie near each other in one pack and are read by one request. */
export interface ReadGroup {
  readonly packId: string;
  readonly packSalt: Uint8Array;
  readonly blobs: readonly Located[];
  readonly offset: number;
  readonly length: number;
}

export type OpenedBlob = { readonly raw: Uint8Array } | { readonly error: Error };

/** A blob from a copy of the repository; undefined when no copy has it. */
export type Elsewhere = (id: Uint8Array, signal?: AbortSignal) => Promise<Uint8Array | undefined>;

/** Finds, reads, opens and checks blobs; those that cannot be had here, from elsewhere. */
export class BlobReader {
  readonly #storage: Storage;
  readonly #cache: IndexCache;
  readonly #pool: WorkerPool;
  readonly #elsewhere: Elsewhere | undefined;
  /** What is worth one read. */
  readonly readBytes: number;

  constructor(storage: Storage, cache: IndexCache, pool: WorkerPool, elsewhere?: Elsewhere) {
    this.#storage = storage;
    this.#cache = cache;
    this.#pool = pool;
    this.#elsewhere = elsewhere;
    this.readBytes = storage.requests === undefined ? readBytes : farReadBytes;
  }

  /** Where a blob is. `blob_missing` when no pack is known to have it, and nobody else may. */
  locate(id: Uint8Array): Located {
    const found = this.#cache.locate(id);
    if (found !== undefined) return found;
    if (this.#elsewhere === undefined) throw failure('blob_missing', { blob: shortId(id) });
    return nowhere(id);
  }

  /** That a blob can be read, as far as listings and what is remembered tell. `blob_missing`, `object_missing`, `blob_damaged`. */
  expect(id: Uint8Array): void {
    const { packId, present, damaged } = this.locate(id);
    if ((present && !damaged) || this.#elsewhere !== undefined) return;
    const name = packObject(packId);
    if (!present) throw failure('object_missing', { name, location: this.#storage.location });
    const reason = 'an earlier reading has found it damaged';
    throw failure('blob_damaged', { blob: shortId(id), name, reason });
  }

  /** One blob. `blob_damaged`, `blob_missing`, `object_missing`. */
  async read(id: Uint8Array, signal?: AbortSignal): Promise<Uint8Array> {
    const [group] = groupReads([this.locate(id)]);
    if (group === undefined) throw failure('blob_missing', { blob: shortId(id) });
    const [opened] = await this.readGroup(group, signal);
    if (opened === undefined) throw failure('blob_missing', { blob: shortId(id) });
    if ('error' in opened) throw opened.error;
    return opened.raw;
  }

  /** Reads and checks the blobs of a group; for each null or its error. Rejects when the pack cannot be read. */
  async checkGroup(group: ReadGroup, signal?: AbortSignal): Promise<readonly (Error | null)[]> {
    const request = await this.#fetchOr(group, signal);
    if (request instanceof Error) {
      const found = await this.#allElsewhere(group, request, signal);
      return found.map((opened) => ('error' in opened ? opened.error : null));
    }
    const damages = await this.#pool.probe(request);
    signal?.throwIfAborted();
    const errors: (Error | null)[] = [];
    for (const [index, blob] of group.blobs.entries()) {
      const reason = damages[index] ?? null;
      const opened = reason === null ? undefined : await this.#otherCopy(blob, reason, signal);
      errors.push(opened !== undefined && 'error' in opened ? opened.error : null);
    }
    return errors;
  }

  /** The blobs of a group, each opened or with its own error; rejects when the pack cannot be read at all. */
  async readGroup(group: ReadGroup, signal?: AbortSignal): Promise<readonly OpenedBlob[]> {
    const request = await this.#fetchOr(group, signal);
    if (request instanceof Error) return await this.#allElsewhere(group, request, signal);
    const { bytes, damages } = await this.#pool.decode(request);
    signal?.throwIfAborted();
    const opened: OpenedBlob[] = [];
    let offset = 0;
    for (const [index, blob] of group.blobs.entries()) {
      const reason = damages[index];
      if (typeof reason === 'string') {
        opened.push(await this.#otherCopy(blob, reason, signal));
      } else {
        opened.push({ raw: bytes.subarray(offset, offset + blob.rawLength) });
        offset += blob.rawLength;
      }
    }
    return opened;
  }

  /** Another copy of a damaged blob, if a later backup stored one; else the damage. */
  async #otherCopy(blob: Located, reason: string, signal?: AbortSignal): Promise<OpenedBlob> {
    this.#cache.markDamaged(blob.id, blob.packId);
    const other = this.#cache.locate(blob.id);
    const [group] = other?.present === true && !other.damaged ? groupReads([other]) : [];
    const [opened] = group === undefined ? [] : await this.readGroup(group, signal);
    if (opened !== undefined && 'raw' in opened) return opened;
    const raw = await this.#elsewhere?.(blob.id, signal);
    if (raw !== undefined) return { raw };
    const name = packObject(blob.packId);
    return { error: failure('blob_damaged', { blob: shortId(blob.id), name, reason }) };
  }

  /** The bytes of a group; or why they cannot be had, where a copy may have them. */
  async #fetchOr(group: ReadGroup, signal?: AbortSignal): Promise<DecodeRequest | Error> {
    if (group.packId === '')
      return failure('blob_missing', { blob: shortId(group.blobs[0]?.id ?? group.packSalt) });
    try {
      return await this.#fetch(group, signal);
    } catch (error) {
      signal?.throwIfAborted();
      if (this.#elsewhere === undefined || !isFailure(error)) throw error;
      return error;
    }
  }

  async #allElsewhere(group: ReadGroup, error: Error, signal?: AbortSignal): Promise<OpenedBlob[]> {
    const opened: OpenedBlob[] = [];
    for (const { id } of group.blobs) {
      const raw = await this.#elsewhere?.(id, signal);
      // A pack that cannot be read at all is one error, as it is without copies.
      if (raw === undefined) throw error;
      opened.push({ raw });
    }
    return opened;
  }

  async #fetch(group: ReadGroup, signal?: AbortSignal): Promise<DecodeRequest> {
    const name = packObject(group.packId);
    const bytes = await this.#storage.get(name, { offset: group.offset, length: group.length, signal });
    return { salt: group.packSalt, bytesOffset: group.offset, bytes, rows: rowsOf(group.blobs) };
  }
}

/** A blob that no pack here is known to have. */
function nowhere(id: Uint8Array): Located {
  return {
    id: Uint8Array.from(id),
    type: 1,
    codec: 0,
    offset: 0,
    rawLength: 0,
    storedLength: 0,
    packId: '',
    packSalt: new Uint8Array(0),
    packSizeBytes: 0,
    present: false,
    damaged: false,
  };
}

/** Blobs as their pack's footer tells of them. */
export function rowsOf(blobs: readonly Located[]): Uint8Array {
  const rows = Buffer.alloc(blobs.length * footerEntryBytes);
  blobs.forEach((blob, index) => writeEntry(rows, index * footerEntryBytes, blob));
  return rows;
}

/** Groups blobs that follow each other (in the order given) in a pack into single reads, of `mostBytes` at most. */
export function groupReads(blobs: readonly Located[], mostBytes = readBytes): ReadGroup[] {
  const groups: ReadGroup[] = [];
  let open: Located[] = [];
  let rawBytes = 0;
  const close = (): void => {
    const [first] = open;
    const last = open.at(-1);
    if (first === undefined || last === undefined) return;
    const { packId, packSalt, offset } = first;
    groups.push({ packId, packSalt, blobs: open, offset, length: endOf(last) - offset });
    open = [];
    rawBytes = 0;
  };
  for (const blob of blobs) {
    if (!joins(open, blob, mostBytes) || rawBytes + blob.rawLength > mostBytes) close();
    open.push(blob);
    rawBytes += blob.rawLength;
  }
  close();
  return groups;
}

function joins(open: readonly Located[], blob: Located, mostBytes: number): boolean {
  const [first] = open;
  const last = open.at(-1);
  if (first === undefined || last === undefined || blob.packId !== last.packId) return false;
  if (blob.packId === '') return false;
  const gap = blob.offset - endOf(last);
  return gap >= 0 && gap <= gapBytes && endOf(blob) - first.offset <= mostBytes;
}

function endOf(blob: Located): number {
  return blob.offset + recordHeaderBytes + blob.storedLength;
}

export function shortId(id: Uint8Array): string {
  return Buffer.from(id).toString('hex').slice(0, 16);
}
