import { closeSync, constants, fstatSync, openSync, readSync, type BigIntStats } from 'node:fs';
import { setTimeout } from 'node:timers/promises';
import type { StreamRef } from '../../../contract/stream.ts';
import { pathBytes } from '../../../kernel/byte-path.ts';
import type { TaskContext, TaskModule } from '../../../pipeline/task.ts';
import { Buffers } from './buffers.ts';
import { storeInPieces, storeSparse, wholeBytes } from './store-file.ts';
import { hasHoles, sharedId } from './stats.ts';

export interface ReadInput {
  /** Absolute, as `pathText` writes them. */
  readonly paths: readonly string[];
  /** When it was asked for: milliseconds since 1970. */
  readonly nowMs: number;
}

/** What belongs to the content that was stored: it was so before and after the reading, unless it changed. */
export interface ReadStats {
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly mtime: string;
  readonly ctime: string;
  readonly inode: string;
  /** As `sharedId` says. */
  readonly shared: string | undefined;
}

export type ReadResult =
  | {
      readonly what: 'read';
      readonly stream: StreamRef;
      readonly stats: ReadStats;
      readonly sparse: boolean;
      /** It changed while it was read, each time it was tried, or so shortly before that this cannot be told. */
      readonly changed: boolean;
    }
  | { readonly what: 'vanished' | 'unreadable'; readonly reason: string };

/** Names {@link readFiles} for a worker. */
export const readTask: TaskModule<ReadInput, ReadResult[]> = {
  url: new URL(import.meta.url),
  exportName: 'readFiles',
};

/** A file that changes while it is read is read so often. */
const attempts = 3;
const groupBytes = 2 * 1024 * 1024;
const groupBuffers = new Buffers(groupBytes);
/** How far beyond its size a file is followed that grows while it is read, at least. */
const growthBytes = 64n * 1024n * 1024n;

/**
 * A file whose time of change is younger may be changing still, and that cannot be seen: a system sets the time when a
 * program begins to write, and in steps of some milliseconds.
 */
const restMs = 100;
/** A clock of another machine, or one that was set back, would keep files young for ever. */
const aheadMs = 2000;
/** How often files that are too young are waited for, all together. */
const rests = 2;

/** Stores the contents of files, the small ones together. The results are in the order of the paths. */
export async function readFiles(input: ReadInput, context: TaskContext): Promise<ReadResult[]> {
  const group = new Group(context);
  const results: ReadResult[] = [];
  const startedMs = performance.now();
  const nowMs = (): number => input.nowMs + performance.now() - startedMs;
  let waiting = input.paths.map((path, index): Reading => ({
    path: pathBytes(path),
    tries: 0,
    store: (result) => (results[index] = result),
  }));
  for (let rest = 0; waiting.length > 0; rest += 1) {
    if (rest > 0) await setTimeout(restMs, undefined, { signal: context.signal });
    const young: Reading[] = [];
    for (const reading of waiting) {
      context.signal.throwIfAborted();
      const mayWait = rest < rests;
      if (!(await readOne(reading, group, context, { nowMs, mayWait }))) young.push(reading);
    }
    waiting = young;
  }
  await group.finish();
  return results;
}

interface Reading {
  readonly path: Buffer;
  tries: number;
  readonly store: (result: ReadResult) => void;
}

interface Patience {
  readonly nowMs: () => number;
  /** There will be another time for what is too young. */
  readonly mayWait: boolean;
}

/** False when it is to be tried again later. */
async function readOne(
  reading: Reading,
  group: Group,
  context: TaskContext,
  patience: Patience,
): Promise<boolean> {
  const file = openFile(reading.path);
  if (typeof file !== 'number') {
    reading.store(file);
    return true;
  }
  try {
    return await readOpen(file, reading, group, context, patience);
  } catch (error) {
    const { code, syscall } = error as NodeJS.ErrnoException;
    if (code === undefined || syscall === undefined) throw error;
    reading.store({ what: 'unreadable', reason: code });
    return true;
  } finally {
    closeSync(file);
  }
}

async function readOpen(
  file: number,
  reading: Reading,
  group: Group,
  context: TaskContext,
  { nowMs, mayWait }: Patience,
): Promise<boolean> {
  const { store } = reading;
  for (;;) {
    const before = fstatSync(file, { bigint: true });
    if (!before.isFile()) {
      store({ what: 'vanished', reason: 'replaced' });
      return true;
    }
    const young = isYoung(before, nowMs());
    if (young && mayWait) return false;
    reading.tries += 1;
    const last = reading.tries === attempts;
    const whole = before.size <= wholeBytes && !last;
    const content = whole ? await group.read(file, Number(before.size)) : undefined;
    const stream = whole ? undefined : await storeLarge(file, before, last, context);
    const length = content?.length ?? stream?.size_bytes ?? 0;
    if (content !== undefined) context.progress(length);
    const moved = !isSame(before, fstatSync(file, { bigint: true })) || BigInt(length) !== before.size;
    if (moved && !last) continue;
    const changed = moved || young;
    const read = { what: 'read', stats: readStats(before), sparse: hasHoles(before), changed } as const;
    if (content === undefined) store({ ...read, stream: stream ?? nothing });
    else group.take(content, (stored) => store({ ...read, stream: stored }));
    return true;
  }
}

function isYoung({ ctimeMs }: BigIntStats, nowMs: number): boolean {
  const age = nowMs - Number(ctimeMs);
  return age < restMs && age > -aheadMs;
}

const nothing: StreamRef = { size_bytes: 0, root: null, depth: 0 };

/** Stores one byte more than there should be, if there is one, to see that the file has grown; the last time what there is. */
async function storeLarge(
  file: number,
  stats: BigIntStats,
  last: boolean,
  context: TaskContext,
): Promise<StreamRef> {
  const { size, blocks } = stats;
  if (hasHoles(stats) && blocks * 1024n < size) return await storeSparse(file, Number(size), context);
  const grown = size * 2n > size + growthBytes ? size * 2n : size + growthBytes;
  return await storeInPieces(file, Number(size), Number(last ? grown : size + 1n), context);
}

function isSame(one: BigIntStats, other: BigIntStats): boolean {
  return one.size === other.size && one.mtimeNs === other.mtimeNs && one.ctimeNs === other.ctimeNs;
}

function readStats(stats: BigIntStats): ReadStats {
  const { mode, uid, gid, mtimeNs, ctimeNs, ino } = stats;
  return {
    mode: Number(mode & 0o7777n),
    uid: Number(uid),
    gid: Number(gid),
    mtime: String(mtimeNs),
    ctime: String(ctimeNs),
    inode: String(ino),
    shared: sharedId(stats),
  };
}

/** Opens what should be a file. What has become a pipe meanwhile is not waited for; times of access stay where we may. */
function openFile(path: Buffer): number | Extract<ReadResult, { reason: string }> {
  const { O_RDONLY, O_NOFOLLOW, O_NONBLOCK, O_NOCTTY } = constants;
  // Not there on every system, whatever the types say.
  const quiet = (constants.O_NOATIME as number | undefined) ?? 0;
  const flags = O_RDONLY | O_NOFOLLOW | O_NOCTTY;
  let reason = '';
  // Without a lease's holder being waited for there is EAGAIN; to other people's files O_NOATIME is not permitted.
  for (const more of [O_NONBLOCK | quiet, O_NONBLOCK, 0]) {
    try {
      return openSync(path, flags | more);
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code === undefined) throw error;
      reason = code;
      if (code !== 'EPERM' && code !== 'EAGAIN') break;
    }
  }
  const vanished = ['ENOENT', 'ENOTDIR', 'ELOOP', 'ENXIO'].includes(reason);
  return { what: vanished ? 'vanished' : 'unreadable', reason };
}

interface Waiting {
  readonly content: Buffer;
  readonly stored: (stream: StreamRef) => void;
}

/** Gathers small files and stores them together. While one lot is stored, the next is read into another buffer. */
class Group {
  readonly #context: TaskContext;
  #buffer = groupBuffers.take();
  /** Not while what is in it is stored. */
  #spare: Buffer | undefined = groupBuffers.take();
  #fill = 0;
  #waiting: Waiting[] = [];
  #storing: Promise<void> = Promise.resolve();

  constructor(context: TaskContext) {
    this.#context = context;
  }

  /** The content of a file of `size` bytes, at most `wholeBytes`; one byte more when there is more. */
  async read(file: number, size: number): Promise<Buffer> {
    if (this.#fill + size + 1 > groupBytes) await this.#store();
    const into = this.#buffer.subarray(this.#fill, this.#fill + size + 1);
    let length = 0;
    while (length < into.length) {
      const got = readSync(file, into, length, into.length - length, length);
      length += got;
      if (got === 0 || length === size) break;
    }
    return into.subarray(0, length);
  }

  /** Keeps what was read last to be stored. */
  take(content: Buffer, stored: Waiting['stored']): void {
    this.#fill += content.length;
    this.#waiting.push({ content, stored });
  }

  async finish(): Promise<void> {
    await this.#store();
    await this.#storing;
    groupBuffers.giveBack(this.#buffer);
    if (this.#spare !== undefined) groupBuffers.giveBack(this.#spare);
  }

  async #store(): Promise<void> {
    await this.#storing;
    const waiting = this.#waiting;
    const buffer = this.#buffer;
    this.#waiting = [];
    this.#fill = 0;
    this.#buffer = this.#spare ?? groupBuffers.take();
    this.#spare = undefined;
    this.#storing = this.#storeAll(waiting).then(() => void (this.#spare = buffer));
    this.#storing.catch(() => undefined); // Thrown when it is waited for.
  }

  async #storeAll(waiting: readonly Waiting[]): Promise<void> {
    const streams = await this.#context.storeWhole(waiting.map(({ content }) => content));
    for (const [index, { stored }] of waiting.entries()) stored(streams[index] ?? nothing);
  }
}
