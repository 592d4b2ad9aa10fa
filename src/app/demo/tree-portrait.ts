import { createHash, hash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { lstat, readdir, readlink } from 'node:fs/promises';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';

/** What lies in a directory, told by the file system itself: nothing of Holdfast is asked. */
export interface TreePortrait {
  /** Type, mode, time of modification and target of a link, by path; `.` for the directory itself. */
  readonly paths: ReadonlyMap<string, string>;
  /** SHA-256 of each file, by path. */
  readonly contents: ReadonlyMap<string, string>;
  readonly size: TreeSize;
}

export interface TreeSize {
  readonly files: number;
  readonly directories: number;
  readonly links: number;
  readonly bytes: number;
}

/** Of a directory that is not there, an empty one. */
export async function takeTreePortrait(root: string, signal: AbortSignal): Promise<TreePortrait> {
  const paths = new Map<string, string>();
  const contents = new Map<string, string>();
  const size = { files: 0, directories: 0, links: 0, bytes: 0 };
  const visit = async (path: string): Promise<void> => {
    signal.throwIfAborted();
    const file = join(root, path);
    const stats = await lstat(file, { bigint: true });
    const mode = (stats.mode & 0o7777n).toString(8).padStart(4, '0');
    const say = (type: string, more = ''): unknown =>
      paths.set(path, `${type} ${mode} ${instant(stats.mtimeNs)}${more}`);
    if (stats.isDirectory()) {
      size.directories += 1;
      say('directory');
      for (const name of (await readdir(file)).toSorted()) await visit(join(path, name));
    } else if (stats.isSymbolicLink()) {
      size.links += 1;
      say('link', ` to ${await readlink(file)}`);
    } else {
      size.files += 1;
      size.bytes += Number(stats.size);
      say(stats.isFile() ? 'file' : 'something else');
      contents.set(path, await digest(file, signal));
    }
  };
  await visit('.').catch((error: unknown) => {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT' || paths.size > 0) throw error;
  });
  return { paths, contents, size };
}

/** One for all of it: of every path with everything that is known of it. */
export function treeFingerprint({ paths, contents }: TreePortrait): string {
  const lines = paths.entries().map(([path, said]) => `${path}\0${said}\0${contents.get(path) ?? ''}\n`);
  return hash('sha256', [...lines].join('')).slice(0, 16);
}

async function digest(file: string, signal: AbortSignal): Promise<string> {
  const sha256 = createHash('sha256');
  await pipeline(createReadStream(file), sha256, { signal });
  return sha256.digest('hex');
}

/** To the nanosecond. */
function instant(ns: bigint): string {
  const second = 1_000_000_000n;
  const fraction = String(ns % second).padStart(9, '0');
  return `${new Date(Number(ns / second) * 1000).toISOString().slice(0, 19)}.${fraction}Z`;
}
