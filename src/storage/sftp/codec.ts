/** Packets of the SSH File Transfer Protocol, version 3, as far as they are used (draft-ietf-secsh-filexfer-02). */
export const packets = {
  init: 1,
  version: 2,
  open: 3,
  close: 4,
  read: 5,
  write: 6,
  opendir: 11,
  readdir: 12,
  remove: 13,
  mkdir: 14,
  stat: 17,
  rename: 18,
  status: 101,
  handle: 102,
  data: 103,
  name: 104,
  attrs: 105,
  extended: 200,
  extendedReply: 201,
} as const;

export const statuses = {
  ok: 0,
  eof: 1,
  noSuchFile: 2,
  permissionDenied: 3,
  failure: 4,
  badMessage: 5,
  noConnection: 6,
  connectionLost: 7,
  unsupported: 8,
} as const;

/** Flags of an open. */
export const openFlags = { read: 0x01, write: 0x02, create: 0x08, exclusive: 0x20 } as const;

/** In front of attributes: which of them follow. */
const attributeFlags = {
  size: 0x01,
  owner: 0x02,
  permissions: 0x04,
  times: 0x08,
  extended: 0x8000_0000,
} as const;

/** A number is written as uint32, a bigint as uint64, text and bytes with their length before them. */
export type Field = number | bigint | string | Uint8Array;

/** Attributes that set a mode and nothing else. */
export function modeFields(mode: number): readonly Field[] {
  return [attributeFlags.permissions, mode];
}

/** A whole packet with its length in front. The bytes of all fields are copied. */
export function encodePacket(type: number, fields: readonly Field[]): Buffer {
  const values = fields.map((field) => (typeof field === 'string' ? Buffer.from(field) : field));
  const size = values.reduce<number>((sum, value) => sum + sizeOfField(value), 1);
  const packet = Buffer.allocUnsafe(4 + size);
  packet.writeUInt32BE(size);
  packet.writeUInt8(type, 4);
  let at = 5;
  for (const value of values) {
    if (typeof value === 'number') at = packet.writeUInt32BE(value, at);
    else if (typeof value === 'bigint') at = packet.writeBigUInt64BE(value, at);
    else {
      at = packet.writeUInt32BE(value.byteLength, at);
      packet.set(value, at);
      at += value.byteLength;
    }
  }
  return packet;
}

function sizeOfField(value: number | bigint | Uint8Array): number {
  if (typeof value === 'number') return 4;
  return typeof value === 'bigint' ? 8 : 4 + value.byteLength;
}

/** What a server tells of a file; what it left out is undefined. */
export interface Attributes {
  readonly size: number | undefined;
  readonly kind: 'file' | 'directory' | 'other' | undefined;
  /** Seconds since 1970. */
  readonly modifiedAtS: number | undefined;
}

const kindMask = 0o170000;
const kinds: Readonly<Record<number, 'file' | 'directory'>> = { 0o100000: 'file', 0o040000: 'directory' };

/** Takes the fields of a packet one after another. Throws a RangeError beyond its end. */
export class FieldReader {
  readonly #bytes: Buffer;
  #at: number;

  constructor(bytes: Buffer, at: number) {
    this.#bytes = bytes;
    this.#at = at;
  }

  get atEnd(): boolean {
    return this.#at >= this.#bytes.length;
  }

  uint32(): number {
    this.#at += 4;
    return this.#bytes.readUInt32BE(this.#at - 4);
  }

  uint64(): bigint {
    this.#at += 8;
    return this.#bytes.readBigUInt64BE(this.#at - 8);
  }

  /** A view of the packet. */
  bytes(): Buffer {
    const length = this.uint32();
    if (this.#at + length > this.#bytes.length) throw new RangeError('a field goes beyond its packet');
    this.#at += length;
    return this.#bytes.subarray(this.#at - length, this.#at);
  }

  text(): string {
    return this.bytes().toString();
  }

  attributes(): Attributes {
    const flags = this.uint32();
    const size = (flags & attributeFlags.size) === 0 ? undefined : Number(this.uint64());
    if ((flags & attributeFlags.owner) !== 0) this.#at += 8;
    const mode = (flags & attributeFlags.permissions) === 0 ? undefined : this.uint32();
    let modifiedAtS: number | undefined;
    if ((flags & attributeFlags.times) !== 0) {
      this.#at += 4;
      modifiedAtS = this.uint32();
    }
    if ((flags & attributeFlags.extended) !== 0) {
      for (let left = this.uint32(); left > 0; left -= 1) {
        this.bytes();
        this.bytes();
      }
    }
    const kind = mode === undefined ? undefined : (kinds[mode & kindMask] ?? 'other');
    return { size, kind, modifiedAtS };
  }
}

/** Cuts a stream of bytes into packets (without the length in front). Each is copied once. */
export class PacketAssembler {
  readonly #limit: number;
  readonly #head = Buffer.alloc(4);
  #headFill = 0;
  #body: Buffer | undefined;
  #bodyFill = 0;

  /** `limit`: bytes a packet may have. */
  constructor(limit: number) {
    this.#limit = limit;
  }

  /** The packets that `piece` completes. Throws a RangeError where what comes is no packet. */
  *take(piece: Buffer): Generator<Buffer, void, void> {
    for (let at = 0; at < piece.length;) {
      if (this.#body === undefined) {
        const copied = piece.copy(this.#head, this.#headFill, at, at + 4 - this.#headFill);
        at += copied;
        this.#headFill += copied;
        if (this.#headFill < 4) return;
        const size = this.#head.readUInt32BE();
        if (size === 0 || size > this.#limit) throw new RangeError('what came is no packet of SFTP');
        this.#body = Buffer.allocUnsafeSlow(size);
        this.#bodyFill = 0;
      } else {
        const copied = piece.copy(this.#body, this.#bodyFill, at);
        at += copied;
        this.#bodyFill += copied;
      }
      if (this.#body.length > this.#bodyFill) continue;
      const body = this.#body;
      this.#body = undefined;
      this.#headFill = 0;
      yield body;
    }
  }
}
