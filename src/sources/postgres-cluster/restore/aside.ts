import { basename, dirname, join } from 'node:path';
import { tookName } from '../../took-name.ts';
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
