import { failure } from '../../kernel/errors/failure.ts';
import { pieces, sizeOf } from '../parts.ts';
import { statuses } from './codec.ts';
import { allOf, hasStatus, type Handle, type Remote } from './remote.ts';
import type { SftpRoot } from './root.ts';
import { SftpStatus } from './session.ts';

/** How much of an object that is there is read at once to compare it. */
const compareBytes = 4 * 1024 * 1024;

export interface Publication {
  readonly name: string;
  /** Path of the finished, flushed file. */
  readonly temporary: string;
  readonly parts: readonly Uint8Array[];
  readonly signal: AbortSignal | undefined;
}

/**
 * Writes `parts` to a new file in the temporary directory and flushes it to the server's disk. Mode 0400 from the
 * start: the handle that creates the file may write to it, nobody after that. What a failure leaves is the caller's to remove.
 */
export async function writeTemporary(
  root: SftpRoot,
  remote: Remote,
  { temporary, parts, signal }: Omit<Publication, 'name'>,
): Promise<void> {
  const handle = await createTemporary(root, remote, temporary);
  try {
    await remote.writeAll(handle, parts, signal);
    signal?.throwIfAborted();
    await root.flush(remote, handle);
  } finally {
    // Not awaited: the flush has told whatever a close could.
    remote.close(handle).catch(() => undefined);
  }
  signal?.throwIfAborted();
}

async function createTemporary(root: SftpRoot, remote: Remote, path: string): Promise<Handle> {
  try {
    return await remote.create(path, 0o400);
  } catch (error) {
    if (!hasStatus(error, statuses.noSuchFile)) throw error;
    await root.assertInPlace(remote);
    root.forgetFolders();
    await root.ensureFolder(remote, root.temporaryDirectory);
    return await remote.create(path, 0o400);
  }
}

/** Removes a temporary file. A failure only leaves litter, which an open sweeps a day later: it is logged. */
export async function removeTemporary(root: SftpRoot, remote: Remote, path: string): Promise<void> {
  try {
    await remote.remove(path);
  } catch (error) {
    if (hasStatus(error, statuses.noSuchFile)) return;
    root.logger.warn('a temporary file could not be removed', { path, error });
  }
}

/**
 * Gives a finished file its name, unless that is taken, and makes that durable. `object_exists` when other bytes are
 * there; the same bytes are success.
 */
export async function publish(root: SftpRoot, remote: Remote, publication: Publication): Promise<void> {
  const { name, temporary } = publication;
  const target = root.pathOf(name);
  const folder = root.folderOf(target);
  await root.ensureFolder(remote, folder);
  publication.signal?.throwIfAborted();
  let refusal = await refusalOf(take(remote, temporary, target));
  if (refusal?.status === statuses.noSuchFile) {
    root.forgetFolders();
    await root.ensureFolder(remote, folder);
    refusal = await refusalOf(take(remote, temporary, target));
  }
  if (refusal !== undefined && !(await acceptSame(root, remote, publication, target))) throw refusal;
  await allOf([root.flushFolder(remote, folder), removeTemporary(root, remote, temporary)]);
}

/**
 * A hard link, which fails where the name is taken. Where file system or server have none: the rename of version 3 of
 * the protocol, which must fail then as well; never posix-rename@openssh.com, which overwrites. A server that
 * overwrites all the same is kept from it by a look, which two writers of one name can both pass.
 */
async function take(remote: Remote, from: string, to: string): Promise<void> {
  if (remote.can('hardlink')) {
    const refusal = await refusalOf(remote.hardlink(from, to));
    if (refusal === undefined) return;
    if (refusal.status === statuses.noSuchFile) throw refusal;
  }
  if ((await remote.stat(to)) !== undefined) throw new SftpStatus(statuses.failure, 'the name is taken');
  await remote.rename(from, to);
}

async function refusalOf(act: Promise<void>): Promise<SftpStatus | undefined> {
  try {
    await act;
    return undefined;
  } catch (error) {
    if (error instanceof SftpStatus) return error;
    throw error;
  }
}

/**
 * True when the name is taken by the very same bytes, which are then flushed again: whoever wrote them may have
 * crashed before the end. False when the name is free. Throws `object_exists` when it has other bytes.
 */
async function acceptSame(
  root: SftpRoot,
  remote: Remote,
  { name, parts, signal }: Publication,
  target: string,
): Promise<boolean> {
  const present = await remote.stat(target);
  if (present === undefined) return false;
  if (present.kind === 'directory') throw root.inTheWay(target, `a directory where ${name} should be`);
  const handle = await remote.open(target);
  try {
    const isSame = present.size === sizeOf(parts) && (await hasBytes(remote, handle, parts, signal));
    if (!isSame) throw failure('object_exists', { name, location: root.location });
    await root.flush(remote, handle);
  } finally {
    remote.close(handle).catch(() => undefined);
  }
  return true;
}

async function hasBytes(
  remote: Remote,
  handle: Handle,
  parts: readonly Uint8Array[],
  signal: AbortSignal | undefined,
): Promise<boolean> {
  const buffer = Buffer.allocUnsafe(
    Math.min(compareBytes, Math.max(...parts.map((part) => part.byteLength), 0)),
  );
  let position = 0;
  for (const piece of pieces(parts, compareBytes)) {
    const into = buffer.subarray(0, piece.byteLength);
    const found = await remote.readInto(handle, into, position, signal);
    if (found < piece.byteLength || Buffer.compare(into, piece) !== 0) return false;
    position += found;
  }
  return true;
}

/** Removes a name for good; also when it was gone already, as an earlier removal may not have been durable. */
export async function removeDurably(root: SftpRoot, remote: Remote, name: string): Promise<void> {
  const path = root.pathOf(name);
  const refusal = await refusalOf(remote.remove(path));
  if (refusal !== undefined) {
    // A folder, too, is no object of that name.
    const present = refusal.status === statuses.noSuchFile ? undefined : await remote.stat(path);
    if (present !== undefined && present.kind !== 'directory') throw refusal;
    await root.assertInPlace(remote);
  }
  try {
    await root.flushFolder(remote, root.folderOf(path));
  } catch (error) {
    if (!hasStatus(error, statuses.noSuchFile)) throw error;
  }
}
