import { readFile, realpath, stat } from 'node:fs/promises';
import { basename, dirname, isAbsolute, join, relative } from 'node:path';
import { pathText } from '../../../kernel/byte-path.ts';
import { failure } from '../../../kernel/errors/failure.ts';
import type { BackupContext } from '../../port.ts';
import { configDirectory, entryKinds, type FileMeta } from '../metadata.ts';
import { errnoOf } from './directory.ts';

/** A configuration file is small; what is not, is none. */
const mostBytes = 16 * 1024 * 1024;

/**
 * Stores the configuration files that lie outside the data directory, where distributions put them: a restored cluster
 * needs them. Gives a warning for each that cannot be read, and how many bytes each of the others has.
 */
export async function storeConfigFiles(
  paths: readonly string[],
  dataDirectory: string,
  context: BackupContext,
): Promise<{ readonly warnings: readonly string[]; readonly sizes: readonly number[] }> {
  const warnings: string[] = [];
  const sizes: number[] = [];
  const home = await realpath(dataDirectory);
  const outside = paths.filter((path) => isAbsolute(path) && isOutside(path, [dataDirectory, home]));
  const top = dirname(outside.find((path) => basename(path) === 'postgresql.conf') ?? outside[0] ?? '/');
  const taken = new Set<string>();
  for (const original of outside) {
    try {
      const { size, mode, mtimeNs } = await stat(original, { bigint: true });
      if (size > mostBytes) throw new Error('it is too large for one');
      const bytes = await readFile(original);
      const meta: FileMeta = {
        mtime_ns: String(mtimeNs),
        inode: null,
        mode: Number(mode & 0o7777n),
        original: pathText(Buffer.from(original)),
      };
      const path = `${configDirectory}${pathText(Buffer.from(nameOf(original, top, taken)))}`;
      await addSmallEntry({ path, kind: entryKinds.file, bytes, meta }, context);
      sizes.push(bytes.length);
    } catch (error) {
      context.signal.throwIfAborted();
      warnings.push(unread(original, errnoOf(error)));
    }
  }
  if (paths.length === 0 && !(await isThere(join(dataDirectory, 'postgresql.conf')))) {
    warnings.push(unread('postgresql.conf', 'only members of pg_read_all_settings may ask where it lies'));
  }
  return { warnings, sizes };
}

function unread(path: string, reason: string): string {
  const { code, message } = failure('cluster_config_unreadable', { path, reason });
  return `${code}: ${message}`;
}

async function isThere(path: string): Promise<boolean> {
  return await stat(path).then(
    () => true,
    () => false,
  );
}

function isOutside(path: string, directories: readonly string[]): boolean {
  return directories.every((directory) => !path.startsWith(`${directory}/`));
}

/** Below the directory of `postgresql.conf` as it lies there; else by its name alone. */
function nameOf(path: string, top: string, taken: Set<string>): string {
  const below = relative(top, path);
  const wanted = below.startsWith('..') ? basename(path) : below;
  let name = wanted;
  for (let number = 2; taken.has(name); number += 1) name = `${wanted}.${number}`;
  taken.add(name);
  return name;
}

export interface SmallEntry {
  readonly path: string;
  readonly kind: string;
  readonly bytes: Uint8Array;
  readonly meta: Readonly<Record<string, unknown>>;
}

/** Stores something small from this thread. */
export async function addSmallEntry(entry: SmallEntry, context: BackupContext): Promise<void> {
  const { path, kind, bytes, meta } = entry;
  const writer = context.openStream({ type: 'content', averageBytes: 1_048_576 });
  await writer.write(bytes);
  await context.addEntry({ path, kind, stream: await writer.finish(), meta: { ...meta } });
}
