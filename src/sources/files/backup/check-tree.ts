import { closeSync, constants, openSync } from 'node:fs';
import { pathBytes } from '../../../kernel/byte-path.ts';
import { plural } from '../../../kernel/plural.ts';
import type { Finding } from '../../port.ts';
import { scanOptions, type FilesBackupOptions } from './backup.ts';
import type { Root, Roots } from './roots.ts';
import type { ScanBatch } from './scan.ts';
import { Scanner } from './scanner.ts';
import { placeOf } from './units.ts';

/** Whoever asks waits for the answer: no more is looked at, nor for longer. */
export const treeLimits = { entries: 20_000, ms: 2000 };
const { O_RDONLY, O_NONBLOCK, O_NOCTTY } = constants;
/** So many are named, the others counted. */
const named = 3;

/** Looks whether what is below the paths may be read, as far as it gets: a backup without some of it is incomplete. */
export async function checkTree(
  options: FilesBackupOptions,
  roots: Roots,
  signal: AbortSignal,
): Promise<Finding> {
  const untilMs = options.now() + treeLimits.ms;
  const shut: string[] = [];
  let seen = 0;
  let whole = true;
  await using scanner = new Scanner(scanOptions(options, roots));
  for await (const batch of scanner.batches(signal)) {
    const root = roots.found[batch.root];
    if (root === undefined) throw new Error('a batch of no root');
    seen += batch.found.length;
    shut.push(...unreadableOf(batch, root));
    whole = seen < treeLimits.entries && options.now() < untilMs;
    if (!whole) break;
  }
  const lookedAt = whole ? '' : ` (of the first ${seen} entries; the others were not looked at)`;
  if (shut.length > 0) return unreadable(shut, lookedAt);
  const message = `${plural(roots.found.length, 'path')} can be read, with all that is in ${roots.found.length === 1 ? 'it' : 'them'}${lookedAt}`;
  return { check: 'paths', level: 'ok', message };
}

function unreadableOf({ found, notes }: ScanBatch, root: Root): string[] {
  const shut = notes.filter(({ what }) => what === 'unreadable').map(({ path }) => placeOf(root, path));
  for (const { kind, path } of found) {
    const place = kind === 'file' ? placeOf(root, path) : undefined;
    if (place !== undefined && !mayRead(pathBytes(place))) shut.push(place);
  }
  return shut;
}

function unreadable(shut: readonly string[], lookedAt: string): Finding {
  const others = shut.length > named ? ` and ${shut.length - named} more` : '';
  return {
    check: 'paths',
    level: 'error',
    message: `${shut.slice(0, named).join(', ')}${others} may not be read${lookedAt}: backups would be incomplete`,
    mend: 'run as a user who may, give this one the right (CAP_DAC_READ_SEARCH, or setfacl -R -m u:USER:rX DIRECTORY), or leave them out with `exclude`',
  };
}

/** By opening it: `access` answers for the user alone, whatever capabilities the process was given beside. */
export function mayRead(path: Buffer): boolean {
  try {
    closeSync(openSync(path, O_RDONLY | O_NONBLOCK | O_NOCTTY));
    return true;
  } catch (error) {
    // What went away meanwhile is no trouble.
    return (error as NodeJS.ErrnoException).code === 'ENOENT';
  }
}
