import { withChecksumStage, type ChecksumStage } from '../../pipeline/wasm-crc32c.ts';
import type { Lsn } from '../lsn.ts';
import { BrokenRecord } from './broken-record.ts';
import {
  longHeaderBytes,
  maxRecordBytes,
  pageFlags,
  recordHeaderBytes,
  shortHeaderBytes,
  walPageBytes,
} from './format.ts';
import { WalOrigin } from './origin.ts';
import { PageCheck, type PageExpectations } from './page-check.ts';
import { RecordView, type WalRecord } from './record.ts';
import { walStop, type WalStop, type WalStopKind } from './stop.ts';

export interface WalReaderOptions extends PageExpectations {
  /** Where the first byte lies. */
  readonly start: Lsn;
  /** A record begins there. Otherwise reading begins with the first record behind the next beginning of a page. */
  readonly startsAtRecord?: boolean;
  /** Which records are handed out with their data; none unless given. */
  readonly wants?: (rmid: number, info: number) => boolean;
  /** False: checksums are not looked at. */
  readonly verify?: boolean;
}

type Visit = (record: WalRecord) => void;

/**
 * Finds the records in WAL that comes in pieces of any size, and checks each. It goes as far as recovery would go, and
 * then tells in `stopped` where and why that was; what is added later is not looked at.
 *
 * Memory: the data of one record, if it is wanted; nothing of any other.
 */
export class WalRecordReader {
  // Positions are plain numbers: bytes from the origin.
  readonly #origin: WalOrigin;
  readonly #pages: PageCheck;
  readonly #wants: (rmid: number, info: number) => boolean;
  readonly #verify: boolean;
  readonly #record: RecordView;
  readonly #broken = new BrokenRecord();

  /** The next byte to be looked at, and where it lies in the stage. */
  #at: number;
  #from = 0;
  /** Behind the last byte in the stage. */
  #limit = 0;
  /** Bytes before it mean nothing. */
  #skipTo: number;
  /** A switch was met, and nothing has told yet how long segments are. */
  #seeksSegment = false;
  /** Bytes of the last call that were too few to tell anything. */
  readonly #kept = new Uint8Array(longHeaderBytes);
  #keptBytes = 0;
  /** Whether it is known where records begin. */
  #isSynchronized: boolean;
  /** Where the last record began; undefined when it was not seen. */
  #previous: number | undefined;
  #lastEnd: number | undefined;
  #stopped: WalStop | undefined;

  constructor(options: WalReaderOptions) {
    const { start, startsAtRecord = false, wants = () => false, verify = true } = options;
    this.#origin = new WalOrigin(start);
    this.#pages = new PageCheck(options);
    this.#wants = wants;
    this.#verify = verify;
    this.#record = new RecordView(this.#origin);
    this.#at = this.#origin.at(start);
    this.#isSynchronized = startsAtRecord;
    this.#skipTo = startsAtRecord ? this.#at : roundUp(this.#at, walPageBytes);
  }

  /** Where and why valid WAL ends; undefined while it goes on. */
  get stopped(): WalStop | undefined {
    return this.#stopped;
  }

  /** The first byte that was not added yet. */
  get position(): Lsn {
    return this.#origin.lsn(this.#at + this.#keptBytes);
  }

  /** Whether a place was met where it can be told which bytes are records. */
  get hasBegun(): boolean {
    return this.#isSynchronized;
  }

  /** Where the last whole record began; undefined before the first one. */
  get lastStart(): Lsn | undefined {
    return this.#previous === undefined ? undefined : this.#origin.lsn(this.#previous);
  }

  /** Where the last whole record ended; undefined before the first one. */
  get lastEnd(): Lsn | undefined {
    return this.#lastEnd === undefined ? undefined : this.#origin.lsn(this.#lastEnd);
  }

  /**
   * Takes the bytes that follow, and calls `visit` for every record whose last byte is among them. Nothing of `bytes` is
   * kept. An error of `visit` goes to the caller, and the reader is of no use any more.
   */
  add(bytes: Uint8Array, visit: Visit): void {
    let taken = 0;
    withChecksumStage((stage) => {
      while (taken < bytes.length && this.#stopped === undefined) {
        const skipped = Math.min(Math.max(0, this.#skipTo - this.#at), bytes.length - taken);
        this.#at += skipped;
        taken += skipped;
        const kept = this.#keptBytes;
        const part = bytes.subarray(taken, taken + stage.bytes.length - kept);
        stage.bytes.set(this.#kept.subarray(0, kept));
        stage.bytes.set(part, kept);
        taken += part.length;
        this.#walk(stage, kept + part.length, visit);
      }
    });
    if (this.#stopped !== undefined) this.#at += bytes.length - taken;
  }

  #stop(at: number, kind: WalStopKind, reason: string): void {
    this.#stopped = walStop(this.#origin.lsn(at), kind, reason);
    this.#broken.giveUp();
  }

  #move(bytes: number): void {
    this.#at += bytes;
    this.#from += bytes;
  }

  /** Bytes of the stage from here to the end of the page. */
  #here(): number {
    return Math.min(this.#limit - this.#from, walPageBytes - (this.#at % walPageBytes));
  }

  /** Goes through the first `length` bytes of the stage, and keeps those at their end that are too few to tell anything. */
  #walk(stage: ChecksumStage, length: number, visit: Visit): void {
    this.#from = 0;
    this.#limit = length;
    while (this.#from < length && this.#stopped === undefined) {
      if (this.#at < this.#skipTo) this.#move(Math.min(this.#skipTo - this.#at, length - this.#from));
      else if (!this.#step(stage, visit)) break;
    }
    this.#keptBytes = this.#stopped === undefined ? length - this.#from : 0;
    this.#kept.set(stage.bytes.subarray(length - this.#keptBytes, length));
    if (this.#stopped !== undefined) this.#move(length - this.#from);
  }

  /** False: more bytes are needed. */
  #step(stage: ChecksumStage, visit: Visit): boolean {
    if (this.#at % walPageBytes === 0) return this.#beginPage(stage.view);
    if (this.#broken.rest === 0) return this.#readWholeRecords(stage, visit) || this.#beginRecord(stage.view);
    this.#continueRecord(stage, visit);
    return true;
  }

  #beginPage(view: DataView): boolean {
    const available = this.#limit - this.#from;
    if (available < shortHeaderBytes) return false;
    const headerBytes = PageCheck.bytesOf(view, this.#from);
    if (this.#seeksSegment && headerBytes === shortHeaderBytes) {
      this.#skipTo = this.#at + walPageBytes;
      return true;
    }
    if (available < headerBytes) return false;
    this.#seeksSegment = false;
    const wrong =
      this.#pages.check(view, this.#from, this.#origin.lsn(this.#at)) ??
      this.#checkContinuation(view.getUint16(this.#from + 2, true), view.getUint32(this.#from + 16, true));
    const { rest, isTail, begin } = this.#broken;
    if (wrong === undefined) this.#move(headerBytes);
    else this.#stop(rest > 0 && !isTail ? begin : this.#at, ...wrong);
    return true;
  }

  #checkContinuation(flags: number, restBytes: number): readonly [WalStopKind, string] | undefined {
    const continues = (flags & pageFlags.continuation) !== 0;
    const { rest } = this.#broken;
    if (!this.#isSynchronized) {
      this.#isSynchronized = true;
      if (continues) this.#broken.passOver(restBytes);
    } else if (rest > 0 && (flags & pageFlags.overwritten) !== 0) {
      this.#broken.giveUp();
    } else if (rest === 0 && continues) {
      return ['continuation', 'a page goes on with a record that has not begun,'];
    } else if (rest > 0 && !(continues && restBytes === rest)) {
      return ['continuation', 'the next page does not go on with the record'];
    }
    return undefined;
  }

  /** The quick way, for records that lie whole in the stage and in one page. False when the next one does not. */
  #readWholeRecords(stage: ChecksumStage, visit: Visit): boolean {
    const { view } = stage;
    const begin = this.#from;
    const end = begin + this.#here();
    while (end - this.#from >= recordHeaderBytes && this.#at >= this.#skipTo) {
      const from = this.#from;
      const total = view.getUint32(from, true);
      if (total < recordHeaderBytes || total > end - from || !this.#follows(view, from, this.#at)) break;
      if (this.#verify && stage.walRecord(from, total) !== view.getUint32(from + 20, true)) {
        this.#stop(this.#at, 'checksum', 'the checksum is wrong of the record');
        return true;
      }
      const record = this.#record;
      record.data = this.#wants(view.getUint8(from + 17), view.getUint8(from + 16))
        ? stage.bytes.slice(from + recordHeaderBytes, from + total)
        : undefined;
      record.startAt = this.#at;
      record.totalLength = total;
      this.#move(total);
      this.#deliver(view, from, visit);
      if (this.#skipTo - this.#at <= end - this.#from) this.#move(this.#skipTo - this.#at);
    }
    return this.#from > begin;
  }

  /** Whether the header says that its record comes after the last one. */
  #follows(view: DataView, from: number, at: number): boolean {
    const previous = this.#origin.read(view, from + 8);
    return this.#previous === undefined ? previous < at : previous === this.#previous;
  }

  /** Hands out the record with that header, whose last byte was the last one looked at. */
  #deliver(view: DataView, from: number, visit: Visit): void {
    const record = this.#record;
    record.xid = view.getUint32(from + 4, true);
    record.info = view.getUint8(from + 16);
    record.rmid = view.getUint8(from + 17);
    record.major = this.#pages.major;
    this.#skipTo = roundUp(this.#at, 8);
    record.endAt = this.#skipTo;
    if (record.isSwitch) this.#skipSegment();
    this.#previous = record.startAt;
    this.#lastEnd = record.endAt;
    visit(record);
  }

  #skipSegment(): void {
    const { segmentBytes } = this.#pages;
    this.#skipTo = roundUp(this.#skipTo, segmentBytes ?? walPageBytes);
    if (segmentBytes === undefined) this.#seeksSegment = true;
    else this.#record.endAt = this.#skipTo;
  }

  /** Begins a record that the quick way does not take; or there is none. */
  #beginRecord(view: DataView): boolean {
    const toPageEnd = walPageBytes - (this.#at % walPageBytes);
    if (this.#limit - this.#from < Math.min(recordHeaderBytes, toPageEnd)) return false;
    const total = view.getUint32(this.#from, true);
    if (total === 0) {
      this.#stop(this.#at, 'zeros', 'nothing was written from here on:');
    } else if (total < recordHeaderBytes || total > maxRecordBytes) {
      this.#stop(this.#at, 'length', `no record can have the length (${total}) that is`);
    } else {
      this.#broken.start(this.#at, total);
    }
    return true;
  }

  /** Takes what is here of the record under way. */
  #continueRecord(stage: ChecksumStage, visit: Visit): void {
    const broken = this.#broken;
    const count = Math.min(this.#here(), broken.rest);
    const from = this.#from;
    this.#move(count);
    if (broken.isTail) {
      broken.rest -= count;
      if (broken.rest === 0) this.#skipTo = roundUp(this.#at, 8);
      return;
    }
    const headerBytes = broken.takeHeader(stage, from, count);
    if (!broken.hasHeader) return;
    if (headerBytes > 0) this.#checkHeader();
    if (this.#stopped !== undefined) return;
    broken.takeData(stage, from + headerBytes, count - headerBytes, this.#verify);
    if (broken.rest === 0) this.#endRecord(visit);
  }

  #checkHeader(): void {
    const { header, begin } = this.#broken;
    if (!this.#follows(header, 0, begin)) {
      this.#stop(begin, 'chain', 'what was written before is not what is missed by the record');
    } else if (this.#wants(header.getUint8(17), header.getUint8(16))) this.#broken.keepData();
  }

  #endRecord(visit: Visit): void {
    const broken = this.#broken;
    if (this.#verify && !broken.isIntact()) {
      return this.#stop(broken.begin, 'checksum', 'the checksum is wrong of the record');
    }
    const record = this.#record;
    record.startAt = broken.begin;
    record.totalLength = broken.total;
    record.data = broken.data();
    broken.giveUp();
    this.#deliver(broken.header, 0, visit);
  }
}

function roundUp(value: number, step: number): number {
  return Math.ceil(value / step) * step;
}
