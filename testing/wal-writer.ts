import { crc32c } from '../src/pipeline/wasm-crc32c.ts';
import type { Lsn } from '../src/postgres/lsn.ts';

const pageBytes = 8192;

export interface WrittenRecord {
  readonly start: bigint;
  readonly end: bigint;
  readonly total: number;
  readonly xid: number;
  readonly rmid: number;
  readonly info: number;
}

export interface NewRecord {
  readonly xid?: number;
  readonly rmid?: number;
  readonly info?: number;
  /** What follows the header. */
  readonly data: Uint8Array;
}

export interface WalWriterOptions {
  /** Where it begins: the beginning of a segment. */
  readonly start: Lsn;
  readonly segmentBytes?: number;
  readonly timeline?: number;
  readonly systemIdentifier?: bigint;
  readonly magic?: number;
}

/** Writes WAL as PostgreSQL does, for tests of what no server can be made to write at will. */
export class WalWriter {
  readonly records: WrittenRecord[] = [];
  readonly segmentBytes: number;
  timeline: number;
  readonly #start: bigint;
  readonly #systemIdentifier: bigint;
  readonly #magic: number;
  #bytes: Buffer = Buffer.alloc(0);
  #at = 0;
  #previous = 0n;

  constructor(options: WalWriterOptions) {
    const {
      start,
      segmentBytes = 1 << 20,
      timeline = 1,
      systemIdentifier = 7_000_000_000_000_000_001n,
    } = options;
    this.#start = start;
    this.segmentBytes = segmentBytes;
    this.timeline = timeline;
    this.#systemIdentifier = systemIdentifier;
    this.#magic = options.magic ?? 0xd116;
  }

  /** All that was written, up to the end of the page. */
  bytes(): Buffer {
    return Buffer.from(this.#bytes.subarray(0, Math.ceil(this.#at / pageBytes) * pageBytes));
  }

  /** The same up to the end of the segment. */
  segment(): Buffer {
    const all = this.bytes();
    return Buffer.concat([all, Buffer.alloc(-all.length & (this.segmentBytes - 1))]);
  }

  get position(): bigint {
    return this.#start + BigInt(this.#at);
  }

  /** Writes a record; `stopAfter` bytes of it only, as a server that dies. */
  add(record: NewRecord, stopAfter = Infinity): void {
    if (this.#at % pageBytes === 0) this.#page(0, 0);
    const start = this.position;
    const bytes = this.#encode(record);
    let written = 0;
    while (written < Math.min(bytes.length, stopAfter)) {
      if (this.#at % pageBytes === 0) this.#page(1, bytes.length - written);
      const room = pageBytes - (this.#at % pageBytes);
      const part = bytes.subarray(written, Math.min(written + room, stopAfter));
      this.#put(part);
      written += part.length;
    }
    if (written < bytes.length) return;
    this.#at = Math.ceil(this.#at / 8) * 8;
    if (record.rmid === 0 && record.info === 0x40) this.#fillSegment();
    this.#previous = start;
    const { xid = 0, rmid = 10, info = 0 } = record;
    this.records.push({ start, end: this.position, total: bytes.length, xid, rmid, info });
  }

  /** As after a crash in the middle of a record: the next one begins on a new page that says so. */
  overwrite(): void {
    this.#at = Math.ceil(this.#at / pageBytes) * pageBytes;
    this.#page(8, 0);
    this.add({ rmid: 0, info: 0xd0, data: Buffer.from([255, 2, 1, 2]) });
  }

  #encode({ xid = 0, rmid = 10, info = 0, data }: NewRecord): Buffer {
    const header = Buffer.alloc(24);
    header.writeUInt32LE(24 + data.length, 0);
    header.writeUInt32LE(xid, 4);
    header.writeBigUInt64LE(this.#previous, 8);
    header.writeUInt8(info, 16);
    header.writeUInt8(rmid, 17);
    header.writeUInt32LE(crc32c(Buffer.concat([data, header.subarray(0, 20)])), 20);
    return Buffer.concat([header, data]);
  }

  #page(flags: number, rest: number): void {
    const isFirst = this.position % BigInt(this.segmentBytes) === 0n;
    const header = Buffer.alloc(isFirst ? 40 : 24);
    header.writeUInt16LE(this.#magic, 0);
    header.writeUInt16LE(flags | (isFirst ? 2 : 0), 2);
    header.writeUInt32LE(this.timeline, 4);
    header.writeBigUInt64LE(this.position, 8);
    header.writeUInt32LE(rest, 16);
    if (isFirst) {
      header.writeBigUInt64LE(this.#systemIdentifier, 24);
      header.writeUInt32LE(this.segmentBytes, 32);
      header.writeUInt32LE(pageBytes, 36);
    }
    this.#put(header);
  }

  #fillSegment(): void {
    while (this.position % BigInt(this.segmentBytes) !== 0n) {
      if (this.#at % pageBytes === 0) this.#page(0, 0);
      this.#at = (Math.floor(this.#at / pageBytes) + 1) * pageBytes;
    }
  }

  #put(bytes: Uint8Array): void {
    const end = this.#at + bytes.length;
    if (end > this.#bytes.length) {
      this.#bytes = Buffer.concat([this.#bytes, Buffer.alloc(Math.max(end, 65_536))]);
    }
    this.#bytes.set(bytes, this.#at);
    this.#at = end;
  }
}
