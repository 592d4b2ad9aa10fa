import { createHash } from 'node:crypto';
import type { FileHandle } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { failure } from '../../kernel/errors/failure.ts';
import { pieces, sizeOf } from '../parts.ts';
import { syncDirectory } from './durable.ts';
import { errnoOf, saysAbsent } from './errors.ts';
import type { FsRoot } from './root.ts';

const compareBytes = 1024 * 1024;
const maxAttempts = 5;
const claimWaitMs = 10_000;
const claimPollMs = 20;
const noHardLinks: ReadonlySet<string | undefined> = new Set([
  'EPERM',
  'ENOTSUP',
  'EOPNOTSUPP',
  'ENOSYS',
  'EMLINK',
]);

export interface Publication {
  readonly name: string;
  /** A finished, flushed file holding exactly `parts`. */
  readonly temporary: string;
  readonly parts: readonly Uint8Array[];
  readonly signal: AbortSignal | undefined;
}

/**
 * Gives a finished file its final name, exclusively and for good.
 *
 * A hard link does that in one step: it appears whole and fails where the name is taken. Where the file system has
 * no hard links, {@link publishByClaim}.
 */
export async function publish(root: FsRoot, publication: Publication): Promise<void> {
  const target = root.pathOf(publication.name);
  for (let attempt = 1; ; attempt += 1) {
    publication.signal?.throwIfAborted();
    await root.directories.ensure(dirname(target));
    const refusal = await refusalOf(() => root.calls.link(publication.temporary, target));
    if (refusal === undefined) return syncDirectory(root.calls, dirname(target));
    const errno = errnoOf(refusal);
    if (noHardLinks.has(errno)) return publishByClaim(root, publication);
    if (errno === 'EEXIST' && (await acceptSame(root, publication))) return;
    if ((errno !== 'EEXIST' && errno !== 'ENOENT') || attempt >= maxAttempts) throw refusal;
    // What was in the way, or the directory, went away meanwhile.
    root.directories.forget();
  }
}

async function refusalOf(act: () => Promise<void>): Promise<Error | undefined> {
  try {
    await act();
    return undefined;
  } catch (error) {
    if (error instanceof Error) return error;
    throw error;
  }
}

/**
 * For file systems without hard links. Rename would overwrite, so writers of one name take turns: whoever creates
 * the claim file (exclusively; its name is a hash of the object's) looks whether the name is free and renames there.
 * The claim is held for a moment only, as the data is already written and flushed; one left by a crash blocks this
 * one name until the sweep of an open finds it 24 hours old.
 */
async function publishByClaim(root: FsRoot, publication: Publication): Promise<void> {
  const target = root.pathOf(publication.name);
  const claim = join(
    root.temporaryDirectory,
    `claim-${createHash('sha256').update(publication.name).digest('hex')}`,
  );
  await takeClaim(root, claim, publication);
  try {
    await root.directories.ensure(dirname(target));
    if (await acceptSame(root, publication)) return;
    await root.calls.rename(publication.temporary, target);
    await syncDirectory(root.calls, dirname(target));
  } finally {
    await root.calls.unlink(claim);
  }
}

async function takeClaim(root: FsRoot, claim: string, { name, signal }: Publication): Promise<void> {
  const startNs = root.clock.monotonicNs();
  for (;;) {
    try {
      const handle = await root.calls.open(claim, 'wx', 0o600);
      return await handle.close();
    } catch (error) {
      if (errnoOf(error) !== 'EEXIST') throw error;
    }
    const waitedMs = Number((root.clock.monotonicNs() - startNs) / 1_000_000n);
    if (waitedMs >= claimWaitMs) {
      const seconds = Math.round(waitedMs / 1000);
      throw failure('storage_claimed', { name, location: root.location, seconds, claim });
    }
    await root.clock.sleep(claimPollMs, signal);
  }
}

/**
 * True when the name is taken by the very same bytes, which are then flushed again: whoever wrote them may have
 * crashed before the end. False when the name is free. Throws `object_exists` when it has other bytes.
 */
async function acceptSame(root: FsRoot, { name, parts, signal }: Publication): Promise<boolean> {
  const target = root.pathOf(name);
  try {
    await using present = await root.calls.open(target, 'r');
    const info = await present.stat();
    if (info.isDirectory()) {
      throw Object.assign(new Error('a directory'), { code: 'EISDIR', syscall: 'open' });
    }
    const same = info.size === sizeOf(parts) && (await sameBytes(present, parts, signal));
    if (!same) throw failure('object_exists', { name, location: root.location });
    await present.sync();
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return false;
    throw error;
  }
  await syncDirectory(root.calls, dirname(target));
  return true;
}

async function sameBytes(
  present: FileHandle,
  parts: readonly Uint8Array[],
  signal: AbortSignal | undefined,
): Promise<boolean> {
  const buffer = Buffer.allocUnsafe(compareBytes);
  let position = 0;
  for (const piece of pieces(parts, compareBytes)) {
    signal?.throwIfAborted();
    const found = await readFully(present, buffer.subarray(0, piece.byteLength), position);
    if (Buffer.compare(buffer.subarray(0, found), piece) !== 0) return false;
    position += found;
  }
  return true;
}

/** Reads until `into` is full or the file ends; how many bytes that were. */
export async function readFully(handle: FileHandle, into: Uint8Array, position: number): Promise<number> {
  let at = 0;
  while (at < into.byteLength) {
    const { bytesRead } = await handle.read(into, at, into.byteLength - at, position + at);
    if (bytesRead === 0) break;
    at += bytesRead;
  }
  return at;
}

/** Removes a name for good; also when it was gone already, as an earlier removal may not have been durable. */
export async function removeDurably(root: FsRoot, path: string): Promise<void> {
  try {
    await root.calls.unlink(path);
  } catch (error) {
    if (!saysAbsent(error)) throw error;
  }
  try {
    await syncDirectory(root.calls, dirname(path));
  } catch (error) {
    if (!saysAbsent(error)) throw error;
  }
}
