import {
  crc32cBegin,
  finishCrc32c,
  withChecksumStage,
  type ChecksumStage,
} from '../../pipeline/wasm-crc32c.ts';
import { recordHeaderBytes } from './format.ts';

/** The record under way that lies in several pages, or came in several pieces. Keeps its data only when told to. */
export class BrokenRecord {
  /** Bytes still to come; 0 when there is no record under way. */
  rest = 0;
  /** Its beginning was not seen: it is passed over. */
  isTail = false;
  /** Where it began. */
  begin = 0;
  total = 0;
  /** The first bytes of it, as far as they have come. */
  readonly header: DataView = new DataView(new ArrayBuffer(recordHeaderBytes));
  #crc = 0;
  #parts: Uint8Array[] | undefined;

  start(begin: number, total: number): void {
    this.begin = begin;
    this.total = total;
    this.rest = total;
    this.isTail = false;
    this.#crc = crc32cBegin;
    this.#parts = undefined;
  }

  passOver(rest: number): void {
    this.rest = rest;
    this.isTail = true;
  }

  giveUp(): void {
    this.rest = 0;
    this.#parts = undefined;
  }

  /** Takes bytes into the header; how many. */
  takeHeader(stage: ChecksumStage, from: number, length: number): number {
    const got = this.total - this.rest;
    const count = Math.min(length, Math.max(0, recordHeaderBytes - got));
    for (let index = 0; index < count; index += 1) {
      this.header.setUint8(got + index, stage.view.getUint8(from + index));
    }
    this.rest -= count;
    return count;
  }

  get hasHeader(): boolean {
    return this.total - this.rest >= recordHeaderBytes;
  }

  keepData(): void {
    this.#parts = [];
  }

  takeData(stage: ChecksumStage, from: number, length: number, verify: boolean): void {
    if (verify) this.#crc = stage.update(this.#crc, from, length);
    this.#parts?.push(stage.bytes.slice(from, from + length));
    this.rest -= length;
  }

  /** Whether it is as it was written. */
  isIntact(): boolean {
    const sumAt = recordHeaderBytes - 4;
    const header = new Uint8Array(this.header.buffer, 0, sumAt);
    const crc = withChecksumStage((stage) => {
      stage.bytes.set(header);
      return stage.update(this.#crc, 0, sumAt);
    });
    return finishCrc32c(crc) === this.header.getUint32(sumAt, true);
  }

  /** What was kept, in one piece. */
  data(): Uint8Array | undefined {
    const parts = this.#parts;
    if (parts === undefined || parts.length === 1) return parts?.[0];
    const data = new Uint8Array(this.total - recordHeaderBytes);
    let at = 0;
    for (const part of parts) {
      data.set(part, at);
      at += part.length;
    }
    return data;
  }
}
