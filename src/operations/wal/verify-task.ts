import { siblingModule } from '../../kernel/module-url.ts';
import { release } from '../../kernel/release.ts';
import type { PipelineKeys } from '../../pipeline/keys.ts';
import type { TaskContext, TaskModule } from '../../pipeline/task.ts';
import { decodeWalObject } from '../../repository/wal/object.ts';
import { sizeFrom } from '../../repository/wal/stretches.ts';
import { damageIn } from './verify-damage.ts';
import { walkRange, type WalkedRange, type WalkExpectations } from './verify-walk.ts';

export interface ObjectToCheck {
  readonly name: string;
  readonly start: bigint;
  readonly end: bigint;
  readonly stored: Uint8Array;
}

/** All objects of one unit. */
export interface UnitToCheck {
  readonly keys: PipelineKeys;
  readonly unitStart: bigint;
  readonly unitBytes: number;
  readonly expected: WalkExpectations;
  /** Whether the records are to be followed. */
  readonly walks: boolean;
  /** By position. */
  readonly objects: readonly ObjectToCheck[];
}

export interface CheckedUnit {
  readonly damaged: readonly { readonly name: string; readonly reason: string }[];
  /** By position; what lies between two of them is damaged or not there. */
  readonly ranges: readonly WalkedRange[];
}

export const checkUnitTask: TaskModule<UnitToCheck, CheckedUnit> = {
  url: siblingModule(import.meta.url, './verify-task.ts'),
  exportName: 'checkUnit',
};

/** Opens the objects of a unit, compares where they overlap, and follows the records in what they hold. */
export async function checkUnit(unit: UnitToCheck, context: TaskContext): Promise<CheckedUnit> {
  const damaged: { name: string; reason: string }[] = [];
  const plain = new Uint8Array(unit.unitBytes);
  const filled: { start: bigint; end: bigint }[] = [];
  for (const one of unit.objects) {
    context.signal.throwIfAborted();
    try {
      const place = { timeline: unit.expected.timeline, start: one.start, end: one.end };
      const { bytes } = decodeWalObject(unit.keys, one.name, one.stored, (head) => sizeFrom(head, place));
      fill(unit, plain, filled, one, bytes);
      release(bytes);
    } catch (error) {
      damaged.push({ name: one.name, reason: damageIn(error) });
    }
  }
  const ranges: WalkedRange[] = [];
  if (unit.walks) {
    for (const { start, end } of filled) {
      const bytes = plain.subarray(Number(start - unit.unitStart), Number(end - unit.unitStart));
      ranges.push(walkRange(start, bytes, unit.expected));
    }
  }
  const answer = { damaged, ranges: ranges.map(withOwnBytes) };
  release(plain);
  return answer;
}

/** Puts bytes at their place. Throws where others are there already that differ. */
function fill(
  { unitStart }: UnitToCheck,
  plain: Uint8Array,
  filled: { start: bigint; end: bigint }[],
  { start, end }: ObjectToCheck,
  bytes: Uint8Array,
): void {
  for (const other of filled) {
    const [from, to] = [other.start > start ? other.start : start, other.end < end ? other.end : end];
    if (from >= to) continue;
    const there = plain.subarray(Number(from - unitStart), Number(to - unitStart));
    if (Buffer.compare(there, bytes.subarray(Number(from - start), Number(to - start))) !== 0)
      throw new Error('another object holds other bytes of the same positions');
  }
  plain.set(bytes, Number(start - unitStart));
  const last = filled.at(-1);
  if (last === undefined || start > last.end) filled.push({ start, end });
  else if (end > last.end) last.end = end;
}

/** Views would be sent with all of the unit behind them. */
function withOwnBytes(range: WalkedRange): WalkedRange {
  const { head, tail } = range;
  return {
    ...range,
    head: head.slice(),
    tail: tail === null ? null : { ...tail, bytes: tail.bytes.slice() },
  };
}
