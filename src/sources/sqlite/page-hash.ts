import { hash } from 'node:crypto';
import { readSync } from 'node:fs';
import { hashBytes } from './metadata.ts';

/** The file is shorter than it was, or has lost its header: it is being changed. */
export const fileChanged = 'the file changed while it was read';

/** The hashes of pages that follow each other. */
export function pageHashes(bytes: Uint8Array, pageBytes: number): Buffer {
  const hashes = Buffer.allocUnsafe(Math.ceil(bytes.length / pageBytes) * hashBytes);
  for (let at = 0, to = 0; at < bytes.length; at += pageBytes, to += hashBytes)
    pageHash(bytes.subarray(at, at + pageBytes)).copy(hashes, to, 0, hashBytes);
  return hashes;
}

/** Its first `hashBytes` bytes count. */
export function pageHash(page: Uint8Array): Buffer {
  return hash('sha256', page, 'buffer');
}

/** Reads all of `into`. */
export function fill(handle: number, into: Uint8Array, position: number): void {
  for (let at = 0; at < into.length;) {
    const got = readSync(handle, into, at, into.length - at, position + at);
    if (got === 0) throw new Error(fileChanged);
    at += got;
  }
}
