import { hash } from 'node:crypto';
import { release } from '../kernel/release.ts';
import type { BlobLocation, BlobType } from './blob.ts';
import type { Compressor } from './codec.ts';
import type { PipelineKeys } from './keys.ts';
import {
  footerEntryBytes,
  footerHeader,
  footerHeaderBytes,
  recordHeader,
  recordHeaderBytes,
  trailer,
  trailerBytes,
  writeEntry,
} from './pack-format.ts';
import { headerBytes, newObject, type ObjectSeal, tagBytes } from './seal.ts';

/** Room beyond the target: for one more largest blob, and a footer for very many small ones. */
const spareBytes = 6 * 1024 * 1024;
/** A pack of tiny blobs is closed at this count, so that its footer fits. */
const packMaximumBlobs = 16_384;

/** A whole pack, ready to store under its name. */
export interface FinishedPack {
  /** SHA-256 of the bytes, hex: its name. */
  readonly id: string;
  /** As `headerWithSalt` takes it. */
  readonly salt: Uint8Array;
  /** The pack is the first `lengthBytes` of it. Ownership goes to whoever receives the pack. */
  readonly buffer: ArrayBuffer;
  readonly lengthBytes: number;
  /** Footer rows in clear, `footerEntryBytes` each, for the index. */
  readonly entries: Uint8Array<ArrayBuffer>;
}

/** Lays sealed blobs into packs, one at a time. */
export class PackBuilder {
  readonly #keys: PipelineKeys;
  readonly #compressor: Compressor;
  readonly #targetBytes: number;
  #spare: ArrayBuffer | undefined;
  #bytes: Buffer<ArrayBuffer> | undefined;
  #header: Uint8Array = new Uint8Array(0);
  #salt: Uint8Array = new Uint8Array(0);
  #seal: ObjectSeal | undefined;
  #length = 0;
  #blobs: BlobLocation[] = [];

  /** A pack is full when it has grown beyond `targetBytes`. */
  constructor(keys: PipelineKeys, compressor: Compressor, targetBytes: number) {
    this.#keys = keys;
    this.#compressor = compressor;
    this.#targetBytes = targetBytes;
  }

  /** True when the pack should be finished before another blob is added. */
  get full(): boolean {
    return this.#length >= this.#targetBytes || this.#blobs.length >= packMaximumBlobs;
  }

  get empty(): boolean {
    return this.#blobs.length === 0;
  }

  /** Adds a blob, which must be new and no longer than 4 MiB. Call {@link finish} first when {@link full}. */
  add(type: BlobType, id: Uint8Array, raw: Uint8Array): void {
    const { bytes, seal } = this.#current();
    const { codec, data } = this.#compressor.compress(raw);
    const facts = { id, type, codec, rawLength: raw.length, storedLength: data.length + tagBytes };
    const header = recordHeader(facts);
    const offset = this.#length;
    bytes.set(header, offset);
    const [sealed, tag] = seal.seal(offset, header, data);
    bytes.set(sealed, offset + recordHeaderBytes);
    bytes.set(tag, offset + recordHeaderBytes + sealed.length);
    const addedBytes = recordHeaderBytes + sealed.length + tag.length;
    if (sealed !== data) release(sealed);
    if (data.buffer !== raw.buffer) release(data);
    this.#length = offset + addedBytes;
    this.#blobs.push({ ...facts, offset });
  }

  /** Closes the pack; undefined when it is empty. */
  finish(): FinishedPack | undefined {
    if (this.#bytes === undefined || this.#blobs.length === 0) return undefined;
    const { bytes, seal } = this.#current();
    const entries = Buffer.from(new ArrayBuffer(this.#blobs.length * footerEntryBytes));
    this.#blobs.forEach((blob, index) => writeEntry(entries, index * footerEntryBytes, blob));
    const footerOffset = this.#length;
    const storedLength = entries.length + tagBytes;
    const header = footerHeader(this.#blobs.length, storedLength);
    bytes.set(header, footerOffset);
    const [sealed, tag] = seal.seal(footerOffset, header, entries);
    bytes.set(sealed, footerOffset + footerHeaderBytes);
    bytes.set(tag, footerOffset + footerHeaderBytes + sealed.length);
    const trailerOffset = footerOffset + footerHeaderBytes + storedLength;
    bytes.set(trailer(footerOffset, storedLength, this.#header), trailerOffset);
    const lengthBytes = trailerOffset + trailerBytes;
    const pack: FinishedPack = {
      id: hash('sha256', bytes.subarray(0, lengthBytes), 'hex'),
      salt: Uint8Array.from(this.#salt),
      buffer: bytes.buffer,
      lengthBytes,
      entries,
    };
    this.#bytes = undefined;
    this.#seal = undefined;
    this.#blobs = [];
    this.#length = 0;
    return pack;
  }

  /** Gives a buffer back that a stored pack no longer needs. */
  recycle(buffer: ArrayBuffer): void {
    this.#spare = buffer;
  }

  #current(): { bytes: Buffer<ArrayBuffer>; seal: ObjectSeal } {
    if (this.#bytes === undefined || this.#seal === undefined) {
      this.#bytes = Buffer.from(this.#spare ?? new ArrayBuffer(this.#targetBytes + spareBytes));
      this.#spare = undefined;
      const { header, salt, seal } = newObject(this.#keys, 'pack');
      this.#header = header;
      this.#salt = salt;
      this.#bytes.set(header, 0);
      this.#seal = seal;
      this.#length = headerBytes;
    }
    return { bytes: this.#bytes, seal: this.#seal };
  }
}
