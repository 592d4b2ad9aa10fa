import type { Manifest } from '../contract/manifest.ts';
import { failure } from '../kernel/errors/failure.ts';
import type { BackupName } from './model.ts';

const fullId = /^[0-9a-f]{32}$/;
const idPrefix = /^[0-9a-f]{4,31}$/;
const timestamp = /^\d{4}-\d{2}-\d{2}(?:[T ]\d{2}:\d{2}(?::\d{2}(?:\.\d{1,9})?)?(?:Z|[+-]\d{2}:?\d{2})?)?$/;
const timestampOfSource = new RegExp(`^(${timestamp.source.slice(1, -1)}):(.+)$`);

/** The tag of a backup that `import` made of a file: what is in it is older than the backup is. */
export const importedTag = 'imported_from';

/** Reads one manifest by its name. */
type Read = (name: BackupName) => Promise<Manifest>;

/**
 * Finds the backup a reference means: an id, a unique prefix of at least 4 digits, a time (the newest backup started
 * at or before it; a date is the end of that day; without an offset it is local time), `latest`, `latest:SOURCE` or a time and `:SOURCE`.
 * All but ids pass over imported backups while there is another that fits: those are new, what is in them is not.
 * `backup_unknown`, `backup_ambiguous`, `backup_reference`.
 */
export async function findBackup(
  names: readonly BackupName[],
  reference: string,
  read: Read,
): Promise<Manifest> {
  if (reference === 'latest') return await newest(names, undefined, reference, read);
  if (reference.startsWith('latest:'))
    return await newest(names, reference.slice('latest:'.length), reference, read);
  if (fullId.test(reference) || idPrefix.test(reference)) return await read(byPrefix(names, reference));
  if (timestamp.test(reference))
    return await newest(startedUpTo(names, reference), undefined, reference, read);
  const [, time, source] = timestampOfSource.exec(reference) ?? [];
  if (time !== undefined && source !== undefined)
    return await newest(startedUpTo(names, time), source, reference, read);
  throw failure('backup_reference', { reference });
}

/** Reads manifests from the newest on, one at a time, until one fits that was not imported. */
async function newest(
  names: readonly BackupName[],
  source: string | undefined,
  reference: string,
  read: Read,
): Promise<Manifest> {
  let imported: Manifest | undefined;
  const sources = new Set<string>();
  for (const name of names.toReversed()) {
    const manifest = await read(name);
    sources.add(manifest.source.name);
    if (source !== undefined && manifest.source.name !== source) continue;
    if (!Object.hasOwn(manifest.tags, importedTag)) return manifest;
    imported ??= manifest;
  }
  if (imported !== undefined) return imported;
  const list = [...sources].toSorted().join(', ');
  throw failure('backup_unknown', { reference, known: list === '' ? '' : `; sources with backups: ${list}` });
}

function byPrefix(names: readonly BackupName[], prefix: string): BackupName {
  const matching = names.filter((name) => name.id.startsWith(prefix));
  if (matching.length > 1) {
    const examples = matching.slice(0, 3).map((name) => name.id.slice(0, prefix.length + 4));
    throw failure('backup_ambiguous', {
      reference: prefix,
      count: matching.length,
      examples: examples.join(', '),
    });
  }
  const [only] = matching;
  if (only === undefined) throw failure('backup_unknown', { reference: prefix, known: '' });
  return only;
}

function startedUpTo(names: readonly BackupName[], time: string): BackupName[] {
  const limit = Date.parse(time.length === 10 ? `${time}T23:59:59.999` : time.replace(' ', 'T'));
  if (Number.isNaN(limit)) throw failure('backup_reference', { reference: time });
  const inclusive = limit + restOf(time);
  return names
    .filter((name) => name.startedAtMs <= inclusive)
    .toSorted((a, b) => a.startedAtMs - b.startedAtMs);
}

/** How long, in ms, what was named goes on: a time without fractions is its whole second, one to the minute all of it. */
function restOf(time: string): number {
  if (time.length === 10 || time.includes('.')) return 0;
  return /[T ]\d{2}:\d{2}:\d{2}/.test(time) ? 999 : 59_999;
}
