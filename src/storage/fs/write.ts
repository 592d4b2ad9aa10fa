import { constants, type FileHandle } from 'node:fs/promises';
import { join } from 'node:path';
import { pieces } from '../parts.ts';
import { errnoOf } from './errors.ts';
import type { FsRoot } from './root.ts';

/** Bytes handed to one write call: how much may pass before an abort is seen. */
const pieceBytes = 4 * 1024 * 1024;

/**
 * Writes `parts` to a new file in the temporary directory and flushes it to the disk; its path.
 * Mode 0400 from the start: the handle that creates the file may write to it, nobody after that.
 * On any failure the file is removed again.
 */
export async function writeTemporary(
  root: FsRoot,
  parts: readonly Uint8Array[],
  signal: AbortSignal | undefined,
): Promise<string> {
  const path = join(root.temporaryDirectory, root.uniqueName());
  await using handle = await createTemporary(root, path);
  try {
    for (const piece of pieces(parts, pieceBytes)) {
      signal?.throwIfAborted();
      await writeFully(handle, piece);
    }
    signal?.throwIfAborted();
    await handle.sync();
    signal?.throwIfAborted();
    return path;
  } catch (error) {
    await removeTemporary(root, path);
    throw error;
  }
}

/** Removes a temporary file. A failure only leaves litter, which the next open sweeps: it is logged. */
export async function removeTemporary(root: FsRoot, path: string): Promise<void> {
  try {
    await root.calls.unlink(path);
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return;
    root.logger.warn('a temporary file could not be removed', {
      path,
      errno: errnoOf(error) ?? String(error),
    });
  }
}

async function createTemporary(root: FsRoot, path: string): Promise<FileHandle> {
  const flags = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL;
  try {
    return await root.calls.open(path, flags, 0o400);
  } catch (error) {
    if (errnoOf(error) !== 'ENOENT') throw error;
    root.directories.forget();
    await root.directories.ensure(root.temporaryDirectory);
    return root.calls.open(path, flags, 0o400);
  }
}

/** A write may take less than it was given, for instance at the edge of a full disk. */
async function writeFully(handle: FileHandle, piece: Uint8Array): Promise<void> {
  for (let at = 0; at < piece.byteLength;) {
    const { bytesWritten } = await handle.write(piece, at, piece.byteLength - at);
    if (bytesWritten === 0)
      throw Object.assign(new Error('the disk takes no more'), { code: 'ENOSPC', syscall: 'write' });
    at += bytesWritten;
  }
}
