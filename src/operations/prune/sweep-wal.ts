import type { WalRange } from '../../repository/gc/marks.ts';
import { isLocked } from '../../repository/gc/sweep.ts';
import type { Repository } from '../../repository/repository.ts';
import { isMarked, isUnneeded, rangesOf, unneededWal, type KeptWal } from '../wal/unneeded.ts';
import type { HeldTurn, PruneOptions, WalQuestion } from './options.ts';

/** Pieces of WAL that are removed between two looks whose turn it is. */
const betweenLooks = 256;

/** The part of a prune that is about WAL. */
export class WalSweep {
  readonly removed = { objects: 0, bytes: 0, locked: 0 };
  readonly marked = { objects: 0, bytes: 0 };
  readonly #repository: Repository;
  readonly #options: PruneOptions;
  readonly #turn: HeldTurn;
  readonly #question: WalQuestion;
  /** All answers so far: what one of them keeps is kept. */
  readonly #kept: KeptWal[];

  private constructor(
    repository: Repository,
    options: PruneOptions,
    turn: HeldTurn,
    question: WalQuestion,
    kept: KeptWal,
  ) {
    this.#repository = repository;
    this.#options = options;
    this.#turn = turn;
    this.#question = question;
    this.#kept = [kept];
  }

  /** Asks what must stay. */
  static async begin(
    repository: Repository,
    options: PruneOptions,
    turn: HeldTurn,
    question: WalQuestion,
  ): Promise<WalSweep> {
    const kept = (await options.keptWal?.(question)) ?? new Map();
    return new WalSweep(repository, options, turn, question, kept);
  }

  /** Removes what was marked and is still needed by nothing. */
  async remove(ranges: readonly WalRange[]): Promise<void> {
    const { signal, dryRun, keptWal } = this.#options;
    // Asked once more: nothing announces WAL, and a backup may have come back while packs were removed.
    if (!dryRun) this.#kept.push((await keptWal?.(this.#question)) ?? new Map());
    for await (const { archive, stretch } of this.#unneeded()) {
      if (!isMarked(archive, stretch, ranges)) continue;
      if (!dryRun) {
        if (this.removed.objects % betweenLooks === 0) await this.#turn.assertHeld();
        if (await isLocked(this.#repository.storage.delete(stretch.objectName, { signal }))) {
          this.removed.locked += 1;
          continue;
        }
      }
      this.removed.objects += 1;
      this.removed.bytes += stretch.storedBytes;
    }
  }

  /** What nothing needs, for a mark, but for what lies in these ranges, which are marked. */
  async toMark(waiting: readonly WalRange[]): Promise<WalRange[]> {
    return await rangesOf(this.#unmarked(waiting), this.marked);
  }

  async *#unmarked(waiting: readonly WalRange[]): ReturnType<typeof unneededWal> {
    for await (const one of this.#unneeded()) if (!isMarked(one.archive, one.stretch, waiting)) yield one;
  }

  async *#unneeded(): ReturnType<typeof unneededWal> {
    const [first = new Map(), ...others] = this.#kept;
    for await (const one of unneededWal(this.#repository, first, this.#options.signal))
      if (others.every((kept) => isUnneeded(one.archive, one.stretch, kept))) yield one;
  }
}
