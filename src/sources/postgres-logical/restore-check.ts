import type { CopyResult } from '../../pipeline/copy-scanner.ts';
import type { RestoreContext } from '../port.ts';
import type { TocEntry } from './archive/toc.ts';
import { addBlobTotals, type BlobTotals } from './blob-fingerprint.ts';
import type { ConnectionParameters } from '../../postgres/connection/connection.ts';
import { configurationConditions, copyOut, tableKey } from './copy-out.ts';
import { copyTables } from './copy-tables.ts';
import type { TableMeta } from './metadata.ts';
import { readBlobs } from './read-blobs.ts';
import type { RestoreWork } from './restore-options.ts';
import { openSession, type Session } from '../../postgres/connection/session.ts';

interface CheckedTable {
  readonly entry: TocEntry;
  readonly meta: TableMeta;
  /** Of an extension's configuration table; undefined for every other. */
  readonly condition: string | undefined;
}

/**
 * Reads back what was restored, as text under the settings pg_dump uses, and compares it with the backup: every table
 * by its rows and fingerprint, large objects by theirs.
 */
export class RestoreCheck {
  /** Tables, and large objects as one. */
  compared = 0;
  /** One line for each that differs. */
  readonly differing: string[] = [];
  readonly warnings: string[] = [];
  readonly #work: RestoreWork;
  readonly #database: ConnectionParameters;
  readonly #context: RestoreContext;
  readonly #tables = new Map<number, CheckedTable>();

  constructor(work: RestoreWork, database: ConnectionParameters, context: RestoreContext) {
    this.#work = work;
    this.#database = database;
    this.#context = context;
  }

  /** Finds out how each table is to be read; to be called first, and once the tables are there. */
  async prepare(): Promise<void> {
    await using session = await openSession(this.#database, this.#context.signal);
    const conditions = await configurationConditions(session);
    const hidden = await hiddenTables(session);
    const { toc, blocks } = this.#work.archive;
    const defined = new Set(
      toc.entries
        .filter(({ description }) => description === 'TABLE')
        .map(({ schema, tag }) => tableKey(schema, tag)),
    );
    for (const entry of this.#work.entries) {
      const block = blocks.get(entry.dumpId);
      if (block?.kind !== 'table') continue;
      const key = tableKey(entry.schema, entry.tag);
      if (hidden.has(key)) {
        this.warnings.push(
          `${entry.schema}.${entry.tag} was not compared with the backup, because row-level security hides rows from ${this.#database.user}`,
        );
        continue;
      }
      // What the archive has rows for and no definition belongs to an extension.
      const condition = defined.has(key) ? undefined : (conditions.get(key) ?? '');
      this.#tables.set(entry.dumpId, { entry, meta: block.meta, condition });
    }
  }

  /** Compares those of the entries that are data of a table. */
  async compareTables(entries: readonly TocEntry[], signal: AbortSignal): Promise<void> {
    const tables = entries.flatMap(({ dumpId }) => this.#tables.get(dumpId) ?? []);
    if (tables.length === 0) return;
    const { encoding } = this.#work.archive.toc;
    const statements = tables.map(({ entry, condition }) => copyOut(entry, encoding, condition));
    const onBytes = (bytes: number): void => this.#context.progress.advance(bytes);
    const results = await copyTables(statements, this.#work, this.#database, signal, onBytes);
    for (const [index, result] of results.entries()) {
      const table = tables[index];
      if (table !== undefined) this.#compareTable(table, result);
    }
  }

  async compareBlobs(signal: AbortSignal): Promise<void> {
    const blobs = this.#work.entries.flatMap((entry): BlobTotals[] => {
      const block = this.#work.archive.blocks.get(entry.dumpId);
      return block?.kind === 'blobs' ? [block.meta] : [];
    });
    if (blobs.length === 0) return;
    const wanted = addBlobTotals(blobs);
    const found = await readBlobs(this.#database, signal);
    this.compared += 1;
    if (found.fingerprint === wanted.fingerprint && found.objects === wanted.objects) return;
    this.differing.push(
      `large objects (${found.objects} of ${found.bytes} bytes instead of ${wanted.objects} of ${wanted.bytes})`,
    );
  }

  #compareTable({ entry, meta, condition }: CheckedTable, { rows, fingerprint }: CopyResult): void {
    this.compared += 1;
    if (rows === meta.rows && fingerprint === meta.fingerprint) return;
    const what = rows === meta.rows ? `${rows} rows, other contents` : `${rows} rows instead of ${meta.rows}`;
    const line = `${entry.schema}.${entry.tag} (${what})`;
    // An extension puts rows of its own there when it is made, which another version of it may do otherwise.
    if (condition === undefined) this.differing.push(line);
    else this.warnings.push(`the configuration table of an extension differs from the backup: ${line}`);
  }
}

/** Tables that this user may not read whole, by {@link tableKey}. */
async function hiddenTables(session: Session): Promise<ReadonlySet<string>> {
  const rows = await session.query<{ schema: string; table: string }>(
    `SELECT n.nspname AS schema, c.relname AS table
       FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
      WHERE c.relrowsecurity AND pg_catalog.row_security_active(c.oid)`,
  );
  return new Set(rows.map(({ schema, table }) => tableKey(schema, table)));
}
