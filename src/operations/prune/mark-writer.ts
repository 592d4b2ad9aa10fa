import type { PackUse } from '../../repository/gc/live-set.ts';
import { newRun, packsInMark, putMark, type WalRange } from '../../repository/gc/marks.ts';
import { putSeen } from '../../repository/gc/seen.ts';
import type { Repository } from '../../repository/repository.ts';
import type { PruneOptions } from './options.ts';
import type { PackCount } from './report.ts';

/** Writes the marks of a run, some thousand packs each. Nothing is written for nothing, or in a dry run. */
export class MarkWriter {
  count: PackCount = { packs: 0, bytes: 0 };
  readonly #repository: Repository;
  readonly #options: PruneOptions;
  readonly #run: string;
  #backups: readonly string[] | undefined;
  #packs: string[] = [];
  #number = 0;

  /** `backups`: ids of all that there are, which must all be there or forgotten when it comes to removing. */
  constructor(repository: Repository, options: PruneOptions, backups: readonly string[]) {
    this.#repository = repository;
    this.#options = options;
    this.#run = newRun(options.clock.now());
    this.#backups = backups;
  }

  async add({ id, sizeBytes }: PackUse): Promise<void> {
    this.count = { packs: this.count.packs + 1, bytes: this.count.bytes + sizeBytes };
    this.#packs.push(id);
    if (this.#packs.length === packsInMark) await this.#write([]);
  }

  /** Writes what waits, and with it the WAL that is marked; with `always` one mark at least, be it of nothing. */
  async end(wal: readonly WalRange[], always: boolean): Promise<void> {
    const isNothingWritten = always && this.#number === 0;
    if (this.#packs.length > 0 || wal.length > 0 || isNothingWritten) await this.#write(wal);
  }

  async #write(wal: readonly WalRange[]): Promise<void> {
    const packs = this.#packs;
    this.#packs = [];
    const { dryRun, clock, graceMs, host, signal } = this.#options;
    if (dryRun) return;
    const { storage, pipelineKeys } = this.#repository;
    // What it saw comes first: a run without it removes nothing.
    if (this.#backups !== undefined) await putSeen(this.#repository, this.#run, this.#backups, signal);
    this.#backups = undefined;
    const contents = {
      schema: 1 as const,
      marked_at_ms: clock.now(),
      grace_ms: graceMs,
      host,
      packs,
      wal: [...wal],
    };
    await putMark(storage, pipelineKeys, this.#run, this.#number, contents, signal);
    this.#number += 1;
  }
}
