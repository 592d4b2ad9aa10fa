import { lsnOf, type Lsn } from '../lsn.ts';
import {
  epochDifferenceUs,
  managers,
  transactionHasFlags,
  transactionInfo,
  transactionInfoMask,
  xlogInfo,
  xlogInfoMask,
} from './format.ts';
import { mainData } from './record-data.ts';
import type { WalRecord } from './record.ts';
import { preparedTransaction } from './transaction-parts.ts';

/** What recovery looks at when it goes to a target. Times are microseconds since 1970 unless named otherwise. */
export type WalEvent =
  | {
      readonly kind: 'commit' | 'abort';
      readonly xid: number;
      readonly atUs: bigint;
      /** It ended a prepared transaction: `xid` is that one's. */
      readonly wasPrepared: boolean;
    }
  | { readonly kind: 'restore_point'; readonly name: string; readonly atUs: bigint }
  | Checkpoint
  | TimelineBegin
  | ServerParameters
  | { readonly kind: 'switch' }
  /** Of the backup that began there; written by `pg_backup_stop()` on a primary. */
  | { readonly kind: 'backup_end'; readonly backupStart: Lsn };

export interface Checkpoint {
  readonly kind: 'checkpoint';
  readonly isShutdown: boolean;
  /** Where recovery from it begins. */
  readonly redo: Lsn;
  readonly timeline: number;
  readonly previousTimeline: number;
  readonly fullPageWrites: boolean;
  /** Seconds since 1970. */
  readonly atSeconds: bigint;
}

/** Recovery ended, and the server went on without a checkpoint. */
export interface TimelineBegin {
  readonly kind: 'end_of_recovery';
  readonly atUs: bigint;
  readonly timeline: number;
  readonly previousTimeline: number;
}

/** Settings that a standby must follow, when they change. */
export interface ServerParameters {
  readonly kind: 'parameters';
  readonly walLevel: 'minimal' | 'replica' | 'logical' | 'unknown';
  readonly maxConnections: number;
  readonly maxWorkerProcesses: number;
  readonly maxWalSenders: number;
  readonly maxPreparedTransactions: number;
  readonly maxLocksPerTransaction: number;
}

const walLevels = ['minimal', 'replica', 'logical'] as const;
const ends: ReadonlySet<number> = new Set(Object.values(transactionInfo));
const decoded: ReadonlySet<number> = new Set(Object.values(xlogInfo));

/** For a reader's `wants`: the records that `decodeRecord` knows. */
export function isDecoded(rmid: number, info: number): boolean {
  if (rmid === managers.transaction) return ends.has(info & transactionInfoMask);
  return rmid === managers.xlog && decoded.has(info & xlogInfoMask);
}

/** For a reader's `wants`: commits, aborts and restore points. */
export function isTarget(rmid: number, info: number): boolean {
  if (rmid === managers.transaction) return ends.has(info & transactionInfoMask);
  return rmid === managers.xlog && (info & xlogInfoMask) === xlogInfo.restorePoint;
}

/** Undefined for a record of another kind, without its data, or that does not parse. */
export function decodeRecord(record: WalRecord): WalEvent | undefined {
  if (record.data === undefined || !isDecoded(record.rmid, record.info)) return undefined;
  const main = mainData(record.data, record.major);
  if (main === undefined) return undefined;
  return record.rmid === managers.transaction ? decodeEnd(record, main) : decodeXlog(record, main);
}

function decodeEnd(record: WalRecord, main: DataView): WalEvent | undefined {
  const kindOfEnd = record.info & transactionInfoMask;
  const wasPrepared =
    kindOfEnd === transactionInfo.commitPrepared || kindOfEnd === transactionInfo.abortPrepared;
  const isCommit = kindOfEnd === transactionInfo.commit || kindOfEnd === transactionInfo.commitPrepared;
  if (main.byteLength < 8) return undefined;
  const hasFlags = (record.info & transactionHasFlags) !== 0;
  const prepared = wasPrepared && hasFlags ? preparedTransaction(main, record.major, isCommit) : undefined;
  if (wasPrepared && prepared === undefined) return undefined;
  const xid = prepared ?? record.xid;
  return { kind: isCommit ? 'commit' : 'abort', xid, atUs: microseconds(main, 0), wasPrepared };
}

function decodeXlog(record: WalRecord, main: DataView): WalEvent | undefined {
  switch (record.info & xlogInfoMask) {
    case xlogInfo.shutdownCheckpoint:
    case xlogInfo.onlineCheckpoint:
      return decodeCheckpoint(record, main);
    case xlogInfo.switch:
      return { kind: 'switch' };
    case xlogInfo.backupEnd:
      return main.byteLength < 8
        ? undefined
        : { kind: 'backup_end', backupStart: lsnOf(main.getBigUint64(0, true)) };
    case xlogInfo.parameterChange:
      return decodeParameters(main);
    case xlogInfo.restorePoint:
      return main.byteLength < 72
        ? undefined
        : { kind: 'restore_point', name: textAt(main, 8, 64), atUs: microseconds(main, 0) };
    case xlogInfo.endOfRecovery:
      return decodeEndOfRecovery(main);
    default:
      return undefined;
  }
}

function decodeCheckpoint(record: WalRecord, main: DataView): WalEvent | undefined {
  if (main.byteLength < 72) return undefined;
  return {
    kind: 'checkpoint',
    isShutdown: (record.info & xlogInfoMask) === xlogInfo.shutdownCheckpoint,
    redo: lsnOf(main.getBigUint64(0, true)),
    timeline: main.getUint32(8, true),
    previousTimeline: main.getUint32(12, true),
    fullPageWrites: main.getUint8(16) !== 0,
    atSeconds: main.getBigInt64(64, true),
  };
}

function decodeParameters(main: DataView): WalEvent | undefined {
  if (main.byteLength < 24) return undefined;
  const setting = (index: number): number => main.getInt32(index * 4, true);
  return {
    kind: 'parameters',
    maxConnections: setting(0),
    maxWorkerProcesses: setting(1),
    maxWalSenders: setting(2),
    maxPreparedTransactions: setting(3),
    maxLocksPerTransaction: setting(4),
    walLevel: walLevels[setting(5)] ?? 'unknown',
  };
}

function decodeEndOfRecovery(main: DataView): WalEvent | undefined {
  if (main.byteLength < 16) return undefined;
  return {
    kind: 'end_of_recovery',
    atUs: microseconds(main, 0),
    timeline: main.getUint32(8, true),
    previousTimeline: main.getUint32(12, true),
  };
}

function microseconds(view: DataView, at: number): bigint {
  return view.getBigInt64(at, true) + epochDifferenceUs;
}

/** Up to the first NUL. */
function textAt(view: DataView, at: number, maxBytes: number): string {
  const bytes = Buffer.from(view.buffer, view.byteOffset + at, maxBytes);
  const length = bytes.indexOf(0);
  return bytes.toString('utf8', 0, length === -1 ? maxBytes : length);
}
