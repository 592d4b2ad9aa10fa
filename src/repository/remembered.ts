/** One backup as a machine has seen it: enough to tell later whether the same one is still there. */
export interface HistoryPoint {
  readonly id: string;
  readonly sequence: number;
  /** Of the manifest's sealed bytes. */
  readonly sha256: string;
}

/** What a machine remembers of the history of one repository, outside of it. */
export interface HistoryMemory {
  /** The hash of a backup's manifest, where it was seen or written here. */
  sha256Of(id: string): string | undefined;
  /** Notes that these were seen. */
  saw(points: readonly HistoryPoint[]): Promise<void>;
}
