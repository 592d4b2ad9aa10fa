import type { Entry } from '../../../contract/stream.ts';
import { isFailure } from '../../../kernel/errors/failure.ts';
import type { BackupContext } from '../../port.ts';
import { databaseMetaSchema, entryKinds, type DatabaseMeta } from '../metadata.ts';

/** A database as an earlier backup has it. */
export interface Earlier {
  readonly entry: Entry;
  readonly meta: DatabaseMeta;
  readonly hashes: Entry | null;
}

/** What the backup before has, by the absolute path of the file as `pathText` writes it. Nothing where it is damaged. */
export async function earlierDatabases({
  previous,
  log,
}: BackupContext): Promise<ReadonlyMap<string, Earlier>> {
  const databases = new Map<string, Earlier>();
  if (previous === null) return databases;
  const hashes = new Map<string, Entry>();
  const found: { readonly entry: Entry; readonly meta: DatabaseMeta }[] = [];
  try {
    for await (const entry of previous.entries()) {
      if (entry.kind === entryKinds.hashes) hashes.set(entry.path, entry);
      const meta = entry.kind === entryKinds.database ? databaseMetaSchema.safeParse(entry.meta) : undefined;
      if (meta?.success === true) found.push({ entry, meta: meta.data });
    }
  } catch (error) {
    if (!isFailure(error) || (error.kind !== 'integrity' && error.kind !== 'not_found')) throw error;
    log.warn('the backup before cannot be read; nothing is taken over from it', {
      backup: previous.id,
      error,
    });
  }
  for (const { entry, meta } of found) {
    databases.set(meta.file, { entry, meta, hashes: hashes.get(meta.hashes ?? '') ?? null });
  }
  return databases;
}
