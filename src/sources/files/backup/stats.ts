import type { BigIntStats } from 'node:fs';

/** Whether a file has holes. Small differences are the file system's way of storing small files. */
export function hasHoles({ size, blocks }: BigIntStats): boolean {
  return size - blocks * 512n >= 4096n;
}
