import { stat, statfs } from 'node:fs/promises';
import { failure } from '../../../kernel/errors/failure.ts';
import { nearestDirectory } from './target.ts';

/** What will be written somewhere. */
export interface Need {
  /** Absolute; need not be there yet. */
  readonly place: string;
  readonly bytes: number;
  /** Files and directories. */
  readonly names: number;
}

/** Throws `cluster_no_room` when a file system has too little room for all that goes to it. */
export async function checkRoom(needs: readonly Need[]): Promise<void> {
  const byDevice = new Map<number, { place: string; at: string; bytes: number; names: number }>();
  for (const { place, bytes, names } of needs) {
    const at = await nearestDirectory(place);
    const { dev } = await stat(at);
    const sum = byDevice.get(dev) ?? { place, at, bytes: 0, names: 0 };
    byDevice.set(dev, { ...sum, bytes: sum.bytes + bytes, names: sum.names + names });
  }
  for (const { place, at, bytes, names } of byDevice.values()) {
    const { bavail, bfree, bsize, files, ffree } = await statfs(at);
    const free = (process.geteuid?.() === 0 ? bfree : bavail) * bsize;
    if (bytes > free) throw failure('cluster_no_room', { place, needed: bytes, free });
    if (files > 0 && names > ffree)
      throw failure('cluster_no_room', { place, needed: `${names} files and`, free: `${ffree} files` });
  }
}
