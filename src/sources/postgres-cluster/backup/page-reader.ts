import { setTimeout as delay } from 'node:timers/promises';
import { isNewPage, pageLsnWords, storedChecksum } from '../../../postgres/page/header.ts';
import type { PageBuffer } from '../../../postgres/page/checksum.ts';
import type { FileBytes } from './bytes.ts';
import { windowBytes } from './page-buffers.ts';
import { isBelow, isParentsPage, type LsnWords } from './rule.ts';
import { stampBytes, writeStamp } from './stamps.ts';

/** What is asked of the pages of one file. */
export interface PageRules {
  readonly pageBytes: number;
  readonly checksums: boolean;
  /** Pages from here on may be read while they are written, and are replaced by recovery. */
  readonly start: LsnWords;
  /** Null: nothing is compared. */
  readonly parentStart: LsnWords | null;
  /** The number of the file's first page within its relation. */
  readonly firstBlock: number;
}

export interface BadBlock {
  /** Of the relation. */
  readonly block: number;
  readonly reason: string;
}

export interface Window {
  readonly bytes: Buffer;
  readonly stamps: Buffer;
  /** For each page 1, or 0 where it is the parent's. */
  readonly changed: Uint8Array;
}

const wrongChecksum = 'its checksum is wrong';
const notEmpty = 'it has no header, but is not empty';
/** A page that is read while it is written is whole a moment later. */
const attempts = 5;
const pauseMs = 20;

/** Reads a file of pages, window by window, and tells which pages changed and which are bad. */
export class PageReader {
  readonly bad: BadBlock[] = [];
  badCount = 0;
  readonly #file: FileBytes;
  readonly #rules: PageRules;
  readonly #buffer: PageBuffer;

  constructor(file: FileBytes, rules: PageRules, buffer: PageBuffer) {
    this.#file = file;
    this.#rules = rules;
    this.#buffer = buffer;
  }

  /**
   * The next window, up to position `end` of the file; shorter where the file is. `before`: the stamps that the parent has
   * of these pages. What it gives is overwritten by the next call.
   */
  async window(at: number, end: number, before: Buffer, signal: AbortSignal): Promise<Window> {
    const { pageBytes } = this.#rules;
    const wanted = this.#buffer.bytes.subarray(0, Math.min(windowBytes, end - at));
    const bytes = wanted.subarray(0, this.#file.read(wanted, at));
    const whole = Math.floor(bytes.length / pageBytes);
    const pages = Math.ceil(bytes.length / pageBytes);
    const stamps = Buffer.alloc(pages * stampBytes);
    // A part of a page at the end has stamp zero and counts as changed; the server takes no notice of it.
    const changed = new Uint8Array(pages).fill(1);
    const suspects = this.#judge({ bytes, stamps, changed }, whole, at, before);
    if (suspects.length > 0) await this.#again(suspects, { bytes, stamps, changed }, at, before, signal);
    return { bytes, stamps, changed };
  }

  /** Gives the pages whose checksum is wrong. */
  #judge(window: Window, pages: number, at: number, before: Buffer): number[] {
    const block = this.#rules.firstBlock + at / this.#rules.pageBytes;
    const sums = this.#buffer.checksums(0, pages, block);
    const suspects: number[] = [];
    for (let page = 0; page < pages; page += 1)
      if (!this.#judgePage(window, page, sums[page] ?? 0, before)) suspects.push(page);
    return suspects;
  }

  /** False when the page is not as the server wrote it. */
  #judgePage({ bytes, stamps, changed }: Window, page: number, sum: number, before: Buffer): boolean {
    const { pageBytes, checksums, start, parentStart } = this.#rules;
    const at = page * pageBytes;
    const lsn = pageLsnWords(bytes, at);
    const checksum = checksums ? storedChecksum(bytes, at) : sum;
    const stampAt = page * stampBytes;
    if (lsn.high === 0 && lsn.low === 0) stamps.fill(0, stampAt, stampAt + stampBytes);
    else writeStamp(stamps, stampAt, lsn.high, lsn.low, checksum);
    const isParents = parentStart !== null && isParentsPage(stamps, before, stampAt, lsn, parentStart);
    changed[page] = isParents ? 0 : 1;
    if (!checksums || !isBelow(lsn.high, lsn.low, start)) return true;
    if (isNewPage(bytes, at)) return isZero(bytes.subarray(at, at + pageBytes));
    return checksum === sum;
  }

  /** Looks again at pages whose checksum is wrong; those that stay so are noted. */
  async #again(
    suspects: readonly number[],
    window: Window,
    at: number,
    before: Buffer,
    signal: AbortSignal,
  ): Promise<void> {
    let rest = suspects;
    for (let attempt = 1; this.#file.isLive && attempt <= attempts; attempt += 1) {
      rest = rest.filter((page) => !this.#isWholeNow(page, window, at, before));
      // A disk that has lost so many pages is not waited for.
      if (rest.length === 0 || this.badCount >= mostListed) break;
      await delay(pauseMs, undefined, { signal });
    }
    for (const page of rest)
      this.#note(page, this.#rules.firstBlock + at / this.#rules.pageBytes + page, window);
  }

  #isWholeNow(page: number, window: Window, at: number, before: Buffer): boolean {
    const { pageBytes, firstBlock } = this.#rules;
    const block = firstBlock + at / pageBytes + page;
    const bytes = window.bytes.subarray(page * pageBytes, (page + 1) * pageBytes);
    // Cut off meanwhile: what was read may stay, recovery cuts it off as well.
    if (this.#file.read(bytes, at + page * pageBytes) < bytes.length) {
      window.stamps.fill(0, page * stampBytes, (page + 1) * stampBytes);
      window.changed[page] = 1;
      return true;
    }
    const [sum = 0] = this.#buffer.checksums(page, 1, block);
    return this.#judgePage(window, page, sum, before);
  }

  #note(page: number, block: number, { bytes, stamps, changed }: Window): void {
    this.badCount += 1;
    const reason = isNewPage(bytes, page * this.#rules.pageBytes) ? notEmpty : wrongChecksum;
    const kept = changed[page] === 0 ? '; the backup has it as it was before' : '';
    if (this.bad.length < mostListed) this.bad.push({ block, reason: `${reason}${kept}` });
    // The next backup looks at it again.
    if (changed[page] === 1) stamps.fill(0, page * stampBytes, (page + 1) * stampBytes);
  }
}

/** So many bad pages of a file are named. */
const mostListed = 100;

function isZero(bytes: Uint8Array): boolean {
  return bytes.every((byte) => byte === 0);
}
