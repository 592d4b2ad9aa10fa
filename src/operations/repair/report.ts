/** One thing that a repair did, or would do. */
export interface RepairStep {
  /**
   * - `replace`: a good copy is put in the place of the damaged object, or where it is missing;
   * - `rebuild`: it is made anew from what is known;
   * - `store_anew`: what is good of a pack, and what copies have of the rest, goes into new packs;
   * - `set_aside`: it goes to the quarantine, for nothing is to be had of it or needed;
   * - `bring_back`: a backup that is gone is copied with all it needs;
   * - `leave`: it stays as it is.
   */
  readonly action: 'replace' | 'rebuild' | 'store_anew' | 'set_aside' | 'bring_back' | 'leave';
  /** The object, `chunk …`, or `backup …`. */
  readonly object: string;
  /** The copy that has what is good, the quarantine, or this repository itself; null where there is nothing. */
  readonly from: string | null;
  /** For people: what is lost, or why it stays. */
  readonly note: string | null;
}

/** What was done. */
export interface DoneStep extends RepairStep {
  /** Where the damaged object is now. */
  readonly quarantined: string | null;
}

/** A copy that was to be used and could not be. */
export interface UnusableCopy {
  readonly name: string;
  readonly reason: string;
}

export interface RepairReport {
  readonly dry_run: boolean;
  /** What was to be done at the beginning. */
  readonly plan: readonly RepairStep[];
  /** What was done, and what was decided to be left. Empty when nothing was to be changed. */
  readonly done: readonly DoneStep[];
  readonly unusable: readonly UnusableCopy[];
}
