import type { BigIntStats } from 'node:fs';
import { chmod, lstat, readdir } from 'node:fs/promises';
import { setTimeout } from 'node:timers/promises';
import { withSlash } from './location.ts';

/** What tells whether something is still what a restore put there. */
export interface Proof {
  readonly before: BigIntStats;
  /** As it was after it was put there; null: not to be looked at. */
  readonly ctimeNs: bigint | null;
}

const tickMs = 5;
const mostTicks = 10;

/**
 * The time of a file system, by a directory on it. File systems keep times in steps; it resolves when a new step has
 * begun, so that what is changed from now on has a later time than this.
 */
export async function nextTick(directory: string): Promise<bigint> {
  const touch = async (): Promise<bigint> => {
    await chmod(directory, 0o700);
    return (await lstat(directory, { bigint: true })).ctimeNs;
  };
  const now = await touch();
  for (let tick = 0; tick < mostTicks && (await touch()) === now; tick += 1) await setTimeout(tickMs);
  return now;
}

/** Of what was `before` and is now at `path`; undefined when it is another thing, or was changed. */
export async function proofOf(path: Buffer, before: BigIntStats): Promise<Proof | undefined> {
  const after = await lstat(path, { bigint: true }).catch(() => undefined);
  // Names of one file change its time when they are put in place.
  const ctimeNs = after === undefined || hasSeveralNames(after) ? null : after.ctimeNs;
  return after !== undefined && isSame(before, after) ? { before, ctimeNs } : undefined;
}

/** Whether nobody has changed what is at `path`, nor anything in it since `sealedNs`. False when that cannot be told. */
export async function isUntouched(path: Buffer, proof: Proof, sealedNs: bigint): Promise<boolean> {
  const { before, ctimeNs } = proof;
  try {
    const now = await lstat(path, { bigint: true });
    if (!isSame(before, now) || (ctimeNs !== null && ctimeNs !== now.ctimeNs)) return false;
    return !now.isDirectory() || (await isOldWithin(path, sealedNs));
  } catch {
    return false;
  }
}

async function isOldWithin(directory: Buffer, sealedNs: bigint): Promise<boolean> {
  for (const name of await readdir(directory, { encoding: 'buffer' })) {
    const path = Buffer.concat([withSlash(directory), name]);
    const info = await lstat(path, { bigint: true });
    const changed = hasSeveralNames(info) ? info.mtimeNs : info.ctimeNs;
    if (changed > sealedNs) return false;
    if (info.isDirectory() && !(await isOldWithin(path, sealedNs))) return false;
  }
  return true;
}

function isSame(one: BigIntStats, other: BigIntStats): boolean {
  // What room a directory takes and when it was changed are not the same where it has another place.
  if (one.ino !== other.ino || one.dev !== other.dev) return false;
  // Of directories it is what is in them that tells.
  return one.isDirectory() || (one.mtimeNs === other.mtimeNs && one.size === other.size);
}

function hasSeveralNames(info: BigIntStats): boolean {
  return !info.isDirectory() && info.nlink > 1n;
}
