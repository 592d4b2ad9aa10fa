import type { BigIntStats } from 'node:fs';

/**
 * What tells a file with several names from every other; undefined when it has one. An inode may get another file while
 * a walk goes on; the time it was made tells.
 */
export function sharedId({ nlink, dev, ino, birthtimeNs }: BigIntStats): string | undefined {
  return nlink > 1n ? `${dev}:${ino}:${birthtimeNs}` : undefined;
}

/** Whether a file has holes. Small differences are the file system's way of storing small files. */
export function hasHoles({ size, blocks }: BigIntStats): boolean {
  return size - blocks * 512n >= 4096n;
}
