import { lstat, readdir, readFile } from 'node:fs/promises';
import { withSlash } from './location.ts';
import { isThere } from './remove.ts';

const mountinfo = '/proc/self/mountinfo';

/** Paths, byte for byte as latin1; undefined where the system does not tell. */
export type MountPoints = ReadonlySet<string> | undefined;

/** Where something is mounted at or below `path`, also from the same file system, which `stat` does not show. */
export async function mountPoints(path: string, table = mountinfo): Promise<MountPoints> {
  const text = await readFile(table, 'latin1').catch(() => undefined);
  if (text === undefined) return undefined;
  const points = text.split('\n').map((line) => unescaped(line.split(' ')[4] ?? ''));
  return new Set(points.filter((point) => isWithin(Buffer.from(path), point)));
}

export function isMountPoint(path: Buffer, points: MountPoints): boolean {
  return points?.has(path.toString('latin1')) === true;
}

function isWithin(path: Buffer, point: string): boolean {
  return point === path.toString('latin1') || point.startsWith(withSlash(path).toString('latin1'));
}

function unescaped(point: string): string {
  return point.replaceAll(/\\([0-7]{3})/g, (_, octal: string) =>
    String.fromCodePoint(Number.parseInt(octal, 8)),
  );
}

/** Something mounted at `path` or below; undefined when nothing is. `points`: those of a directory above it. */
export async function mountWithin(path: Buffer, points: MountPoints): Promise<Buffer | undefined> {
  if (points === undefined) return await otherDevice(path, (await lstat(parentOf(path))).dev);
  for (const point of points) {
    if (!isWithin(path, point)) continue;
    const found = Buffer.from(point, 'latin1');
    // The table has also what something else is mounted over by now, and nobody reaches.
    if (await isThere(found).catch(() => true)) return found;
  }
  return undefined;
}

/** What is on another device than its directory. Looks at everything below. */
async function otherDevice(path: Buffer, device: number): Promise<Buffer | undefined> {
  const info = await lstat(path);
  if (info.dev !== device) return path;
  if (!info.isDirectory()) return undefined;
  for (const name of await readdir(path, { encoding: 'buffer' })) {
    const found = await otherDevice(Buffer.concat([withSlash(path), name]), device);
    if (found !== undefined) return found;
  }
  return undefined;
}

function parentOf(path: Buffer): Buffer {
  return path.subarray(0, Math.max(1, path.lastIndexOf('/')));
}
