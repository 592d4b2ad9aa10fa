import { failure, reasonOf } from '../../kernel/errors/failure.ts';
import { release } from '../../kernel/release.ts';
import { Compressor, decompress, defaultCompression } from '../../pipeline/codec.ts';
import type { PipelineKeys } from '../../pipeline/keys.ts';
import { headerBytes, newObject, ObjectSeal, saltOfHeader, tagBytes } from '../../pipeline/seal.ts';

/** Plain bytes of a frame. */
export const frameBytes = 1024 * 1024;
/** So many bytes of an object's beginning hold its head, but for one with uncommonly many facts. */
export const usualHeadBytes = 4096;

/** Kind, codec, plain bytes, packed bytes. */
export const sectionHeaderBytes = 12;
const headKind = 0x51;
const frameKind = 0x57;
/** No head comes near this; a length beyond it is damage. */
const maximumHeadBytes = 16 * 1024 * 1024;

/**
 * An object with WAL: header, a head of JSON, then the bytes in frames. Returns the pieces to store one after another;
 * some may be views of `bytes`. Throws a plain `Error` when the compressor turns out to be broken.
 */
export function encodeWalObject(
  keys: PipelineKeys,
  name: string,
  head: unknown,
  bytes: Uint8Array,
): readonly Uint8Array[] {
  const { header, seal } = newObject(keys, 'wal');
  const compressor = new Compressor(defaultCompression);
  const pieces: Uint8Array[] = [header];
  let position = headerBytes;
  const add = (kind: number, plain: Uint8Array): void => {
    const { codec, data } = compressor.compress(plain);
    const section = sectionHeader(kind, codec, plain.length, data.length);
    const [sealed, tag] = seal.seal(position, additional(section, name), data);
    if (data !== plain && data !== sealed) release(data);
    pieces.push(section, sealed, tag);
    position += section.length + sealed.length + tag.length;
  };
  add(headKind, Buffer.from(JSON.stringify(head)));
  for (let at = 0; at < bytes.length; at += frameBytes) add(frameKind, bytes.subarray(at, at + frameBytes));
  return pieces;
}

/**
 * Opens such an object. `sizeOf` tells from the head how many bytes there must be, and may throw for a head that is not
 * what it should be. `object_damaged` naming the object when anything about it is not as it was stored.
 */
export function decodeWalObject(
  keys: PipelineKeys,
  name: string,
  stored: Uint8Array,
  sizeOf: (head: unknown) => number,
): { readonly head: unknown; readonly bytes: Uint8Array } {
  try {
    const sections = new SectionReader(keys, name, stored);
    const head = parseHead(sections.next(headKind, maximumHeadBytes));
    const bytes = new Uint8Array(sizeOf(head));
    let at = 0;
    while (at < bytes.length) {
      const frame = sections.next(frameKind, Math.min(frameBytes, bytes.length - at));
      if (frame.length === 0) throw new Error('a frame of it is empty');
      bytes.set(frame, at);
      at += frame.length;
      if (frame.buffer !== stored.buffer) release(frame);
    }
    sections.end();
    return { head, bytes };
  } catch (error) {
    throw damaged(name, error);
  }
}

/**
 * Opens the head of an object from its beginning. A number: so many bytes of the object are needed for it.
 * `isWhole` says that there are no more. `object_damaged`.
 */
export function decodeWalHead(
  keys: PipelineKeys,
  name: string,
  beginning: Uint8Array,
  isWhole: boolean,
): { readonly head: unknown } | number {
  try {
    const sections = new SectionReader(keys, name, beginning);
    const needed = sections.endOfNext(headKind, maximumHeadBytes);
    if (needed > beginning.length && !isWhole) return needed;
    return { head: parseHead(sections.next(headKind, maximumHeadBytes)) };
  } catch (error) {
    throw damaged(name, error);
  }
}

/** Reads the sections of one object in order. Throws plain errors. */
class SectionReader {
  readonly #seal: ObjectSeal;
  readonly #name: string;
  readonly #stored: Buffer;
  #position = headerBytes;

  constructor(keys: PipelineKeys, name: string, stored: Uint8Array) {
    saltOfHeader(keys, 'wal', stored);
    this.#seal = new ObjectSeal(keys, stored.subarray(0, headerBytes));
    this.#name = name;
    this.#stored = Buffer.from(stored.buffer, stored.byteOffset, stored.byteLength);
  }

  /** Where the next section ends, by what it says itself: not checked yet. */
  endOfNext(kind: number, maximumBytes: number): number {
    const section = this.#stored.subarray(this.#position, this.#position + sectionHeaderBytes);
    if (section.length < sectionHeaderBytes) throw new Error('it ends too early');
    const packedBytes = section.readUInt32LE(8);
    // What does not get smaller is stored as it is.
    if (section[0] !== kind || section.readUInt32LE(4) > maximumBytes || packedBytes > maximumBytes)
      throw new Error('a section header of it is damaged');
    return this.#position + sectionHeaderBytes + packedBytes + tagBytes;
  }

  next(kind: number, maximumBytes: number): Uint8Array {
    const end = this.endOfNext(kind, maximumBytes);
    if (end > this.#stored.length) throw new Error('it ends too early');
    const section = this.#stored.subarray(this.#position, this.#position + sectionHeaderBytes);
    const sealed = this.#stored.subarray(this.#position + sectionHeaderBytes, end);
    const packed = this.#seal.open(this.#position, additional(section, this.#name), sealed);
    const plain = decompress(section[1] ?? -1, packed, section.readUInt32LE(4));
    if (packed !== plain && packed.buffer !== this.#stored.buffer) release(packed);
    this.#position = end;
    return plain;
  }

  end(): void {
    const surplus = this.#stored.length - this.#position;
    if (surplus > 0) throw new Error(`it has ${surplus} bytes too many`);
  }
}

function sectionHeader(kind: number, codec: number, plainBytes: number, packedBytes: number): Buffer {
  const section = Buffer.alloc(sectionHeaderBytes);
  section[0] = kind;
  section[1] = codec;
  section.writeUInt32LE(plainBytes, 4);
  section.writeUInt32LE(packedBytes, 8);
  return section;
}

function additional(section: Uint8Array, name: string): Uint8Array {
  return Buffer.concat([section, Buffer.from(name)]);
}

function parseHead(bytes: Uint8Array): unknown {
  return JSON.parse(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString());
}

function damaged(name: string, error: unknown): Error {
  return failure('object_damaged', { name, reason: reasonOf(error) }, { cause: error });
}
