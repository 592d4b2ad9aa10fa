import { isFailure } from '../../kernel/errors/failure.ts';
import type { Lsn } from '../lsn.ts';
import { quoteIdentifier } from '../names.ts';
import { lsnIn, nullableText, numberIn, runCommand } from './commands.ts';
import type { Link } from './link.ts';

export interface SlotState {
  /** The server keeps WAL from here on; null when the slot keeps none yet. */
  readonly restartLsn: Lsn | null;
  /** The timeline that position is on. */
  readonly restartTimeline: number | null;
}

export interface SlotOptions {
  /** Keep WAL from now on, not only from when the slot is used first. Default true. */
  readonly reserveWal?: boolean;
  /** Gone when this connection ends. */
  readonly temporary?: boolean;
}

export async function createSlot(
  link: Link,
  version: number,
  name: string,
  { reserveWal = true, temporary = false }: SlotOptions,
): Promise<void> {
  const reserve = version >= 150_000 ? ' (RESERVE_WAL)' : ' RESERVE_WAL';
  const sql = `CREATE_REPLICATION_SLOT ${quoteIdentifier(name)}${temporary ? ' TEMPORARY' : ''} PHYSICAL`;
  await runCommand(link, `${sql}${reserveWal ? reserve : ''}`, { slot: name });
}

export async function dropSlot(link: Link, name: string, wait: boolean): Promise<void> {
  await runCommand(link, `DROP_REPLICATION_SLOT ${quoteIdentifier(name)}${wait ? ' WAIT' : ''}`, {
    slot: name,
  });
}

/** Null: there is no such slot. `unknown`: servers before 15 do not tell over this protocol. */
export async function readSlot(
  link: Link,
  version: number,
  name: string,
): Promise<SlotState | null | 'unknown'> {
  if (version < 150_000) return 'unknown';
  const [[row] = []] = await runCommand(link, `READ_REPLICATION_SLOT ${quoteIdentifier(name)}`, {
    slot: name,
  });
  if (nullableText(row, 0) === undefined) return null;
  return {
    restartLsn: nullableText(row, 1) === undefined ? null : lsnIn(link, row, 1),
    restartTimeline: nullableText(row, 2) === undefined ? null : numberIn(link, row, 2),
  };
}

export interface TimelineHistory {
  /** `00000002.history` */
  readonly name: string;
  readonly content: Uint8Array;
}

/** Null where there is none: timeline 1 never has a history. */
export async function timelineHistory(link: Link, timeline: number): Promise<TimelineHistory | null> {
  if (timeline < 2) return null;
  try {
    const [[row] = []] = await runCommand(link, `TIMELINE_HISTORY ${timeline}`, { timeline });
    return { name: nullableText(row, 0) ?? '', content: row?.[1] ?? Buffer.alloc(0) };
  } catch (error) {
    // SQLSTATE undefined_file, in whatever language the server says it.
    if (isFailure(error, 'postgres_query_failed') && error.hint.includes('58P01')) return null;
    throw error;
  }
}
