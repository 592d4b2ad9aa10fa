import type { Clock } from '../../kernel/clock.ts';
import { isFailure, reasonOf, type HoldfastError } from '../../kernel/errors/failure.ts';
import type { Compression } from '../../pipeline/codec.ts';
import { putInQuarantine } from '../../repository/quarantine.ts';
import type { Repository } from '../../repository/repository.ts';
import type { OperationContext } from '../contract.ts';
import { assertAsWritten, type GoodSources } from './good-sources.ts';
import type { DoneStep, RepairStep } from './report.ts';

/** What the parts of a repair share. */
export interface RepairContext extends OperationContext {
  readonly repository: Repository;
  readonly sources: GoodSources;
  readonly clock: Pick<Clock, 'now'>;
  readonly compression: Compression;
  readonly host: string;
  readonly user: string;
  /** Nothing is written: steps are told only. */
  readonly dryRun: boolean;
  readonly tell: (step: DoneStep) => void;
}

/** What is stored under a name now. */
export type ObjectState =
  | { readonly state: 'missing' }
  | { readonly state: 'good'; readonly bytes: Uint8Array }
  | { readonly state: 'damaged'; readonly bytes: Uint8Array; readonly reason: string };

/** Reads an object anew: what was found damaged may have been read wrongly once. */
export async function stateOf(
  { repository, signal }: Pick<RepairContext, 'repository' | 'signal'>,
  name: string,
): Promise<ObjectState> {
  let bytes: Uint8Array;
  try {
    bytes = await repository.storage.get(name, { signal });
  } catch (error) {
    if (isFailure(error, 'object_missing')) return { state: 'missing' };
    throw error;
  }
  try {
    assertAsWritten(repository, name, bytes);
    return { state: 'good', bytes };
  } catch (error) {
    return { state: 'damaged', bytes, reason: reasonOf(error) };
  }
}

/** The object made way, and lies in the quarantine unless it was missing; or why it stays after all. */
export type Exchanged = { readonly quarantined: string | null } | { readonly stays: string };

/**
 * Puts `good` where a damaged object is, or nothing: first a copy of the damaged one is safe in the quarantine, then it
 * goes, then the good one comes. Broken off in between, the object is missing, and the next repair finds it so. Without
 * `good` the damaged one only makes way. It is read once more right before it goes: what reads otherwise then was read
 * wrongly, or mended by somebody else meanwhile, and nothing is removed. Rejects when it cannot be removed.
 */
export async function exchange(
  context: Pick<RepairContext, 'repository' | 'signal'>,
  name: string,
  damaged: Uint8Array | undefined,
  good: Uint8Array | undefined,
): Promise<Exchanged> {
  const { repository, signal } = context;
  const { storage } = repository;
  let quarantined: string | null = null;
  if (damaged !== undefined) {
    quarantined = await putInQuarantine(storage, name, damaged, signal);
    const now = await stateOf(context, name);
    const isSame = now.state === 'damaged' && Buffer.compare(now.bytes, damaged) === 0;
    if (now.state !== 'missing' && !isSame) {
      await storage.delete(quarantined, { signal });
      return { stays: now.state === 'good' ? readGood : 'it reads differently each time' };
    }
    if (isSame) await storage.delete(name, { signal });
  }
  // From here on it must not be left missing for a Ctrl-C.
  if (good !== undefined) await storage.put(name, good).catch(unlessGood(context, name));
  return { quarantined };
}

const readGood = 'it is good now that it is read again';

/** Somebody else may have put the same there meanwhile. */
function unlessGood(context: Pick<RepairContext, 'repository' | 'signal'>, name: string) {
  return async (error: unknown): Promise<void> => {
    if (!isFailure(error, 'object_exists')) throw error;
    if ((await stateOf(context, name)).state !== 'good') throw error;
  };
}

/** Why a damaged object has to stay; undefined for what should end the repair. */
export function cannotBeRemoved(error: unknown): HoldfastError | undefined {
  const names = ['storage_denied', 'storage_locked', 'storage_read_only'];
  return isFailure(error) && names.includes(error.errorName) ? error : undefined;
}

export function stepOf(
  action: RepairStep['action'],
  object: string,
  { from = null, note = null }: Partial<Pick<RepairStep, 'from' | 'note'>> = {},
): RepairStep {
  return { action, object, from, note };
}
