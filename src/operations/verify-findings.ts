import { asFailure } from '../kernel/errors/failure.ts';
import { walPrefix } from '../repository/layout.ts';
import type { IndexProblem } from '../repository/index-sync.ts';
import type { Head, WalEnd } from './verify-options.ts';
import type { KeyRange } from './verify-rotation.ts';
import type { VerifiedRecovery, VerifyProblem, VerifyReport } from './verify-report.ts';

/** Beyond this many problems more are counted, not kept. */
const maximumProblems = 10_000;
const maximumNotes = 1000;
const entriesPerProblem = 20;

interface OpenProblem {
  readonly code: string;
  readonly object: string;
  readonly message: string;
  readonly backups: Set<string>;
  readonly entries: Set<string>;
}

/** Gathers what `verify` finds. */
export class Findings {
  backupsChecked = 0;
  objectsChecked = 0;
  blobsChecked = 0;
  blobsRead = 0;
  bytesRead = 0;
  readonly recovery: VerifiedRecovery[] = [];
  /** Hex id of each blob that cannot be had → its problem. */
  readonly damagedBlobs = new Map<string, OpenProblem>();
  /** Backups that others know and that are gone: id → SHA-256 of the sealed manifest, null where nobody knows it. */
  readonly missingBackups = new Map<string, string | null>();
  /** What was read whole, by keys. */
  readonly read: { readonly packs: KeyRange[]; readonly wal: KeyRange[] } = { packs: [], wal: [] };
  /** The newest backups that are there, and those remembered that are gone. */
  heads: readonly Head[] = [];
  walEnds: readonly WalEnd[] = [];
  /** WAL is missing that a copy may have, though no problem says so. */
  isWalMissing = false;
  readonly #problems: OpenProblem[] = [];
  readonly #ofBlobs = new Map<string, OpenProblem>();
  readonly #notes: string[] = [];
  #uncounted = 0;

  /** A problem with an object, affecting these backups. */
  add(
    object: string,
    error: unknown,
    backups: readonly string[] = [],
    entries: readonly string[] = [],
  ): void {
    this.#open(object, error, backups, entries);
  }

  /** A blob that cannot be had; which backups need it is found out later. */
  addBlob(id: Uint8Array, object: string, error: unknown): void {
    const hex = Buffer.from(id).toString('hex');
    if (this.damagedBlobs.has(hex)) return;
    // A pack that is gone is one problem, whatever was in it.
    const { code, message } = asFailure(error);
    const key = `${code} ${object} ${message}`;
    const problem = this.#ofBlobs.get(key) ?? this.#open(object, error, [], []);
    if (problem === undefined) return;
    this.#ofBlobs.set(key, problem);
    this.damagedBlobs.set(hex, problem);
  }

  /** Lets go of blobs that are to be had after all, from another copy. Their problems stay, affecting nobody. */
  keepDamaged(isDamaged: (id: Uint8Array) => boolean): void {
    for (const hex of this.damagedBlobs.keys()) {
      if (!isDamaged(Buffer.from(hex, 'hex'))) this.damagedBlobs.delete(hex);
    }
  }

  /** Notes that an entry of a backup needs a damaged blob; false when that blob is fine. */
  attribute(id: Uint8Array, backup: string, entry: string): boolean {
    const problem = this.damagedBlobs.get(Buffer.from(id).toString('hex'));
    if (problem === undefined) return false;
    problem.backups.add(backup);
    if (problem.entries.size < entriesPerProblem) problem.entries.add(entry);
    return true;
  }

  /** Ids of backups that some problem affects. */
  affected(): ReadonlySet<string> {
    return new Set(this.#problems.flatMap(({ backups }) => [...backups]));
  }

  /** Something that is no problem. */
  note(text: string): void {
    if (this.#notes.length < maximumNotes) this.#notes.push(text);
  }

  /** Whether something is wrong with WAL, be it damaged or missing. */
  get hasWalProblems(): boolean {
    const isOfWal = ({ code, object }: OpenProblem): boolean =>
      code.startsWith('HF-54') || object.startsWith(walPrefix);
    return this.isWalMissing || this.#problems.some(isOfWal);
  }

  /** What every problem is about, each once: names of objects, and words for what is none. */
  subjects(): ReadonlySet<string> {
    return new Set(this.#problems.map(({ object }) => object));
  }

  addIndexProblems(problems: readonly IndexProblem[]): void {
    const known = new Set(this.#problems.map((problem) => problem.object));
    for (const { object, error } of problems) if (!known.has(object)) this.add(object, error);
  }

  report(level: VerifyReport['level']): VerifyReport {
    const problems: VerifyProblem[] = this.#problems.map((problem) => ({
      ...problem,
      backups: [...problem.backups],
      entries: [...problem.entries],
    }));
    return {
      ok: problems.length === 0 && this.#uncounted === 0,
      level,
      backups_checked: this.backupsChecked,
      objects_checked: this.objectsChecked,
      blobs_checked: this.blobsChecked,
      blobs_read: this.blobsRead,
      bytes_read: this.bytesRead,
      problems,
      recovery: this.recovery,
      notes: this.#notes,
      problems_not_listed: this.#uncounted,
    };
  }

  #open(
    object: string,
    error: unknown,
    backups: readonly string[],
    entries: readonly string[],
  ): OpenProblem | undefined {
    if (this.#problems.length >= maximumProblems) {
      this.#uncounted += 1;
      return undefined;
    }
    const { code, message } = asFailure(error);
    const problem = { code, object, message, backups: new Set(backups), entries: new Set(entries) };
    this.#problems.push(problem);
    return problem;
  }
}
