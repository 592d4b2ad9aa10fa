import { fileURLToPath } from 'node:url';
import { failure } from '../../kernel/errors/failure.ts';
import type { Machine } from '../machine.ts';
import { typedPath } from '../typed-path.ts';
import { describeBackup, titleOf, type Described } from './describe.ts';
import type { RestoreWish } from './kind.ts';

/** A place in the file system that `--to` names. */
export interface PathTarget {
  /** Absolute, without a slash at its end. */
  readonly path: string;
  /** It was written with a slash at its end. */
  readonly directory: boolean;
}

/**
 * Reads `--to` of a restore into files: a path, `~/…` or `file:///…`. Throws `usage` for what is none, and for options
 * that mean something for databases on a server only.
 */
export function pathTarget(
  wish: RestoreWish,
  machine: Pick<Machine, 'cwd' | 'home'>,
  manifest: Described,
): PathTarget {
  // A URL of another host is no path of this one.
  const isHere = /^file:\/\/(?:localhost)?\//i.test(wish.to);
  if (wish.to === '' || (!isHere && /^[a-z][a-z0-9+.-]*:/i.test(wish.to))) {
    const isDatabase = /^postgres(?:ql)?:/i.test(wish.to);
    const named = isDatabase ? 'names a database' : wish.to === '' ? 'is empty' : 'is not a path';
    const other = isDatabase ? '; the backup of a database is named by its source: latest:SOURCE' : '';
    throw failure('usage', {
      reason: `${describeBackup(manifest)}, and --to ${named}`,
      suggestion: `a backup of ${titleOf(manifest)} goes to a directory: --to ./restored${other}`,
    });
  }
  if (wish.globals || !wish.privileges) {
    throw failure('usage', {
      reason: `${wish.globals ? '--globals' : '--no-privileges'} has no meaning here: ${describeBackup(manifest)}`,
      suggestion: 'leave it out',
    });
  }
  const text = isHere ? fileURLToPath(wish.to) : wish.to;
  return { path: typedPath(text, machine), directory: text.endsWith('/') };
}

/** Reads `--only path=…`. Throws `usage` for anything else. */
export function onlyPaths(only: readonly string[], manifest: Described): string[] {
  return only.map((text) => {
    const path = text.startsWith('path=') ? text.slice('path='.length) : '';
    if (path !== '') return path;
    const meant = text === '' || text.includes('=') ? '' : `did you mean path=${text}? `;
    throw failure('usage', {
      reason: `--only does not know ${text}: ${describeBackup(manifest)}`,
      suggestion: `${meant}Write --only path=…, with a path that holdfast info ID --entries lists`,
    });
  });
}
