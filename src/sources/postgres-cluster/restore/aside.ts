import { mkdir, rename, rmdir } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { flushDirectory } from './flush.ts';

const mark = '.holdfast-replaced-';
/** Names have at most 255 bytes. */
const nameBytes = 255 - 48;

/** Gives a directory another name beside its own, which nothing has, and answers with it. Durable when it resolves. */
export async function moveAside(path: string, nowMs: number): Promise<string> {
  const time = new Date(nowMs).toISOString().replaceAll(/[-:]|\.\d+/g, '');
  const name = Buffer.from(basename(path)).subarray(0, nameBytes).toString().replaceAll('\uFFFD', '');
  for (let count = 1; ; count += 1) {
    const aside = join(dirname(path), `${name}${mark}${time}${count === 1 ? '' : `-${count}`}`);
    if (!(await tookName(path, aside))) continue;
    await flushDirectory(dirname(path));
    return aside;
  }
}

/** By way of an empty directory, for a rename over one that is empty loses nothing, and others it refuses. */
async function tookName(from: string, name: string): Promise<boolean> {
  try {
    await mkdir(name, { mode: 0o700 });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  }
  try {
    await rename(from, name);
    return true;
  } catch (error) {
    await rmdir(name).catch(() => undefined);
    if (['ENOTEMPTY', 'EEXIST'].includes((error as NodeJS.ErrnoException).code ?? '')) return false;
    throw error;
  }
}
