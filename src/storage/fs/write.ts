import { constants, type FileHandle } from 'node:fs/promises';
import { join } from 'node:path';
import { blockBytes, giveBackAlignedBuffer, takeAlignedBuffer } from '../../kernel/aligned-buffers.ts';
import { pieces, sizeOf } from '../parts.ts';
import { errnoOf } from './errors.ts';
import type { FsRoot } from './root.ts';

/** Bytes handed to one write call: how much may pass before an abort is seen. */
const pieceBytes = 4 * 1024 * 1024;

/** From this size on an object is written past the cache of the system. */
const directBytes = 1024 * 1024;
const { O_WRONLY, O_CREAT, O_EXCL } = constants;
/** Not every system has it. */
const { O_DIRECT } = constants as typeof constants & { readonly O_DIRECT?: number };

/**
 * Writes `parts` to a new file in the temporary directory and flushes it to the disk; its path.
 * Mode 0400 from the start: the handle that creates the file may write to it, nobody after that.
 * On any failure the file is removed again.
 *
 * Large objects go past the cache of the system where the file system lets them: they are flushed anyhow, and as much
 * memory as a backup has bytes would push out what the database that is backed up has in there.
 */
export async function writeTemporary(
  root: FsRoot,
  parts: readonly Uint8Array[],
  signal: AbortSignal | undefined,
): Promise<string> {
  if (O_DIRECT !== undefined && sizeOf(parts) >= directBytes) {
    try {
      return await writeBy(writeDirectly, O_DIRECT, root, parts, signal);
    } catch (error) {
      // How file systems say that they do not do this; the last one of a write that a full disk cut short.
      if (errnoOf(error) !== 'EINVAL') throw error;
    }
  }
  return await writeBy(writeCached, 0, root, parts, signal);
}

type Write = (handle: FileHandle, parts: readonly Uint8Array[], signal?: AbortSignal) => Promise<void>;

async function writeBy(
  write: Write,
  flags: number,
  root: FsRoot,
  parts: readonly Uint8Array[],
  signal: AbortSignal | undefined,
): Promise<string> {
  const path = join(root.temporaryDirectory, root.uniqueName());
  try {
    await using handle = await createTemporary(root, path, flags);
    await write(handle, parts, signal);
    signal?.throwIfAborted();
    await handle.sync();
    signal?.throwIfAborted();
    return path;
  } catch (error) {
    await removeTemporary(root, path);
    throw error;
  }
}

async function writeCached(
  handle: FileHandle,
  parts: readonly Uint8Array[],
  signal?: AbortSignal,
): Promise<void> {
  for (const piece of pieces(parts, pieceBytes)) {
    signal?.throwIfAborted();
    await writeFully(handle, piece);
  }
}

/** Whole blocks from an aligned buffer; what the last one has too much is cut off. */
async function writeDirectly(
  handle: FileHandle,
  parts: readonly Uint8Array[],
  signal?: AbortSignal,
): Promise<void> {
  const buffer = takeAlignedBuffer();
  let fill = 0;
  for (const piece of pieces(parts, buffer.length)) {
    for (let at = 0; at < piece.length;) {
      const fitting = piece.subarray(at, at + buffer.length - fill);
      buffer.set(fitting, fill);
      fill += fitting.length;
      at += fitting.length;
      if (fill < buffer.length) continue;
      signal?.throwIfAborted();
      await writeFully(handle, buffer);
      fill = 0;
    }
  }
  if (fill > 0) {
    const end = Math.ceil(fill / blockBytes) * blockBytes;
    await writeFully(handle, buffer.fill(0, fill, end).subarray(0, end));
    await handle.truncate(sizeOf(parts));
  }
  // Not where a call has failed: it may not be over.
  giveBackAlignedBuffer(buffer);
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

async function createTemporary(root: FsRoot, path: string, flags: number): Promise<FileHandle> {
  const all = O_WRONLY | O_CREAT | O_EXCL | flags;
  try {
    return await root.calls.open(path, all, 0o400);
  } catch (error) {
    if (errnoOf(error) !== 'ENOENT') throw error;
    root.directories.forget();
    await root.directories.ensure(root.temporaryDirectory);
    return root.calls.open(path, all, 0o400);
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
