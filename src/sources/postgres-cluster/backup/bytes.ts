import { readSync } from 'node:fs';

/** The bytes of a file, wherever they are. */
export interface FileBytes {
  /** Reads as much as there is from `position` on; gives how much. */
  read(into: Uint8Array, position: number): number;
  /** Whether what is read again may have changed: a page seen half written is whole a moment later. */
  readonly isLive: boolean;
}

export function bytesOfFile(handle: number): FileBytes {
  return { read: (into, position) => readFully(handle, into, position), isLive: true };
}

/** Of bytes that are here; there is no more to be had. */
export function bytesAtHand(bytes: Uint8Array): FileBytes {
  const read = (into: Uint8Array, position: number): number => {
    const part = bytes.subarray(position, position + into.length);
    into.set(part);
    return part.length;
  };
  return { read, isLive: false };
}

/** Reads as much as there is; gives how much. */
export function readFully(file: number, into: Uint8Array, position: number): number {
  let length = 0;
  while (length < into.length) {
    const got = readSync(file, into, length, into.length - length, position + length);
    if (got === 0) break;
    length += got;
  }
  return length;
}
