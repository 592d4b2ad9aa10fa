import {
  closeSync,
  constants,
  fchmodSync,
  fchownSync,
  fsync,
  ftruncateSync,
  futimesSync,
  lchownSync,
  lutimesSync,
  openSync,
  readSync,
  symlinkSync,
  writeSync,
} from 'node:fs';
import { promisify } from 'node:util';
import { pathBytes } from '../../../kernel/byte-path.ts';
import { failure } from '../../../kernel/errors/failure.ts';
import { release } from '../../../kernel/release.ts';
import type { TaskContext } from '../../../pipeline/task.ts';
import { writeFailure } from './failure.ts';
import { locationOf, shownLocation } from './location.ts';
import { type Given, rightsBits } from './owner.ts';
import { rangesToWrite } from './sparse.ts';

export interface Restored extends Given {
  /** As entries write it. */
  readonly path: string;
  /** Nanoseconds since 1970. */
  readonly mtime: string;
}

export interface WholeFile extends Restored {
  readonly sizeBytes: number;
  readonly sparse: boolean;
  /** Something is still to be done to it that ends with `finishFiles`: it stays private and is not flushed. */
  readonly unfinished: boolean;
}

export interface Link extends Restored {
  readonly target: string;
}

export interface WriteInput {
  /** Where to write, and what to call that place in errors. */
  readonly base: string;
  readonly shown: string;
  readonly files: readonly WholeFile[];
  readonly links: readonly Link[];
  /** What is in each file; released here. */
  readonly contents: readonly Uint8Array[];
  readonly check: boolean;
  /** Files are made durable here; otherwise somebody does it for all of them. */
  readonly flush: boolean;
}

export interface WriteOutput {
  /** What could not be given to its owner. */
  readonly notGiven: readonly string[];
}

/** So many files are open at once, and flushed together. */
const filesAtOnce = 64;
/** What is read back lies here, a piece at a time. */
const found = Buffer.allocUnsafeSlow(256 * 1024);
const flush = promisify(fsync);
const newFile = constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW | constants.O_RDWR;

/** Writes small files and symbolic links with all they are but exact times and extended attributes. */
export async function writeFiles(input: WriteInput, context: TaskContext): Promise<WriteOutput> {
  const notGiven: string[] = [];
  for (const link of input.links) if (!makeLink(link, input)) notGiven.push(link.path);
  for (let from = 0; from < input.files.length; from += filesAtOnce) {
    context.signal.throwIfAborted();
    const open: { readonly file: WholeFile; readonly fd: number }[] = [];
    try {
      for (const [index, file] of input.files.slice(from, from + filesAtOnce).entries()) {
        const content = input.contents[from + index] ?? new Uint8Array(0);
        attempt(file, input, () => {
          const fd = openSync(locationOf(input.base, file.path), newFile, 0o600);
          open.push({ file, fd });
          writeContent(fd, content, file.sparse);
          if (input.check) compareContent(fd, content, shownLocation(input.shown, file.path));
          const given = giveTo(fd, file);
          if (!given) notGiven.push(file.path);
          if (!file.unfinished) finish(fd, file, given);
        });
        context.progress(file.sizeBytes);
      }
      if (input.flush)
        await flushAll(
          open.filter(({ file }) => !file.unfinished),
          input,
        );
    } finally {
      for (const { fd } of open) closeSync(fd);
    }
  }
  for (const content of input.contents) release(content);
  return { notGiven };
}

async function flushAll(
  open: readonly { readonly file: Restored; readonly fd: number }[],
  input: { readonly shown: string },
): Promise<void> {
  // All have to be done with before one that failed may end this: the numbers of files are used again.
  const flushed = await Promise.allSettled(open.map(({ fd }) => flush(fd)));
  flushed.forEach((result, index) => {
    if (result.status === 'rejected')
      throw writeFailure(shownLocation(input.shown, open[index]?.file.path ?? '.'), result.reason);
  });
}

function attempt<T>(what: { readonly path: string }, input: { readonly shown: string }, work: () => T): T {
  try {
    return work();
  } catch (error) {
    throw writeFailure(shownLocation(input.shown, what.path), error);
  }
}

function makeLink(link: Link, input: WriteInput): boolean {
  return attempt(link, input, () => {
    const location = locationOf(input.base, link.path);
    symlinkSync(pathBytes(link.target), location);
    const given = changeOwner(link, () => lchownSync(location, link.uid, link.gid));
    const time = timeOf(link.mtime);
    lutimesSync(location, time, time);
    return given;
  });
}

function writeContent(fd: number, content: Uint8Array, sparse: boolean): void {
  for (const { from, to } of rangesToWrite(content, 0, sparse))
    for (let at = from; at < to;) at += writeSync(fd, content, at, to - at, at);
  if (sparse) ftruncateSync(fd, content.length);
}

/** Throws `restore_differs` unless the file holds exactly this. */
export function compareContent(fd: number, content: Uint8Array, shown: string): void {
  let length = 0;
  let same = true;
  for (let read = 1; read > 0; length += read) {
    read = readSync(fd, found, 0, found.length, length);
    same &&= found.subarray(0, read).equals(content.subarray(length, length + read));
  }
  if (same && length === content.length) return;
  const reason =
    length === content.length
      ? 'its content is another'
      : `it has ${length} bytes instead of ${content.length}`;
  throw failure('restore_differs', { path: shown, reason });
}

/** Whether the owner is who it should be. */
export function giveTo(fd: number, given: Given): boolean {
  return changeOwner(given, () => fchownSync(fd, given.uid, given.gid));
}

/** Root of a container cannot give files to users that are not in it. */
function changeOwner({ uid, gid }: Given, change: () => void): boolean {
  if (uid === -1 && gid === -1) return true;
  try {
    change();
    return true;
  } catch (error) {
    const { code = '' } = error as NodeJS.ErrnoException;
    if (['EPERM', 'EINVAL', 'ENOTSUP'].includes(code)) return false;
    throw error;
  }
}

/** Rights last: what comes before would take some of them away. Then the time, which nothing changes any more. */
export function finish(fd: number, file: Restored, given: boolean): void {
  fchmodSync(fd, given ? file.mode : file.mode & ~rightsBits);
  const time = timeOf(file.mtime);
  futimesSync(fd, time, time);
}

/** As exact as a double is, about a quarter of a microsecond. Times before 1970 have to be dates for Node. */
export function timeOf(mtimeNs: string): number | Date {
  const seconds = Number(mtimeNs) / 1e9;
  return seconds < 0 ? new Date(Math.floor(seconds * 1000)) : seconds;
}
