import {
  closeSync,
  fchmodSync,
  fchownSync,
  fstatSync,
  fsyncSync,
  futimesSync,
  linkSync,
  openSync,
  readSync,
  renameSync,
  rmSync,
  writeSync,
  type Stats,
} from 'node:fs';
import { dirname } from 'node:path';

const bufferBytes = 1024 * 1024;
/** Searches for databases pass over it. */
const unfinished = '.holdfast-restoring-copy';

/**
 * Copies a database that is locked, and the log beside it, to `kept`, to the disk and with its owner, rights and time.
 * `main` is open already: the lock is this process's, and closing the file would let go of it.
 */
export function copyOpen(main: number, file: string, kept: string): void {
  const stats = fstatSync(main);
  const log = openIfThere(`${file}-wal`);
  try {
    if (log !== null && fstatSync(log).size > 0) copyTo(log, `${kept}-wal`, stats);
  } finally {
    if (log !== null) closeSync(log);
  }
  copyTo(main, kept, stats);
  syncDirectory(dirname(kept));
}

/** What {@link copyOpen} has made. */
export function removeCopy(kept: string): void {
  for (const ending of ['', '-wal', '-shm', '-journal']) rmSync(kept + ending, { force: true });
}

/** Under another name until it is whole. */
function copyTo(from: number, to: string, like: Stats): void {
  const name = `${to}${unfinished}`;
  const copy = openSync(name, 'wx', 0o600);
  try {
    const buffer = Buffer.allocUnsafeSlow(bufferBytes);
    for (let at = 0; ;) {
      const read = readSync(from, buffer, 0, buffer.length, at);
      if (read === 0) break;
      for (let done = 0; done < read;) done += writeSync(copy, buffer, done, read - done, at + done);
      at += read;
    }
    if (process.geteuid?.() === 0) fchownSync(copy, like.uid, like.gid);
    fchmodSync(copy, like.mode & 0o777);
    futimesSync(copy, like.atimeMs / 1000, like.mtimeMs / 1000);
    fsyncSync(copy);
  } catch (error) {
    rmSync(name, { force: true });
    throw error;
  } finally {
    closeSync(copy);
  }
  giveName(name, to);
}

/** What has come there meanwhile is not written over, where the file system can tell. */
function giveName(from: string, to: string): void {
  try {
    linkSync(from, to);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') throw error;
    renameSync(from, to);
    return;
  }
  rmSync(from);
}

function openIfThere(path: string): number | null {
  try {
    return openSync(path, 'r');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw error;
  }
}

function syncDirectory(directory: string): void {
  const handle = openSync(directory, 'r');
  try {
    fsyncSync(handle);
  } finally {
    closeSync(handle);
  }
}
