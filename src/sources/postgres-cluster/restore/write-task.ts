import {
  closeSync,
  constants,
  fchmodSync,
  fchownSync,
  fstatSync,
  fsync,
  openSync,
  readSync,
  unlinkSync,
  writeSync,
} from 'node:fs';
import { promisify } from 'node:util';
import { siblingModule } from '../../../kernel/module-url.ts';
import { release } from '../../../kernel/release.ts';
import type { TaskContext, TaskModule } from '../../../pipeline/task.ts';
import type { Spot } from './areas.ts';
import { writeFailure } from './failure.ts';
import { locationOf } from './layout.ts';
import type { FileOwner } from './options.ts';

export interface FileToWrite extends Spot {
  readonly mode: number;
}

export interface WriteInput {
  readonly target: string;
  readonly files: readonly FileToWrite[];
  /** What is in each file; released here. */
  readonly contents: readonly Uint8Array[];
  /** Null: whoever runs this. */
  readonly owner: FileOwner | null;
  /** There may be files already: those that are right stay, others make way. */
  readonly compare: boolean;
}

export interface WriteOutput {
  /** Bytes. */
  readonly written: number;
  /** Files that were right. */
  readonly kept: number;
}

export const writeTask: TaskModule<WriteInput, WriteOutput> = {
  url: siblingModule(import.meta.url, './write-task.ts'),
  exportName: 'writeFiles',
};

/** So many files are open at once, and flushed together. */
const filesAtOnce = 64;
/** What is there already is read here, a piece at a time. */
const found = Buffer.allocUnsafeSlow(256 * 1024);
const flush = promisify(fsync);
const { O_CREAT, O_EXCL, O_NOFOLLOW, O_WRONLY, O_RDONLY, O_NONBLOCK } = constants;

/** Writes small files whole, and makes them durable. */
export async function writeFiles(input: WriteInput, context: TaskContext): Promise<WriteOutput> {
  const output = { written: 0, kept: 0 };
  for (let from = 0; from < input.files.length; from += filesAtOnce) {
    context.signal.throwIfAborted();
    const open: { readonly file: FileToWrite; readonly fd: number }[] = [];
    try {
      for (const [index, file] of input.files.slice(from, from + filesAtOnce).entries())
        attempt(file, input, () => {
          const fd = putFile(file, input.contents[from + index] ?? new Uint8Array(0), input.compare, output);
          open.push({ file, fd });
          giveFile(fd, file.mode, input.owner);
        });
      await flushAll(open, input);
    } finally {
      for (const { fd } of open) closeSync(fd);
    }
  }
  for (const content of input.contents) release(content);
  return output;
}

function attempt(file: FileToWrite, { target }: WriteInput, work: () => void): void {
  try {
    work();
  } catch (error) {
    throw writeFailure(file.shown, error, target);
  }
}

function putFile(
  file: FileToWrite,
  content: Uint8Array,
  compare: boolean,
  output: { written: number; kept: number },
): number {
  const location = locationOf(file.base, file.relative);
  if (compare) {
    const fd = openSame(location, content);
    if (fd !== null) {
      output.kept += 1;
      return fd;
    }
  }
  const fd = openSync(location, O_CREAT | O_EXCL | O_NOFOLLOW | O_WRONLY, 0o600);
  try {
    for (let at = 0; at < content.length;) at += writeSync(fd, content, at);
  } catch (error) {
    closeSync(fd);
    throw error;
  }
  output.written += content.length;
  return fd;
}

/** Opens a file that is what it should be; makes way for it else, and gives null. */
function openSame(location: string | Buffer, content: Uint8Array): number | null {
  const fd = openExisting(location);
  if (fd === null) return null;
  let same = false;
  try {
    const info = fstatSync(fd);
    same = info.isFile() && info.nlink === 1 && info.size === content.length && holds(fd, content);
  } finally {
    if (!same) closeSync(fd);
  }
  if (same) return fd;
  unlinkSync(location);
  return null;
}

/** Null when there is none. A symbolic link is taken away: it leads to nothing of ours. */
export function openExisting(location: string | Buffer): number | null {
  try {
    return openSync(location, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ELOOP') unlinkSync(location);
    else if (code !== 'ENOENT') throw error;
    return null;
  }
}

function holds(fd: number, content: Uint8Array): boolean {
  for (let at = 0; at < content.length;) {
    const read = readSync(fd, found, 0, Math.min(found.length, content.length - at), at);
    if (read === 0 || !found.subarray(0, read).equals(content.subarray(at, at + read))) return false;
    at += read;
  }
  return true;
}

function giveFile(fd: number, mode: number, owner: FileOwner | null): void {
  if (owner !== null) fchownSync(fd, owner.uid, owner.gid);
  fchmodSync(fd, mode);
}

async function flushAll(
  open: readonly { readonly file: FileToWrite; readonly fd: number }[],
  { target }: WriteInput,
): Promise<void> {
  // All have to be done with before one that failed may end this: the numbers of files are used again.
  const flushed = await Promise.allSettled(open.map(({ fd }) => flush(fd)));
  flushed.forEach((result, index) => {
    if (result.status === 'rejected')
      throw writeFailure(open[index]?.file.shown ?? target, result.reason, target);
  });
}
