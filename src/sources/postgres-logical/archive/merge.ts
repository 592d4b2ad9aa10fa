import { failure } from '../../../kernel/errors/failure.ts';
import type { BlobsMeta, TableMeta } from '../metadata.ts';
import type { StreamRef } from '../../../contract/stream.ts';
import { renumbered, sections, type ArchiveToc, type TocEntry } from './toc.ts';

export type BlockSource =
  | { readonly kind: 'table'; readonly meta: TableMeta; readonly stream: StreamRef | null }
  | { readonly kind: 'blobs'; readonly meta: BlobsMeta; readonly stream: StreamRef | null };

/** A database's backup as one archive again: one table of contents, and where the data of its entries are. */
export interface MergedArchive {
  readonly toc: ArchiveToc;
  /** By number of the entry in `toc`. */
  readonly blocks: ReadonlyMap<number, BlockSource>;
}

export interface ArchivePart {
  readonly number: number;
  readonly toc: ArchiveToc;
  /** By number of the entry in `toc`. */
  readonly blocks: ReadonlyMap<number, BlockSource>;
}

/**
 * Puts the table data entries of the further archives into the table of contents of the first, under new numbers and
 * depending on the first archive's tables, right before its own data. Everything else in the further archives repeats
 * the first. Throws `postgres_restore_backup_damaged` when entries and blocks do not match.
 */
export function mergeArchives(parts: readonly ArchivePart[], database: string): MergedArchive {
  const damaged = (reason: string): Error => failure('postgres_restore_backup_damaged', { database, reason });
  const [first, ...further] = parts;
  if (first === undefined) throw damaged('it has no table of contents');
  const { header, entries } = first.toc;
  const blocks = new Map<number, BlockSource>();
  for (const entry of entries) if (entry.hasData) blocks.set(entry.dumpId, blockOf(first, entry, damaged));

  const tables = new Map(
    entries.filter(({ description }) => description === 'TABLE').map((entry) => [keyOf(entry), entry.dumpId]),
  );
  let nextId = entries.reduce((most, { dumpId }) => Math.max(most, dumpId), 0) + 1;
  const added: TocEntry[] = [];
  for (const part of further) {
    if (part.toc.header.intSize !== header.intSize || part.toc.header.minor !== header.minor) {
      throw damaged(`archive ${part.number} was written by another pg_dump`);
    }
    for (const entry of part.toc.entries) {
      if (!entry.hasData) continue;
      const table = tables.get(keyOf(entry));
      if (table === undefined)
        throw damaged(
          `archive ${part.number} has data of ${entry.schema}.${entry.tag}, which archive 0 does not define`,
        );
      blocks.set(nextId, blockOf(part, entry, damaged));
      added.push(renumbered(entry, nextId, [table], header.intSize));
      nextId += 1;
    }
  }
  const at = entries.findIndex(({ section }) => section === sections.data || section === sections.postData);
  const place = at === -1 ? entries.length : at;
  return {
    toc: { ...first.toc, entries: [...entries.slice(0, place), ...added, ...entries.slice(place)] },
    blocks,
  };
}

function blockOf(part: ArchivePart, entry: TocEntry, damaged: (reason: string) => Error): BlockSource {
  const found = part.blocks.get(entry.dumpId);
  if (found === undefined) throw damaged(`the data of ${entry.schema}.${entry.tag} are missing`);
  if (found.kind === 'table' && (found.meta.schema !== entry.schema || found.meta.table !== entry.tag)) {
    throw damaged(
      `the data of ${entry.schema}.${entry.tag} are called ${found.meta.schema}.${found.meta.table}`,
    );
  }
  return found;
}

function keyOf(entry: TocEntry): string {
  return JSON.stringify([entry.schema, entry.tag]);
}
