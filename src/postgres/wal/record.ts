import type { Lsn } from '../lsn.ts';
import { managers, xlogInfo, xlogInfoMask } from './format.ts';
import type { WalOrigin } from './origin.ts';

/** A record. A reader hands out the same object again and again: it holds during the call only, but for `data`. */
export interface WalRecord {
  /** Computed when asked for, as `end` is. */
  readonly start: Lsn;
  /**
   * Where the server was when it had written it: the next multiple of 8. Of a switch the end of its segment, unless
   * nothing has told yet how long segments are.
   */
  readonly end: Lsn;
  /** With its header, without the headers of pages in between. */
  readonly totalLength: number;
  /** 0 for what belongs to no transaction. */
  readonly xid: number;
  readonly info: number;
  readonly rmid: number;
  /** Of the server that wrote it; undefined before the first header of a page was read. */
  readonly major: number | undefined;
  /** What follows its header, when it was wanted; a copy. */
  readonly data: Uint8Array | undefined;
}

/** Its positions are bytes from the origin. */
export class RecordView implements WalRecord {
  readonly #origin: WalOrigin;
  startAt = 0;
  endAt = 0;
  totalLength = 0;
  xid = 0;
  info = 0;
  rmid = 0;
  major: number | undefined = undefined;
  data: Uint8Array | undefined = undefined;

  constructor(origin: WalOrigin) {
    this.#origin = origin;
  }

  get start(): Lsn {
    return this.#origin.lsn(this.startAt);
  }

  get end(): Lsn {
    return this.#origin.lsn(this.endAt);
  }

  /** After it the rest of its segment means nothing. */
  get isSwitch(): boolean {
    return this.rmid === managers.xlog && (this.info & xlogInfoMask) === xlogInfo.switch;
  }
}
