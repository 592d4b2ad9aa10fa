import { randomBytes } from 'node:crypto';
import type { Storage } from '../../storage/port.ts';
import { clockPrefix } from '../layout.ts';

/**
 * The time by the storage's own clock, in milliseconds since 1970: that of an object written for it and removed again.
 * Ages of objects are only ever taken between two times of this clock.
 */
export async function storageNow(storage: Storage, signal?: AbortSignal): Promise<number> {
  const name = `${clockPrefix}${randomBytes(16).toString('hex')}`;
  await storage.put(name, new Uint8Array(0), { signal });
  const { modifiedAtMs } = await storage.stat(name, { signal });
  await storage.delete(name, { signal });
  return modifiedAtMs;
}

/** Clocks may differ by so much without one of them being wrong. */
const agreeMs = 600_000;

/**
 * The time to count periods from whose end makes something go: that of the machine, or that of the storage where the machine
 * is ahead of it. In milliseconds since 1970.
 */
export function earlierOf(storageMs: number, machineMs: number): number {
  return machineMs - storageMs > agreeMs ? storageMs : machineMs;
}
