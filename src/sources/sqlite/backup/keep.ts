import { pathText } from '../../../kernel/byte-path.ts';
import type { BackupContext } from '../../port.ts';
import { judgeCheck, warningOf } from '../judge.ts';
import type { DatabaseDone } from './database.ts';
import { commonDirectory, entryPath, hashesPath } from '../entry-paths.ts';
import type { Found } from './find.ts';
import { identityOf, lastChangeMs, sameIdentity } from '../identity.ts';
import type { DatabaseMeta } from '../metadata.ts';
import type { Earlier } from './previous.ts';

/** Files changed less than this before the earlier backup began may have changed again without their times showing it. */
const settledMs = 2000;
const levels = ['none', 'quick', 'full'] as const;

interface Options {
  readonly host: string;
  readonly check: DatabaseMeta['check']['level'];
}

/**
 * For each database what the backup before has of it, when its files have not been touched since and all of it is still
 * stored: then it is not opened at all. Null for each that must be read.
 */
export async function keepUnchanged(
  databases: readonly Found[],
  earlier: ReadonlyMap<string, Earlier>,
  options: Options,
  context: BackupContext,
): Promise<readonly (DatabaseDone | null)[]> {
  const directory = commonDirectory(databases.map(({ path }) => path));
  const kept: (DatabaseDone | null)[] = [];
  for (const found of databases) {
    const before = earlier.get(pathText(Buffer.from(found.path)));
    const isKept =
      before !== undefined &&
      isUntouched(found, before, options, context) &&
      (await isStored(before, context));
    kept.push(isKept ? takenOver(before, found, entryPath(directory, found.path)) : null);
  }
  return kept;
}

function isUntouched(found: Found, before: Earlier, options: Options, context: BackupContext): boolean {
  const { previous } = context;
  if (previous === null || previous.host !== options.host) return false;
  const { check, identity, way } = before.meta;
  // What there was to say about the files beside it is to be said again.
  const hasLog = identity.wal !== null && identity.wal.size > 0;
  if (way === 'empty' || way === 'recovered' || (way === 'still' && hasLog)) return false;
  if (levels.indexOf(check.level) < levels.indexOf(options.check)) return false;
  // A log whose content is not known may have another one by now.
  if (hasLog && identity.wal_mark === undefined) return false;
  if (lastChangeMs(identity) >= previous.startedAtMs - settledMs) return false;
  try {
    return sameIdentity(identity, identityOf(found.file));
  } catch {
    return false; // Gone or out of reach: the backup will say so.
  }
}

async function isStored({ entry, hashes }: Earlier, context: BackupContext): Promise<boolean> {
  const streams = [entry, hashes].flatMap((one) => (one?.stream ? [one.stream] : []));
  return streams.length > 0 && (await context.keep(streams)).every(Boolean);
}

function takenOver({ entry, hashes, meta }: Earlier, found: Found, path: string): DatabaseDone {
  const { problem, flaw } = judgeCheck(found.path, meta.check);
  const renamed = { ...meta, hashes: hashes === null ? null : hashesPath(path) };
  return {
    entries: [
      { ...entry, path, meta: renamed },
      ...(hashes === null
        ? []
        : [{ ...hashes, path: hashesPath(path), meta: { ...hashes.meta, database: path } }]),
    ],
    meta: renamed,
    bytes: entry.stream?.size_bytes ?? 0,
    warnings: problem === null ? [] : [warningOf(problem)],
    flaw,
  };
}
