import { failure, isFailure } from '../../kernel/errors/failure.ts';
import { floorLsn, formatLsn, zeroLsn, type Lsn } from '../../postgres/lsn.ts';
import type { Replication, SystemIdentity } from '../../postgres/replication/replication.ts';
import { parseTimelineHistory, timelinePath, type TimelinePart } from '../../postgres/wal/history.ts';
import { streamLeg, type Leg, type LegOptions } from './stream-leg.ts';
import { missingOn, oldestKept, segmentOf, type Missing } from './stream-plan.ts';
import type { StreamSlot } from './stream-slot.ts';
import type { StreamContext } from './stream-told.ts';

export interface SessionOptions extends Omit<LegOptions, 'replication'> {
  readonly server: string;
  readonly streamSlot: StreamSlot;
  /** End when all is stored that the server had written when the stream began. */
  readonly once: boolean;
  /** What the server turned out not to have: kept from one connection to the next. */
  readonly gone: GoneWal;
}

type Path = readonly TimelinePart[];

/** WAL that was found to be gone, by where it begins. */
export class GoneWal {
  readonly gaps: { readonly timeline: number; readonly from: Lsn; readonly to: Lsn }[] = [];
  readonly #found = new Map<string, Lsn | null>();

  /** What may still be had of what is missing; undefined when it is nothing. */
  remains(missing: Missing): Missing | undefined {
    const { timeline, to } = missing;
    let { from } = missing;
    for (;;) {
      const kept = this.#found.get(`${timeline}:${from}`);
      if (kept === undefined) return { ...missing, from };
      if (kept === null || (to !== null && kept >= to)) return undefined;
      from = kept;
    }
  }

  /** `kept`: where the server has WAL again; null: nowhere before the next that is stored. */
  add({ timeline, from }: Missing, kept: Lsn | null): void {
    this.#found.set(`${timeline}:${from}`, kept);
  }
}

/** One connection: follows the server through its timelines for as long as that lasts. */
export class StreamSession {
  readonly #replication: Replication;
  readonly #options: SessionOptions;
  readonly #context: StreamContext;
  #until: Lsn | undefined;

  constructor(replication: Replication, options: SessionOptions, context: StreamContext) {
    this.#replication = replication;
    this.#options = options;
    this.#context = context;
  }

  /** Rejects with what ended the connection, and with what cannot be stored. */
  async run(): Promise<'stopped' | 'caught_up'> {
    let last: Missing | undefined;
    for (;;) {
      const identity = await this.#replication.identifySystem();
      if (this.#options.once) this.#until ??= identity.flushedTo;
      const path = await this.#storeHistories(identity);
      const missing = await this.#nextMissing(path);
      // A timeline that ended without anything new ends like that for ever.
      if (missing !== undefined && last?.timeline === missing.timeline && last.from === missing.from) {
        this.#tellGap(missing, null);
        last = undefined;
        continue;
      }
      last = missing;
      const leg = await this.#legOf(missing, path, identity);
      try {
        const ended = await this.#stream(leg, path);
        if (ended !== 'timeline_ended') return ended;
        this.#context.observer.told({ state: 'timeline_ended', timeline: leg.timeline });
      } catch (error) {
        if (missing === undefined || !isFailure(error, 'wal_removed_on_server')) throw error;
        await this.#passOver(leg, identity, error);
        last = undefined;
      }
    }
  }

  async #stream(leg: Leg, path: Path): ReturnType<typeof streamLeg> {
    const isLast = leg.timeline === path.at(-1)?.timeline;
    const until = isLast ? this.#until : undefined;
    return await streamLeg(
      { ...leg, until },
      { ...this.#options, replication: this.#replication },
      this.#context,
    );
  }

  /** Histories come before the WAL of their timelines: without them nobody could follow it. */
  async #storeHistories({ timeline }: SystemIdentity): Promise<Path> {
    const { archive, repository } = this.#options;
    const { signal } = this.#context;
    const own = await this.#replication.timelineHistory(timeline);
    const path =
      own === null
        ? [{ timeline, start: zeroLsn, end: undefined }]
        : timelinePath(parseTimelineHistory(timeline, own.content));
    for (const step of path) {
      const history =
        step.timeline === timeline ? own : await this.#replication.timelineHistory(step.timeline);
      if (history === null) continue;
      await repository.call(() => archive.putFile(history.name, history.content, { signal }));
    }
    return path;
  }

  /** The first that is missing and may still be had; undefined when nothing is stored yet. */
  async #nextMissing(path: Path): Promise<Missing | undefined> {
    const { archive, repository, gone } = this.#options;
    const { signal } = this.#context;
    const all = await repository.call(() => missingOn(archive, path, { signal }));
    return all.map((missing) => gone.remains(missing)).find((missing) => missing !== undefined);
  }

  async #legOf(missing: Missing | undefined, path: Path, identity: SystemIdentity): Promise<Leg> {
    const { archive, streamSlot, server } = this.#options;
    if (missing === undefined) {
      const { lsn, timeline } = (await streamSlot.keptFrom()) ?? {
        lsn: identity.flushedTo,
        timeline: identity.timeline,
      };
      return { timeline: timeline ?? timelineAt(path, lsn), from: segmentOf(archive, lsn), until: undefined };
    }
    const { timeline, from, to } = missing;
    if (to === null && floorLsn(from, archive.unitBytes) > identity.flushedTo) {
      const at = formatLsn(identity.flushedTo);
      throw failure('wal_stream_behind', { server, at, lsn: formatLsn(from), timeline });
    }
    return { timeline, from, until: undefined };
  }

  /** What was asked for is gone: looks for the first that is there, and tells what is lost. */
  async #passOver(leg: Leg, { flushedTo }: SystemIdentity, error: Error): Promise<void> {
    const { archive } = this.#options;
    const path = await this.#storeHistories(await this.#replication.identifySystem());
    const missing = await this.#nextMissing(path);
    if (missing === undefined || missing.timeline !== leg.timeline) throw error;
    const to = missing.to === null || missing.to > flushedTo ? flushedTo : missing.to;
    const isThere = (start: Lsn): Promise<boolean> => this.#isThere(leg.timeline, start);
    const kept = await oldestKept(archive, { from: missing.from, to }, isThere);
    if (kept === null && missing.to === null) throw error;
    this.#tellGap(missing, kept);
  }

  #tellGap(missing: Missing, kept: Lsn | null): void {
    const { gone, archive, server } = this.#options;
    const { timeline, from, isSpare } = missing;
    const to = kept ?? missing.to ?? from;
    gone.add(missing, kept);
    if (isSpare || to <= from) return;
    // Behind a gap of before there is WAL already; a new one ends where we go on.
    if (kept !== null) gone.gaps.push({ timeline, from, to });
    const { source } = archive.info;
    const error = failure('wal_stream_gap', {
      source,
      server,
      timeline,
      from: formatLsn(from),
      to: formatLsn(to),
    });
    this.#context.observer.told({ state: 'gap', timeline, lsn: from, error });
  }

  async #isThere(timeline: number, start: Lsn): Promise<boolean> {
    try {
      await using stream = await this.#replication.stream({ start, timeline });
      for await (const message of stream.messages()) if (message.kind === 'wal') return true;
      return false;
    } catch (error) {
      if (isFailure(error, 'wal_removed_on_server')) return false;
      throw error;
    }
  }
}

function timelineAt(path: Path, lsn: Lsn): number {
  return path.find(({ end }) => end === undefined || lsn < end)?.timeline ?? path.at(-1)?.timeline ?? 1;
}
