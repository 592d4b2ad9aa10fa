import { closeSync, constants, fchmodSync, fsync, futimesSync, openSync, read } from 'node:fs';
import { promisify } from 'node:util';
import { crc32 } from 'node:zlib';
import { failure } from '../../../kernel/errors/failure.ts';
import type { TaskContext } from '../../../pipeline/task.ts';
import { writing } from './failure.ts';
import { locationOf, shownLocation } from './location.ts';
import { finish, giveTo, type Restored, timeOf } from './write-task.ts';

export interface FileToFinish extends Restored {
  /** Its owner is who it should be. */
  readonly given: boolean;
  /** What it must read back as; null when that is not to be looked at. */
  readonly content: { readonly sizeBytes: number; readonly crc32: number } | null;
}

export interface FinishInput {
  /** Each is made durable here; otherwise somebody does it for all of them. */
  readonly flush: boolean;
  readonly base: string;
  readonly shown: string;
  readonly files: readonly FileToFinish[];
}

export interface SealInput {
  readonly flush: boolean;
  readonly base: string;
  readonly shown: string;
  /** Each after everything that is in it. */
  readonly directories: readonly DirectoryToSeal[];
}

export interface DirectoryToSeal extends Restored {
  /** Its time is set already. */
  readonly timeIsSet: boolean;
}

export interface SealOutput {
  readonly notGiven: readonly string[];
}

const flush = promisify(fsync);
const readPiece = promisify(read);
const pieceBytes = 1024 * 1024;

/** Reads files back that were written elsewhere, gives them their rights and time, and makes them durable if that is asked. */
export async function finishFiles(input: FinishInput, context: TaskContext): Promise<null> {
  for (const file of input.files) {
    context.signal.throwIfAborted();
    const shown = shownLocation(input.shown, file.path);
    await writing(shown, async () => {
      const fd = openSync(locationOf(input.base, file.path), constants.O_RDWR | constants.O_NOFOLLOW);
      try {
        if (file.content !== null) await compare(fd, file.content, shown, context.signal);
        finish(fd, file, file.given);
        if (input.flush) await flush(fd);
      } finally {
        closeSync(fd);
      }
    });
  }
  return null;
}

async function compare(
  fd: number,
  expected: { readonly sizeBytes: number; readonly crc32: number },
  shown: string,
  signal: AbortSignal,
): Promise<void> {
  const piece = Buffer.allocUnsafe(pieceBytes);
  let sum = 0;
  let at = 0;
  for (;;) {
    signal.throwIfAborted();
    const { bytesRead } = await readPiece(fd, piece, 0, piece.length, at);
    if (bytesRead === 0) break;
    sum = crc32(piece.subarray(0, bytesRead), sum);
    at += bytesRead;
  }
  if (at !== expected.sizeBytes)
    throw failure('restore_differs', {
      path: shown,
      reason: `it has ${at} bytes instead of ${expected.sizeBytes}`,
    });
  if (sum !== expected.crc32)
    throw failure('restore_differs', { path: shown, reason: 'its content is another' });
}

/** Gives directories what they are, once everything is in them, and makes their names durable. */
export async function sealDirectories(input: SealInput, context: TaskContext): Promise<SealOutput> {
  context.signal.throwIfAborted();
  const notGiven: string[] = [];
  const open: number[] = [];
  try {
    for (const directory of input.directories) {
      await writing(shownLocation(input.shown, directory.path), async () => {
        const flags = constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW;
        const fd = openSync(locationOf(input.base, directory.path), flags);
        open.push(fd);
        if (!giveTo(fd, directory)) notGiven.push(directory.path);
        fchmodSync(fd, directory.mode);
        const time = timeOf(directory.mtime);
        if (!directory.timeIsSet) futimesSync(fd, time, time);
      });
    }
    await writing(input.shown, async () => {
      if (input.flush) for (const fd of open) await flushDirectory(fd);
    });
  } finally {
    for (const fd of open) closeSync(fd);
  }
  return { notGiven };
}

/** Not every file system knows how to flush a directory; those keep names durable by themselves or not at all. */
export async function flushDirectory(fd: number): Promise<void> {
  try {
    await flush(fd);
  } catch (error) {
    const { code = '' } = error as NodeJS.ErrnoException;
    if (code !== 'EINVAL' && code !== 'ENOTSUP') throw error;
  }
}
