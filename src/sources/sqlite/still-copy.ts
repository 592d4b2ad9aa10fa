import { constants, copyFileSync, closeSync, openSync, readSync, writeSync } from 'node:fs';
import { setImmediate, setTimeout as delay } from 'node:timers/promises';
import type { Patience } from './connection.ts';
import { hasFineTimes, identityOf, lastChangeMs, sameIdentity } from './identity.ts';
import type { Identity } from './metadata.ts';

/** A change within this after another one may leave the times of a file as they are: the grain of its file system. */
const fineGrainMs = 100;
const coarseGrainMs = 2100;
const bufferBytes = 1024 * 1024;
const pauseMs = 50;

/**
 * Copies a database and, of what lies beside it, `beside`, as files. Resolves with what they were, or null when they
 * changed meanwhile. `nowMs` tells milliseconds since 1970.
 */
export async function copyStill(
  file: string,
  to: string,
  beside: readonly ('-wal' | '-journal')[],
  { signal, nowMs }: Patience & { readonly nowMs: () => number },
): Promise<Identity | null> {
  const before = identityOf(file);
  if (!isSettled(before, nowMs())) {
    await delay(pauseMs, undefined, { signal });
    return null;
  }
  try {
    for (const ending of ['', ...beside]) await copyFile(`${file}${ending}`, `${to}${ending}`, signal);
  } catch (error) {
    // What lies beside a database comes and goes.
    if ((error as NodeJS.ErrnoException).code === 'ENOENT' && !sameIdentity(before, identityOf(file)))
      return null;
    throw error;
  }
  return sameIdentity(before, identityOf(file)) ? before : null;
}

/** Whether a change from now on would show in the times of these files. */
export function isSettled(identity: Identity, nowMs: number): boolean {
  const grainMs = hasFineTimes(identity) ? fineGrainMs : coarseGrainMs;
  const ageMs = nowMs - lastChangeMs(identity);
  // Times in the future stay where they are when nothing changes: as good as old ones, once they are compared.
  return ageMs > grainMs || ageMs < -grainMs;
}

async function copyFile(from: string, to: string, signal: AbortSignal): Promise<void> {
  signal.throwIfAborted();
  try {
    // Where the file system can, without copying anything.
    copyFileSync(from, to, constants.COPYFILE_FICLONE_FORCE);
    return;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'EACCES') throw error;
  }
  const source = openSync(from, 'r');
  try {
    const target = openSync(to, 'w', 0o600);
    try {
      const buffer = Buffer.allocUnsafe(bufferBytes);
      for (let got = 0; (got = readSync(source, buffer, 0, bufferBytes, null)) > 0;) {
        for (let at = 0; at < got;) at += writeSync(target, buffer, at, got - at);
        await setImmediate(); // So that an abort is heard.
        signal.throwIfAborted();
      }
    } finally {
      closeSync(target);
    }
  } finally {
    closeSync(source);
  }
}
