import { unscannedFacts } from '../src/contract/wal.ts';
import { addToLsn, floorLsn, formatLsn, lsnOf, type Lsn } from '../src/postgres/lsn.ts';
import { historyName } from '../src/postgres/wal/names.ts';
import { WalRecordReader } from '../src/postgres/wal/reader.ts';
import { scanWal } from '../src/postgres/wal/scan.ts';
import { decodeRecord, isTarget, type WalEvent } from '../src/postgres/wal/transactions.ts';
import type { ClusterBackup } from '../src/operations/recovery/backups.ts';
import type { PostgresTarget } from '../src/operations/recovery/target-model.ts';
import type { WalArchive } from '../src/repository/wal/model.ts';
import { WalWriter } from './wal-writer.ts';

export const segmentBytes = 1 << 20;
const epoch2000 = 946_684_800_000_000n;

export type ModelOp =
  | { readonly do: 'commit' | 'abort'; readonly xid: number; readonly atUs: number }
  | { readonly do: 'point'; readonly name: string; readonly atUs: number }
  | { readonly do: 'fill'; readonly bytes: number }
  | { readonly do: 'switch' };

export interface ModelTimeline {
  readonly timeline: number;
  readonly parent: ModelTimeline | undefined;
  /** So many operations of the parent, its own inheritance counted, came before. */
  readonly forkIndex: number;
  readonly own: ModelOp[];
}

/** WAL of a cluster with branches, made of operations; and how PostgreSQL would recover from an archive of it. */
export class RecoveryModel {
  readonly timelines: ModelTimeline[] = [{ timeline: 1, parent: undefined, forkIndex: 0, own: [] }];

  readonly #written = new Map<ModelTimeline, WrittenTimeline>();

  branch(parent: ModelTimeline, forkIndex: number): ModelTimeline {
    const made = { timeline: this.timelines.length + 1, parent, forkIndex, own: [] };
    this.timelines.push(made);
    return made;
  }

  /** All operations of a timeline with those it inherits, each with the timeline it was done on. */
  ops(of: ModelTimeline): { readonly op: ModelOp; readonly timeline: number }[] {
    const inherited = of.parent === undefined ? [] : this.ops(of.parent).slice(0, of.forkIndex);
    return [...inherited, ...of.own.map((op) => ({ op, timeline: of.timeline }))];
  }

  /** The WAL from 0/1000000 on, and where each operation ended. */
  write(of: ModelTimeline): WrittenTimeline {
    const ops = this.ops(of);
    const known = this.#written.get(of);
    if (known?.ends.length === ops.length) return known;
    const writer = new WalWriter({
      start: modelStart,
      segmentBytes,
      timeline: 1,
      systemIdentifier: BigInt(modelSystem),
    });
    const ends: Lsn[] = [];
    for (const { op, timeline } of ops) {
      writer.timeline = timeline;
      writer.add(recordOf(op));
      ends.push(lsnOf(writer.position));
    }
    const written = { bytes: writer.bytes(), ends, end: ends.at(-1) ?? modelStart };
    this.#written.set(of, written);
    return written;
  }

  /** Where a timeline leaves each one that it comes from, the oldest first. */
  forks(of: ModelTimeline): { readonly timeline: number; readonly at: Lsn }[] {
    if (of.parent === undefined) return [];
    const at = this.write(of.parent).ends[of.forkIndex - 1] ?? modelStart;
    return [...this.forks(of.parent).filter((fork) => fork.at < at), { timeline: of.parent.timeline, at }];
  }

  history(of: ModelTimeline): string {
    return this.forks(of)
      .map(({ timeline, at }) => `${timeline}\t${formatLsn(at)}\tno recovery target specified\n`)
      .join('\n');
  }
}

export const modelStart = lsnOf(0x100_0000n);
export const modelSystem = '7300000000000000001';

export interface WrittenTimeline {
  readonly bytes: Buffer;
  readonly ends: readonly Lsn[];
  readonly end: Lsn;
}

function recordOf(op: ModelOp): { xid?: number; rmid?: number; info?: number; data: Uint8Array } {
  switch (op.do) {
    case 'commit':
    case 'abort': {
      const main = Buffer.alloc(8);
      main.writeBigInt64LE(BigInt(op.atUs) - epoch2000);
      return {
        xid: op.xid,
        rmid: 1,
        info: op.do === 'commit' ? 0 : 0x20,
        data: Buffer.concat([Buffer.from([255, 8]), main]),
      };
    }
    case 'point': {
      const main = Buffer.alloc(72);
      main.writeBigInt64LE(BigInt(op.atUs) - epoch2000);
      main.write(op.name, 8);
      return { rmid: 0, info: 0x70, data: Buffer.concat([Buffer.from([255, 72]), main]) };
    }
    case 'fill': {
      const header = Buffer.from([254, 0, 0, 0, 0]);
      header.writeUInt32LE(op.bytes, 1);
      return { data: Buffer.concat([header, Buffer.alloc(op.bytes, 7)]) };
    }
    case 'switch':
      return { rmid: 0, info: 0x40, data: Buffer.alloc(0) };
  }
}

/** Stores a timeline's own segments but those in `without`, and its history. Up to `end` only, where that is given. */
export async function archiveTimeline(
  archive: WalArchive,
  model: RecoveryModel,
  of: ModelTimeline,
  options: {
    readonly without?: ReadonlySet<bigint>;
    /** Of these only the first half is there. */
    readonly torn?: ReadonlySet<bigint>;
    readonly end?: Lsn;
    readonly unscanned?: boolean;
    readonly withoutHistory?: boolean;
  } = {},
): Promise<void> {
  const { bytes } = model.write(of);
  const forks = model.forks(of);
  if (forks.length > 0 && options.withoutHistory !== true)
    await archive.putFile(historyName(of.timeline), Buffer.from(model.history(of)));
  const from = floorLsn(forks.at(-1)?.at ?? modelStart, segmentBytes);
  const all = addToLsn(modelStart, bytes.length);
  const end = options.end !== undefined && options.end < all ? options.end : all;
  for (let start = from; start < end; start = addToLsn(start, segmentBytes)) {
    if (options.without?.has(start / BigInt(segmentBytes)) === true) continue;
    const isTorn = options.torn?.has(start / BigInt(segmentBytes)) === true;
    const most = isTorn ? segmentBytes / 2 : segmentBytes;
    const stop = end - start < BigInt(most) ? end : addToLsn(start, most);
    const part = bytes.subarray(Number(start - modelStart), Number(stop - modelStart));
    const facts = options.unscanned === true ? unscannedFacts : scanWal(part, start);
    await archive.put({ timeline: of.timeline, start, bytes: part }, facts);
  }
}

export interface Replayed {
  readonly outcome: 'stopped' | 'end' | 'not_consistent' | 'target_missed';
  /** Behind the last record that was replayed. */
  readonly lsn: Lsn;
  readonly events: readonly { readonly end: Lsn; readonly event: WalEvent }[];
}

/**
 * What PostgreSQL would do: segments as it asks for them, records one after the other, its rules for stopping. With
 * `staysOnPath` as if WAL ended where the next timeline branches off, when that one's is not there.
 */
export async function simulateRecovery(
  archive: WalArchive,
  steps: readonly { readonly timeline: number; readonly from: Lsn }[],
  backup: ClusterBackup,
  target: PostgresTarget | null,
  { staysOnPath = false }: { readonly staysOnPath?: boolean } = {},
): Promise<Replayed> {
  const start = floorLsn(backup.start, segmentBytes);
  const reader = new WalRecordReader({ start, wants: isTarget, segmentBytes });
  const events: { readonly end: Lsn; readonly event: WalEvent }[] = [];
  let lsn = backup.start;
  let isOver: 'before' | 'after' | undefined;
  let oldest = 0;
  let hasLeft = false;
  const stops = stopRule(target, backup);
  for (
    let segment = start;
    isOver === undefined && !hasLeft && reader.stopped === undefined;
    segment = addToLsn(segment, segmentBytes)
  ) {
    let bytes: Uint8Array | undefined;
    for (let index = steps.length - 1; index >= oldest && bytes === undefined; index -= 1) {
      const step = steps[index];
      if (step === undefined || floorLsn(step.from, segmentBytes) > segment) continue;
      const found = await archive.readUnit(step.timeline, segment);
      if (await isTorn(archive, step.timeline, addToLsn(segment, found.length), found.length)) break;
      if (found.length === 0) continue;
      bytes = found;
      oldest = index;
    }
    if (bytes === undefined) break;
    const whole = Buffer.alloc(segmentBytes);
    whole.set(bytes);
    reader.add(whole, (record) => {
      const end = steps[oldest + 1]?.from;
      if (isOver !== undefined || record.start < backup.start || hasLeft) return;
      if (staysOnPath && end !== undefined && record.start >= end) {
        hasLeft = true;
        return;
      }
      const event = decodeRecord(record);
      if (stops('before', record.start, lsn, event)) {
        isOver = 'before';
        return;
      }
      lsn = record.end;
      if (event !== undefined) events.push({ end: record.end, event });
      if (stops('after', record.start, lsn, event)) isOver = 'after';
    });
  }
  if (lsn < backup.stop) return { outcome: 'not_consistent', lsn, events };
  if (isOver !== undefined) return { outcome: 'stopped', lsn, events };
  return { outcome: target === null ? 'end' : 'target_missed', lsn, events };
}

/** Whether `wal get` refuses a segment, for its timeline goes on behind what there is of it. */
async function isTorn(archive: WalArchive, timeline: number, end: Lsn, length: number): Promise<boolean> {
  if (length === 0 || length === segmentBytes) return false;
  for await (const stretch of archive.stretches(timeline, { from: end })) if (stretch.end > end) return true;
  return false;
}

type Stops = (when: 'before' | 'after', start: Lsn, replayed: Lsn, event: WalEvent | undefined) => boolean;

function stopRule(target: PostgresTarget | null, backup: ClusterBackup): Stops {
  return (when, start, replayed, event) => {
    const end = event?.kind === 'commit' || event?.kind === 'abort' ? event : undefined;
    switch (target?.kind) {
      case 'immediate':
        return replayed >= backup.stop;
      case 'lsn':
        return (when === 'after') === target.inclusive && start >= target.value;
      case 'xid':
        return (when === 'after') === target.inclusive && end?.xid === Number(target.value);
      case 'time': {
        if (when === 'after' || end === undefined) return false;
        return target.inclusive ? Number(end.atUs) > target.value : Number(end.atUs) >= target.value;
      }
      case 'name':
        return when === 'after' && event?.kind === 'restore_point' && event.name === target.value;
      default:
        return false;
    }
  };
}
