import { createHash } from 'node:crypto';
import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import { walPageBytes } from './header.ts';

const headerBytes = 32;
const frameHeaderBytes = 24;
/** Of 4 KiB pages 64 MiB; SQLite moves a log into its database at 1000, unless somebody reads for long. */
const framesAtMost = 16_384;

/**
 * What a write-ahead log says of its content: a hash of its header and of those of all its frames, for each of these
 * holds a checksum of all before it and salts that are new whenever the log is begun anew. Null when it is gone, too
 * large or not to be read.
 *
 * SQLite has its locks on the database and the `-shm`: opening and closing the log lets go of none.
 */
export function walMark(log: string): string | null {
  let handle: number;
  try {
    handle = openSync(log, 'r');
  } catch {
    return null;
  }
  try {
    const hash = createHash('sha256');
    const header = Buffer.alloc(headerBytes);
    const got = readSync(handle, header, 0, headerBytes, 0);
    hash.update(header.subarray(0, got));
    const pageBytes = walPageBytes(header.subarray(0, got));
    // What does not begin as a log is nothing to SQLite, however long.
    if (pageBytes === null) return hash.digest('hex');
    const frameBytes = frameHeaderBytes + pageBytes;
    const frames = Math.floor((fstatSync(handle).size - headerBytes) / frameBytes);
    if (frames > framesAtMost) return null;
    const frame = Buffer.alloc(frameHeaderBytes);
    for (let index = 0; index < frames; index += 1) {
      readSync(handle, frame, 0, frameHeaderBytes, headerBytes + index * frameBytes);
      hash.update(frame);
    }
    return hash.digest('hex');
  } finally {
    closeSync(handle);
  }
}
