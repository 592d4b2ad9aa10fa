import type { CallContext } from '../../repository/model.ts';
import type { WalArchive, WalRun } from '../../repository/wal/model.ts';
import { floorLsn, lsnOf, type Lsn } from '../../postgres/lsn.ts';
import { readTimelines, type TimelineTree } from './history.ts';

/** What there is in an archive, as it was when it was first asked for: each timeline is listed once. */
export class ArchiveView {
  readonly archive: WalArchive;
  readonly tree: TimelineTree;
  readonly #signal: AbortSignal | undefined;
  readonly #runs = new Map<number, { readonly from: bigint; readonly runs: Promise<readonly WalRun[]> }>();

  constructor(archive: WalArchive, tree: TimelineTree, context: CallContext = {}) {
    this.archive = archive;
    this.tree = tree;
    this.#signal = context.signal;
  }

  static async of(archive: WalArchive, context: CallContext = {}): Promise<ArchiveView> {
    return new ArchiveView(archive, await readTimelines(archive, context), context);
  }

  get context(): CallContext {
    return { signal: this.#signal };
  }

  get segmentBytes(): number {
    return this.archive.info.segment_bytes;
  }

  segmentOf(lsn: Lsn): Lsn {
    return floorLsn(lsn, this.segmentBytes);
  }

  unitOf(lsn: Lsn): Lsn {
    return floorLsn(lsn, this.archive.unitBytes);
  }

  /** What is there of a timeline without gaps from the segment of a position on, by position. */
  async runs(timeline: number, from: Lsn): Promise<readonly WalRun[]> {
    const start = this.segmentOf(from);
    const known = this.#runs.get(timeline);
    if (known !== undefined && known.from <= start) return await known.runs;
    const runs = this.archive.runs(timeline, { from: start }, this.context);
    this.#runs.set(timeline, { from: start, runs });
    return await runs;
  }

  /** How far a timeline goes without a gap from a position on; undefined when it does not have that position. */
  async coveredTo(timeline: number, position: Lsn): Promise<Lsn | undefined> {
    const runs = await this.runs(timeline, position);
    const run = runs.find(({ start, end }) => start <= position && end > position);
    return run === undefined ? undefined : lsnOf(run.end);
  }

  /** Where the first run of a timeline begins that lies behind a position; undefined when there is none. */
  async nextAfter(timeline: number, position: Lsn): Promise<Lsn | undefined> {
    const runs = await this.runs(timeline, position);
    const run = runs.find(({ start }) => start > position);
    return run === undefined ? undefined : lsnOf(run.start);
  }
}
