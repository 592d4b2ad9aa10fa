import { isFailure, reasonOf } from '../kernel/errors/failure.ts';
import type { Storage } from './port.ts';

/** Below it lie the objects of a trial, each trial's apart; nothing else does. */
export const trialPrefix = 'trial/';

const dayMs = 86_400_000;
const largeBytes = 1_000_000;
const listed = 12;

export interface TrialOptions {
  /** Hexadecimal digits that no other trial has. */
  readonly id: string;
  readonly nowMs: number;
  readonly signal?: AbortSignal | undefined;
}

export interface Trial {
  /** What was tried and held. */
  readonly held: readonly string[];
  /** What did not, for people. */
  readonly failed: readonly { readonly what: string; readonly reason: string }[];
  /** Names of objects that could not be removed again. */
  readonly left: readonly string[];
}

/**
 * Tries on a user's own place what every storage must do: a small part of the conformance suite, with a few small objects
 * that are removed again. Nothing else in the place is touched. Rejects only when the signal aborts.
 */
export async function tryStorage(storage: Storage, options: TrialOptions): Promise<Trial> {
  const { signal } = options;
  const prefix = `${trialPrefix}${options.id}/`;
  const held: string[] = [];
  const failed: { what: string; reason: string }[] = [];
  const left: string[] = [];
  try {
    for (const [what, run] of Object.entries(checks)) {
      signal?.throwIfAborted();
      try {
        await run(storage, prefix, options);
        held.push(what);
      } catch (error) {
        signal?.throwIfAborted();
        failed.push({ what, reason: reasonOf(error) });
      }
    }
  } finally {
    left.push(...(await removeAll(storage, prefix)));
  }
  return { held, failed, left };
}

type Check = (storage: Storage, prefix: string, options: TrialOptions) => Promise<void>;

const checks: Readonly<Record<string, Check>> = {
  'what is stored comes back': async (storage, prefix, { signal }) => {
    for (const [name, bytes] of [
      ['empty', new Uint8Array(0)],
      ['small', pattern(5)],
      ['large', pattern(largeBytes)],
    ] as const) {
      await storage.put(prefix + name, bytes, { signal });
      const got = await storage.get(prefix + name, { signal });
      if (Buffer.compare(got, bytes) !== 0) throw new Error(`${bytes.length} bytes came back changed`);
    }
  },
  'ranges are read exactly': async (storage, prefix, { signal }) => {
    const range = { offset: 4000, length: 5000, signal };
    const got = await storage.get(`${prefix}large`, range);
    if (Buffer.compare(got, pattern(largeBytes).subarray(4000, 9000)) !== 0)
      throw new Error('a range came back as something else');
  },
  'nothing is overwritten': async (storage, prefix, { signal }) => {
    await storage.put(`${prefix}small`, pattern(5), { signal });
    const refused = await storage.put(`${prefix}small`, pattern(6), { signal }).then(
      () => false,
      (error: unknown) => {
        if (isFailure(error, 'object_exists')) return true;
        throw error;
      },
    );
    if (!refused) throw new Error('other bytes under a name that was taken were accepted');
    const got = await storage.get(`${prefix}small`, { signal });
    if (Buffer.compare(got, pattern(5)) !== 0) throw new Error('an object was overwritten');
  },
  'sizes and times are told': async (storage, prefix, { signal, nowMs }) => {
    const { sizeBytes, modifiedAtMs } = await storage.stat(`${prefix}large`, { signal });
    if (sizeBytes !== largeBytes) throw new Error(`of ${largeBytes} bytes ${sizeBytes} are told`);
    const hours = Math.round((modifiedAtMs - nowMs) / 3_600_000);
    if (!(Math.abs(modifiedAtMs - nowMs) < dayMs))
      throw new Error(
        `its clock is ${Math.abs(hours)} hours ${hours > 0 ? 'ahead of' : 'behind'} this machine's`,
      );
  },
  'listings are complete and in order': async (storage, prefix, { signal }) => {
    const names = Array.from(
      { length: listed },
      (_, i) => `${prefix}list/${i.toString(16)}${i % 2 === 0 ? '' : '-a'}`,
    );
    for (const name of names) await storage.put(name, pattern(3), { signal });
    const found: string[] = [];
    for await (const { name } of storage.list(`${prefix}list/`, { signal })) found.push(name);
    if (found.join() !== names.toSorted().join())
      throw new Error(`of ${listed} objects just stored ${found.length} are listed, or not in order`);
  },
  'what is not there is told so': async (storage, prefix, { signal }) => {
    const outcome = await storage.get(`${prefix}nothing`, { signal }).catch((error: unknown) => error);
    if (!isFailure(outcome, 'object_missing'))
      throw outcome instanceof Error ? outcome : new Error('bytes came of nothing');
  },
  'what is deleted is gone': async (storage, prefix, { signal }) => {
    await storage.delete(`${prefix}small`, { signal });
    await storage.delete(`${prefix}small`, { signal });
    const outcome = await storage.get(`${prefix}small`, { signal }).catch((error: unknown) => error);
    if (!isFailure(outcome, 'object_missing')) throw new Error('an object that was deleted is still there');
  },
};

/** Not abortable: it leaves nothing behind. Answers what could not be removed. */
async function removeAll(storage: Storage, prefix: string): Promise<string[]> {
  const left: string[] = [];
  try {
    const names: string[] = [];
    for await (const { name } of storage.list(prefix)) names.push(name);
    for (const name of names) await storage.delete(name).catch(() => left.push(name));
  } catch {
    left.push(prefix);
  }
  return left;
}

function pattern(sizeBytes: number): Uint8Array {
  const bytes = new Uint8Array(sizeBytes);
  for (let at = 0; at < sizeBytes; at += 1) bytes[at] = (at * 31 + (at >> 8) * 7 + sizeBytes) & 0xff;
  return bytes;
}
