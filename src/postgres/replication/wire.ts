/**
 * The messages of PostgreSQL's protocol: a type byte, the length of the rest, the rest. What a copy carries is large and
 * is handed on in the pieces that the socket gives, uncopied; everything else is small and comes whole.
 */

/** Type bytes of the messages from the server that matter here. */
export const types = {
  notificationResponse: 0x41,
  commandComplete: 0x43,
  dataRow: 0x44,
  errorResponse: 0x45,
  copyOutResponse: 0x48,
  noticeResponse: 0x4e,
  parameterStatus: 0x53,
  rowDescription: 0x54,
  copyBothResponse: 0x57,
  readyForQuery: 0x5a,
  copyDone: 0x63,
  copyData: 0x64,
} as const;

/** A message from the server, or a piece of a long one. */
export interface WireItem {
  readonly type: number;
  /** Of CopyData the beginning that `headBytes` asks for, of other messages everything; the same for all pieces. */
  readonly head: Buffer;
  /** A piece of what follows the head. Stays as it is. */
  readonly bytes: Buffer;
  /** Where the piece begins, counted from the end of the head. */
  readonly offset: number;
}

/** How many bytes from the beginning of CopyData must be in one piece; more than there are means all. */
export type HeadBytes = (firstByte: number) => number;

const headerBytes = 5;
const nothing = Buffer.alloc(0);
/** The longest message besides CopyData that is taken for one of PostgreSQL's. */
const longestMessage = 64 * 1_048_576;
const known = new Set<number>(Object.values(types));

/** Takes what comes over a connection apart. */
export class WireReader {
  headBytes: HeadBytes = () => Infinity;
  /** Begun and not complete enough to be handed on. */
  #begun: Buffer = nothing;
  #head: Buffer = nothing;
  /** Of the message under way, behind its head. */
  #offset = 0;
  #left = 0;

  /** Hands on what has come. False: these are not messages of PostgreSQL, and nothing more will be understood. */
  feed(chunk: Buffer, emit: (item: WireItem) => void): boolean {
    const view = this.#begun.length === 0 ? chunk : Buffer.concat([this.#begun, chunk]);
    this.#begun = nothing;
    let at = 0;
    while (at < view.length) {
      if (this.#left === 0) {
        const next = this.#begin(view, at, emit);
        if (next === undefined) return false;
        if (next === at) {
          this.#begun = Buffer.from(view.subarray(at));
          return true;
        }
        at = next;
      } else {
        const bytes = view.subarray(at, at + this.#left);
        emit({ type: types.copyData, head: this.#head, bytes, offset: this.#offset });
        at += bytes.length;
        this.#offset += bytes.length;
        this.#left -= bytes.length;
      }
    }
    return true;
  }

  /** The position behind the header and the head; `at` when they are not there wholly yet. */
  #begin(view: Buffer, at: number, emit: (item: WireItem) => void): number | undefined {
    const type = view[at] ?? 0;
    if (!known.has(type)) return undefined;
    if (view.length - at < headerBytes) return at;
    const length = view.readUInt32BE(at + 1) - 4;
    if (length < 0 || (type !== types.copyData && length > longestMessage)) return undefined;
    const from = at + headerBytes;
    if (length > 0 && from === view.length) return at;
    const wanted =
      type === types.copyData && length > 0 ? Math.min(this.headBytes(view[from] ?? 0), length) : length;
    if (view.length - from < wanted) return at;
    const head = view.subarray(from, from + wanted);
    this.#head = head;
    this.#offset = 0;
    this.#left = length - wanted;
    if (this.#left === 0) emit({ type, head, bytes: nothing, offset: 0 });
    return from + wanted;
  }
}

/** The fields of a row as they came; null is NULL. */
export function parseDataRow(body: Buffer): (Buffer | null)[] {
  const fields: (Buffer | null)[] = [];
  let at = 2;
  for (let count = body.readUInt16BE(0); count > 0; count -= 1) {
    const length = body.readInt32BE(at);
    at += 4;
    fields.push(length < 0 ? null : body.subarray(at, at + length));
    at += Math.max(length, 0);
  }
  return fields;
}

/** What the server says in an error or a notice. */
export interface ServerMessage {
  /** `ERROR`, `FATAL`, `WARNING` …, whatever language the server speaks. */
  readonly severity: string;
  readonly sqlState: string;
  readonly message: string;
  readonly detail: string;
}

export function parseServerMessage(body: Buffer): ServerMessage {
  const fields = new Map<string, string>();
  for (let at = 0; at < body.length && body[at] !== 0;) {
    const end = body.indexOf(0, at + 1);
    if (end === -1) break;
    fields.set(String.fromCharCode(body[at] ?? 0), body.toString('utf8', at + 1, end));
    at = end + 1;
  }
  return {
    severity: fields.get('V') ?? fields.get('S') ?? '',
    sqlState: fields.get('C') ?? '',
    message: fields.get('M') ?? '',
    detail: fields.get('D') ?? '',
  };
}

export function queryMessage(sql: string): Buffer {
  const text = Buffer.from(sql);
  const message = Buffer.alloc(headerBytes + text.length + 1);
  message.write('Q', 'latin1');
  message.writeUInt32BE(message.length - 1, 1);
  text.copy(message, headerBytes);
  return message;
}

export const copyDoneMessage = Buffer.from([types.copyDone, 0, 0, 0, 4]);
export const terminateMessage = Buffer.from([0x58, 0, 0, 0, 4]);

export interface Positions {
  readonly written: bigint;
  readonly flushed: bigint;
  readonly applied: bigint;
}

/** Microseconds between 1970 and 2000, when PostgreSQL's time begins. */
const epochUs = 946_684_800_000_000n;

/** "Standby status update". Times in microseconds since 1970. */
export function statusMessage(at: Positions, timeUs: bigint, wantsReply: boolean): Buffer {
  const message = Buffer.alloc(headerBytes + 34);
  message[0] = types.copyData;
  message.writeUInt32BE(message.length - 1, 1);
  message.write('r', headerBytes, 'latin1');
  message.writeBigUInt64BE(at.written, headerBytes + 1);
  message.writeBigUInt64BE(at.flushed, headerBytes + 9);
  message.writeBigUInt64BE(at.applied, headerBytes + 17);
  message.writeBigInt64BE(timeUs - epochUs, headerBytes + 25);
  message[headerBytes + 33] = wantsReply ? 1 : 0;
  return message;
}

/** A time as the protocol has it, as microseconds since 1970. */
export function readTimeUs(head: Buffer, at: number): number {
  return Number(head.readBigInt64BE(at) + epochUs);
}
