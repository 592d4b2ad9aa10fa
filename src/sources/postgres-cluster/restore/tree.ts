import type { Dirent } from 'node:fs';
import { readdir, stat } from 'node:fs/promises';
import { pathText } from '../../../kernel/byte-path.ts';
import { locationOf } from './layout.ts';

/** Something that is in a directory, by the path an entry would have. */
export interface Local {
  readonly path: string;
  readonly kind: 'file' | 'directory' | 'link' | 'other';
  /** Of the directory it was found below, as the system takes it. */
  readonly location: string | Buffer;
}

/**
 * All that is below a directory: what is in a directory comes after it. Symbolic links are told and not followed, but for
 * `pg_wal`, which may be one and is told as a directory. `prefix`: of the paths, empty or ending in a slash.
 */
export async function* localTree(
  base: string,
  prefix: string,
  below = '',
): AsyncGenerator<Local, void, void> {
  const directory = below === '' ? base : locationOf(base, below);
  for (const entry of await readdir(directory, { withFileTypes: true, encoding: 'buffer' })) {
    const relative = `${below === '' ? '' : `${below}/`}${pathText(entry.name)}`;
    const location = locationOf(base, relative);
    let kind = kindOf(entry);
    const path = `${prefix}${relative}`;
    if (
      path === 'pg_wal' &&
      kind === 'link' &&
      (await stat(location).catch(() => null))?.isDirectory() === true
    )
      kind = 'directory';
    // Of the file system, and nobody's to read.
    if (path === 'lost+found') continue;
    yield { path, kind, location };
    if (kind === 'directory') yield* localTree(base, prefix, relative);
  }
}

function kindOf(entry: Dirent<Buffer>): Local['kind'] {
  if (entry.isFile()) return 'file';
  if (entry.isDirectory()) return 'directory';
  return entry.isSymbolicLink() ? 'link' : 'other';
}

export const tablespaceLink = /^pg_tblspc\/[1-9]\d{0,9}$/;
