import type { Entry, StreamRef } from '../../../contract/stream.ts';
import { reasonOf } from '../../../kernel/errors/failure.ts';
import type { BackupContext, PreviousBackup } from '../../port.ts';
import { entryKinds } from '../metadata.ts';
import { comparePaths } from '../path-order.ts';
import type { Xattrs } from '../posix-helper.ts';
import type { ScannedFile } from './scan.ts';

/** What may be taken over from the backup before. */
export interface Known {
  readonly stream: StreamRef;
  readonly sparse: boolean;
  /** Undefined when it is not known whether there were any. */
  readonly xattrs: Xattrs | undefined;
}

export interface PreviousOptions {
  readonly host: string;
  readonly nowMs: number;
  /** Whether this backup keeps extended attributes. */
  readonly wantsXattrs: boolean;
}

/** Times are kept in steps, and a file may change twice within one: so near the start of a backup they prove nothing. */
const marginMs = 2000;

/** Goes through the entries of the backup before, beside a walk in the same order. */
export class PreviousFiles implements AsyncDisposable {
  readonly #previous: PreviousBackup;
  readonly #context: BackupContext;
  readonly #entries: AsyncIterator<Entry, unknown>;
  readonly #edgeNs: bigint;
  readonly #nowNs: bigint;
  readonly #wantsXattrs: boolean;
  readonly #knowsXattrs: boolean;
  #next: Entry | undefined;
  #ended = false;

  private constructor(previous: PreviousBackup, options: PreviousOptions, context: BackupContext) {
    this.#previous = previous;
    this.#context = context;
    this.#entries = previous.entries()[Symbol.asyncIterator]();
    this.#edgeNs = BigInt(Math.floor(previous.startedAtMs) - marginMs) * 1_000_000n;
    this.#nowNs = BigInt(Math.ceil(options.nowMs) + marginMs) * 1_000_000n;
    this.#wantsXattrs = options.wantsXattrs;
    const { xattrs, unreadable_xattrs: unreadable } = previous.metadata;
    this.#knowsXattrs = xattrs === true && (unreadable === undefined || unreadable === 0);
  }

  /** Undefined when there is none, or it is of another machine: there inodes and times say nothing. */
  static open(context: BackupContext, options: PreviousOptions): PreviousFiles | undefined {
    const { previous } = context;
    if (previous === null || previous.host !== options.host) return undefined;
    return new PreviousFiles(previous, options, context);
  }

  /** What the backup before has of a file that was not touched since. Ask in the order of entries. */
  async find(file: ScannedFile): Promise<Known | undefined> {
    const entry = await this.#seek(file.path);
    if (entry === undefined || entry.kind !== entryKinds.file || entry.stream === null) return undefined;
    const { meta, stream } = entry;
    const isSame =
      stream.size_bytes === file.size &&
      meta['mtime'] === file.mtime &&
      meta['ctime'] === file.ctime &&
      meta['inode'] === file.inode &&
      meta['changed'] === undefined;
    if (!isSame || this.#isRacy(file)) return undefined;
    return { stream, sparse: meta['sparse'] === true, xattrs: this.#xattrsOf(meta) };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#ended = true;
    await this.#entries.return?.().catch(() => undefined);
  }

  #xattrsOf(meta: Entry['meta']): Xattrs | undefined {
    if (!this.#wantsXattrs) return {};
    return this.#knowsXattrs ? ((meta['xattrs'] ?? {}) as Xattrs) : undefined;
  }

  /** A time of modification after now was set by somebody, and says nothing about when. */
  #isRacy(file: ScannedFile): boolean {
    const mtime = BigInt(file.mtime);
    return BigInt(file.ctime) >= this.#edgeNs || (mtime >= this.#edgeNs && mtime <= this.#nowNs);
  }

  async #seek(path: string): Promise<Entry | undefined> {
    while (!this.#ended) {
      if (this.#next !== undefined) {
        const order = comparePaths(this.#next.path, path);
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
      log.warn('the list of the backup before is damaged: the files that are left are read anew', {
        previous: this.#previous.id,
        reason: reasonOf(error),
      });
    }
  }
}
