import { pathBytes } from '../../../kernel/byte-path.ts';
import { Semaphore } from '../../../kernel/queue.ts';
import type { BackupContext } from '../../port.ts';
import type { PosixHelper } from '../posix-helper.ts';
import { readTask, type ReadResult } from './read-task.ts';
import { placeOf, type Slot, type Unit } from './units.ts';

/** One task reads so many files or bytes, and at least one file. */
const filesInTask = 512;
const bytesInTask = 8 * 1024 * 1024;

/** Has the files of units read by tasks, a few at once, and extended attributes by the helper. */
export class UnitReader {
  readonly #context: BackupContext;
  readonly #signal: AbortSignal;
  readonly #helper: PosixHelper | null;
  readonly #now: () => number;
  readonly #places: Semaphore;
  #expected = 0;
  #read = 0;

  /** `now`: milliseconds since 1970. */
  constructor(context: BackupContext, signal: AbortSignal, helper: PosixHelper | null, now: () => number) {
    this.#context = context;
    this.#signal = signal;
    this.#helper = helper;
    this.#now = now;
    // One more than can run, so that no worker waits for the main thread.
    this.#places = new Semaphore(context.jobs + 1);
  }

  async read(unit: Unit): Promise<Unit> {
    const wanted = unit.slots.filter(({ how }) => how === 'read');
    const lots = shareOut(wanted);
    this.#expect(wanted.reduce((sum, { found }) => sum + sizeOf(found), 0));
    await Promise.all(lots.map((slots) => this.#readLot(unit, slots)));
    await this.#readXattrs(unit, unit.slots.filter(needsXattrs));
    return unit;
  }

  /** Reads one file that it was not foreseen to read. */
  async readNow(unit: Unit, slot: Slot): Promise<void> {
    this.#expect(sizeOf(slot.found));
    await this.#readLot(unit, [slot]);
    if (needsXattrs(slot)) await this.#readXattrs(unit, [slot]);
  }

  async #readLot(unit: Unit, slots: readonly Slot[]): Promise<void> {
    using _place = await this.#places.acquire(this.#signal);
    const paths = slots.map(({ found }) => placeOf(unit.root, found.path));
    const options = { signal: this.#signal, onProgress: (bytes: number) => this.#advance(bytes) };
    const results: readonly ReadResult[] = await this.#context.run(
      readTask,
      { paths, nowMs: this.#now() },
      options,
    );
    for (const [index, slot] of slots.entries()) {
      const result = results[index];
      if (result === undefined) throw new Error('a file was forgotten');
      slot.result = result;
    }
  }

  /** After the content: what changes in between is seen by the next backup, for its time of change is newer. */
  async #readXattrs(unit: Unit, slots: readonly Slot[]): Promise<void> {
    if (this.#helper === null || slots.length === 0) return;
    const paths = slots.map(({ found }) => pathBytes(placeOf(unit.root, found.path)));
    for (const [index, xattrs] of (await this.#helper.xattrs(paths)).entries()) {
      const slot = slots[index];
      if (slot === undefined) continue;
      if (typeof xattrs !== 'string') slot.xattrs = xattrs;
      else if (!goneErrors.has(xattrs)) slot.xattrsError = xattrs;
    }
  }

  #expect(bytes: number): void {
    if (bytes === 0) return;
    this.#expected += bytes;
    this.#context.progress.total(bytes);
  }

  /** Files grow, and what changes is read again. */
  #advance(bytes: number): void {
    this.#read += bytes;
    if (this.#read > this.#expected) this.#expect(this.#read - this.#expected);
    this.#context.progress.advance(bytes);
  }
}

const goneErrors: ReadonlySet<string> = new Set(['ENOENT', 'ENOTDIR']);

function needsXattrs({ how, known, result }: Slot): boolean {
  if (how === 'known') return known?.xattrs === undefined;
  return how === 'seen' || result?.what === 'read';
}

function sizeOf(found: Slot['found']): number {
  return found.kind === 'file' ? found.size : 0;
}

function shareOut(slots: readonly Slot[]): Slot[][] {
  const lots: Slot[][] = [];
  let lot: Slot[] = [];
  let bytes = 0;
  for (const slot of slots) {
    const size = sizeOf(slot.found);
    if (lot.length > 0 && (lot.length >= filesInTask || bytes + size > bytesInTask)) {
      lots.push(lot);
      lot = [];
      bytes = 0;
    }
    lot.push(slot);
    bytes += size;
  }
  if (lot.length > 0) lots.push(lot);
  return lots;
}
