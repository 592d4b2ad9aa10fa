import type { Entry, StreamRef } from '../../../contract/stream.ts';
import { reasonOf } from '../../../kernel/errors/failure.ts';
import type { BackupContext } from '../../port.ts';
import { configDirectory, entryKinds, fileMetaSchema, stampsPath, type FileMeta } from '../metadata.ts';
import { comparePaths } from './path-order.ts';
import { isUntouched, type ParentPlan } from './rule.ts';
import type { Found } from './walk.ts';

/** A file as the parent has it. */
export interface EarlierFile {
  readonly entry: Entry;
  readonly stream: StreamRef;
  readonly meta: FileMeta;
  /** Of a relation. */
  readonly stamps: StreamRef | null;
}

/**
 * Goes through the entries of the parent beside a walk in the same order, so that few of them are in memory. A backup that
 * came over the replication protocol has them in the order of the server: of such a one all are held.
 */
export class EarlierFiles implements AsyncDisposable {
  readonly #plan: ParentPlan;
  readonly #context: BackupContext;
  readonly #entries: AsyncIterator<Entry, unknown>;
  readonly #all = new Map<string, Entry>();
  readonly #isOrdered: boolean;
  #next: Entry | undefined;
  #ended = false;

  constructor(plan: ParentPlan, context: BackupContext) {
    this.#plan = plan;
    this.#context = context;
    this.#isOrdered = plan.metadata.mode === 'local';
    this.#entries = plan.previous.entries()[Symbol.asyncIterator]();
  }

  /** What the parent has of a file, if it may be compared. Ask in the order of the walk. */
  async find(found: Found): Promise<EarlierFile | undefined> {
    const { path } = found;
    if (!this.#isOrdered) await this.#gather();
    const entry = this.#isOrdered ? await this.#seek(path) : this.#all.get(path);
    const stamps = this.#isOrdered ? await this.#seek(stampsPath(path)) : this.#all.get(stampsPath(path));
    if (entry?.kind !== kindOf(found) || entry.stream === null || this.#isOtherDatabase(path))
      return undefined;
    const meta = fileMetaSchema.safeParse(entry.meta);
    if (!meta.success) return undefined;
    const hasStamps = stamps?.kind === entryKinds.stamps ? stamps.stream : null;
    if (found.kind === 'relation' && hasStamps === null) return undefined;
    return { entry, stream: entry.stream, meta: meta.data, stamps: hasStamps };
  }

  /** Whether the file need not be read, as far as its directory says. */
  isUntouched(found: Found, before: EarlierFile): boolean {
    const { stream, meta } = before;
    return isUntouched(found, { size: stream.size_bytes, meta }, this.#plan.keptBeforeNs);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#ended = true;
    await this.#entries.return?.().catch(() => undefined);
  }

  #isOtherDatabase(path: string): boolean {
    const [, database] = /^(?:base|pg_tblspc\/\d+\/PG_[^/]+)\/(\d+)\//.exec(path) ?? [];
    return database !== undefined && this.#plan.otherDatabases.has(Number(database));
  }

  async #gather(): Promise<void> {
    while (!this.#ended) {
      await this.#advance();
      if (this.#next !== undefined) this.#all.set(this.#next.path, this.#next);
    }
  }

  async #seek(path: string): Promise<Entry | undefined> {
    while (!this.#ended) {
      if (this.#next !== undefined) {
        const order = isLate(this.#next) ? 1 : comparePaths(this.#next.path, path);
        if (order === 0) return this.#next;
        if (order > 0) return undefined;
      }
      await this.#advance();
    }
    return undefined;
  }

  async #advance(): Promise<void> {
    this.#next = undefined;
    try {
      const result = await this.#entries.next();
      if (result.done === true) this.#ended = true;
      else this.#next = result.value;
    } catch (error) {
      const { signal, log } = this.#context;
      signal.throwIfAborted();
      this.#ended = true;
      log.warn('the list of the backup before is damaged: what is left is read anew', {
        previous: this.#plan.previous.id,
        reason: reasonOf(error),
      });
    }
  }
}

/** Entries that are added when all files are: they stand behind them, in no order. */
function isLate({ kind, path }: Entry): boolean {
  return kind === entryKinds.label || kind === entryKinds.control || path.startsWith(configDirectory);
}

export function kindOf({ kind }: Found): string {
  return kind === 'relation' ? entryKinds.relation : kind === 'file' ? entryKinds.file : entryKinds.directory;
}
