import { constants } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { crc32 } from 'node:zlib';
import { damagedEntries, writing } from './failure.ts';
import type { FileToFinish } from './finish-task.ts';
import { locationOf, shownLocation } from './location.ts';
import { rangesToWrite } from './sparse.ts';
import { type Done, finishTask, restoredFile, type Staging } from './staging.ts';
import type { FileStep } from './walk.ts';

const newFile = constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW | constants.O_WRONLY;

/** Writes one file piece by piece as it comes, then has it read back. */
export async function writeLargeFile(
  step: FileStep,
  staging: Staging,
  done: Done,
  stop: AbortSignal,
): Promise<void> {
  const { path, meta, stream } = step;
  const { base, shown, flush, owners, exact, context } = staging;
  const file = restoredFile(step, owners);
  let sum = 0;
  let given = true;
  await writing(shownLocation(shown, path), async () => {
    await using handle = await open(locationOf(base, path), newFile, 0o600);
    sum = await writeStream(handle, step, staging, stop);
    given = await giveHandle(handle, file);
  });
  if (!given) done.notGiven += 1;
  await exact.xattrs(path, meta.xattrs);
  const content = staging.check ? { sizeBytes: stream.size_bytes, crc32: sum } : null;
  const files: FileToFinish[] = [{ ...file, given, content }];
  await context.run(finishTask, { base, shown, flush, files }, { signal: stop });
  if (staging.check) done.checked += 1;
  await exact.time(path, meta.mtime);
}

/** Gives the checksum of what was written. */
async function writeStream(
  handle: FileHandle,
  { path, meta, stream }: FileStep,
  { context }: Staging,
  stop: AbortSignal,
): Promise<number> {
  let sum = 0;
  let position = 0;
  for await (const piece of context.open(stream, { lent: true })) {
    stop.throwIfAborted();
    sum = crc32(piece, sum);
    for (const { from, to } of rangesToWrite(piece, position, meta.sparse === true))
      await writeAll(handle, piece.subarray(from, to), position + from);
    position += piece.length;
    context.progress.advance(piece.length);
  }
  if (position !== stream.size_bytes)
    throw damagedEntries(`${path} has ${position} bytes instead of ${stream.size_bytes}`);
  if (meta.sparse === true) await handle.truncate(position);
  return sum;
}

async function writeAll(handle: FileHandle, bytes: Uint8Array, position: number): Promise<void> {
  for (let at = 0; at < bytes.length;) {
    const { bytesWritten } = await handle.write(bytes, at, bytes.length - at, position + at);
    at += bytesWritten;
  }
}

async function giveHandle(handle: FileHandle, { uid, gid }: { uid: number; gid: number }): Promise<boolean> {
  if (uid === -1 && gid === -1) return true;
  try {
    await handle.chown(uid, gid);
    return true;
  } catch (error) {
    const { code = '' } = error as NodeJS.ErrnoException;
    if (['EPERM', 'EINVAL', 'ENOTSUP'].includes(code)) return false;
    throw error;
  }
}
