import type { Manifest } from '../contract/manifest.ts';
import { isFailure, reasonOf } from '../kernel/errors/failure.ts';
import type { Logger } from '../kernel/log.ts';
import { shortId, type BlobReader } from './blob-reader.ts';
import type { BackupName, CallContext } from './model.ts';

/** What is used of a repository that is a copy. */
export interface ReadableCopy extends AsyncDisposable {
  reader(signal?: AbortSignal): Promise<BlobReader>;
  manifest(name: BackupName, context?: CallContext): Promise<Manifest>;
}

/** A copy that is opened when it is first needed. */
export interface LazyCopy {
  readonly name: string;
  readonly open: () => Promise<ReadableCopy>;
}

/** Copies of a repository, to read from what the repository itself has lost. They are opened when they are needed. */
export class Fallback implements AsyncDisposable {
  readonly #copies: readonly LazyCopy[];
  readonly #log: Logger;
  readonly #onUse: (name: string) => void;
  readonly #opened = new Map<LazyCopy, Promise<ReadableCopy | undefined>>();

  /** `onUse` is told of each copy the first time something is read from it. */
  constructor(copies: readonly LazyCopy[], log: Logger, onUse: (name: string) => void) {
    this.#copies = copies;
    this.#log = log;
    this.#onUse = onUse;
  }

  /** A blob, checked; undefined when no copy has it. */
  async blob(id: Uint8Array, signal?: AbortSignal): Promise<Uint8Array | undefined> {
    return await this.#first(`chunk ${shortId(id)}`, signal, async (copy) => {
      return await (await copy.reader(signal)).read(id, signal);
    });
  }

  /** A manifest; undefined when no copy has it. */
  async manifest(name: BackupName, signal?: AbortSignal): Promise<Manifest | undefined> {
    return await this.#first(name.objectName, signal, (copy) => copy.manifest(name, { signal }));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const opening of this.#opened.values()) await (await opening)?.[Symbol.asyncDispose]();
  }

  async #first<T>(
    what: string,
    signal: AbortSignal | undefined,
    read: (copy: ReadableCopy) => Promise<T>,
  ): Promise<T | undefined> {
    for (const lazy of this.#copies) {
      const copy = await this.#open(lazy);
      if (copy === undefined) continue;
      try {
        const found = await read(copy);
        this.#log.info('read from a copy', { copy: lazy.name, what });
        return found;
      } catch (error) {
        signal?.throwIfAborted();
        if (!isFailure(error)) throw error;
        this.#log.warn('not to be had from a copy', { copy: lazy.name, what, reason: error.message });
      }
    }
    return undefined;
  }

  #open(lazy: LazyCopy): Promise<ReadableCopy | undefined> {
    let opening = this.#opened.get(lazy);
    if (opening === undefined) {
      opening = lazy.open().then(
        (copy) => {
          this.#onUse(lazy.name);
          return copy;
        },
        (error: unknown) => {
          this.#log.warn('a copy cannot be opened', { copy: lazy.name, reason: reasonOf(error) });
          return undefined;
        },
      );
      this.#opened.set(lazy, opening);
    }
    return opening;
  }
}
