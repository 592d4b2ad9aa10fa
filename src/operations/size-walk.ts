import { setImmediate } from 'node:timers/promises';
import type { Manifest } from '../contract/manifest.ts';
import type { StreamRef } from '../contract/stream.ts';
import { isFailure, type HoldfastError } from '../kernel/errors/failure.ts';
import type { BlobReader } from '../repository/blob-reader.ts';
import type { Repository } from '../repository/repository.ts';
import type { UsageTable } from '../repository/usage.ts';
import { walkStream } from '../repository/walk.ts';

/** So many streams, which may be small files, are looked at before a signal gets its turn. */
const streamsAtOnce = 1000;

/** Brings the table from one backup to the next of the same source. */
export class UsageWalk {
  readonly #repository: Repository;
  readonly #reader: BlobReader;
  readonly #table: UsageTable;
  readonly #signal: AbortSignal;

  constructor(repository: Repository, reader: BlobReader, table: UsageTable, signal: AbortSignal) {
    this.#repository = repository;
    this.#reader = reader;
    this.#table = table;
    this.#signal = signal;
  }

  /**
   * Notes everything this backup needs. Answers the bytes of its entries, or why its list cannot be read: what the
   * list told until then is noted all the same.
   */
  async backup(manifest: Manifest): Promise<number | Error> {
    const bytes = await this.#entries(manifest);
    for await (const stream of this.#inTurns(this.#table.appeared())) await this.#hold(stream);
    for await (const stream of this.#inTurns(this.#table.gone())) await this.#release(stream);
    return bytes;
  }

  async #entries(manifest: Manifest): Promise<number | Error> {
    let bytes = 0;
    try {
      this.#table.needs(manifest.entries.stream);
      for await (const { stream } of this.#repository.entries(manifest, { signal: this.#signal })) {
        if (stream === null) continue;
        this.#table.needs(stream);
        bytes += stream.size_bytes;
      }
      return bytes;
    } catch (error) {
      this.#signal.throwIfAborted();
      if (!isDamage(error)) throw error;
      return error;
    }
  }

  async #hold(stream: StreamRef): Promise<void> {
    const table = this.#table;
    const visitor = {
      node: (id: Uint8Array) => table.hold(id),
      unreadable: (id: Uint8Array, error: Error) => {
        if (!isDamage(error)) throw error;
        table.lose(id);
      },
    };
    for await (const chunks of walkStream(this.#reader, stream, visitor, this.#signal))
      for (const id of chunks) table.hold(id);
  }

  async #release(stream: StreamRef): Promise<void> {
    const table = this.#table;
    const visitor = {
      node: (id: Uint8Array) => table.release(id),
      // It could be read a moment ago. What is below it then counts for the backups to come as well.
      unreadable: (_id: Uint8Array, error: Error) => {
        if (!isDamage(error)) throw error;
      },
    };
    for await (const chunks of walkStream(this.#reader, stream, visitor, this.#signal))
      for (const id of chunks) table.release(id);
  }

  async *#inTurns(streams: Iterable<StreamRef>): AsyncGenerator<StreamRef, void, void> {
    let count = 0;
    for (const stream of streams) {
      count += 1;
      if (count % streamsAtOnce === 0) await setImmediate();
      this.#signal.throwIfAborted();
      yield stream;
    }
  }
}

function isDamage(error: unknown): error is HoldfastError {
  return isFailure(error) && ['integrity', 'not_found'].includes(error.kind);
}
