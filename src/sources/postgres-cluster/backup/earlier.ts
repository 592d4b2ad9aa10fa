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

/** Goes through the entries of the parent beside a walk in the same order, so that few of them are in memory. */
export class EarlierFiles implements AsyncDisposable {
  readonly #plan: ParentPlan;
  readonly #context: BackupContext;
  readonly #entries: AsyncIterator<Entry, unknown>;
  #next: Entry | undefined;
  #ended = false;

  constructor(plan: ParentPlan, context: BackupContext) {
    this.#plan = plan;
    this.#context = context;
    this.#entries = plan.previous.entries()[Symbol.asyncIterator]();
  }

  /** What the parent has of a file, if it may be compared. Ask in the order of the walk. */
  async find(found: Found): Promise<EarlierFile | undefined> {
    const entry = await this.#seek(found.path);
    const stamps = await this.#seek(stampsPath(found.path));
    return comparable(found, entry, stamps, this.#plan);
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

/** What the parent has of a file, if it may be compared with it: by its entry, and that with its stamps. */
export function comparable(
  found: Pick<Found, 'path' | 'kind'>,
  entry: Entry | undefined,
  stamps: Entry | undefined,
  plan: ParentPlan,
): EarlierFile | undefined {
  if (entry?.kind !== kindOf(found) || entry.stream === null) return undefined;
  const [, database] = /^(?:base|pg_tblspc\/\d+\/PG_[^/]+)\/(\d+)\//.exec(found.path) ?? [];
  if (database !== undefined && plan.otherDatabases.has(Number(database))) return undefined;
  const meta = fileMetaSchema.safeParse(entry.meta);
  if (!meta.success) return undefined;
  const hasStamps = stamps?.kind === entryKinds.stamps ? stamps.stream : null;
  if (found.kind === 'relation' && hasStamps === null) return undefined;
  return { entry, stream: entry.stream, meta: meta.data, stamps: hasStamps };
}

/** Entries that are added when all files are: they stand behind them, in no order. */
export function isLate({ kind, path }: Entry): boolean {
  return kind === entryKinds.label || kind === entryKinds.control || path.startsWith(configDirectory);
}

export function kindOf({ kind }: Pick<Found, 'kind'>): string {
  return kind === 'relation' ? entryKinds.relation : kind === 'file' ? entryKinds.file : entryKinds.directory;
}
