import { constants } from 'node:fs';
import { type FileHandle, lstat, open, unlink } from 'node:fs/promises';
import type { StreamRef } from '../../../contract/stream.ts';
import type { Extent } from '../../../pipeline/map.ts';
import { DirectWriter } from '../../direct-write.ts';
import type { RestoreContext } from '../../port.ts';
import { damaged } from './damaged.ts';
import { writeFailure } from './failure.ts';
import { locationOf } from './layout.ts';
import type { FileOwner } from './options.ts';
import { sameTask } from './same-task.ts';
import type { FileToWrite, WriteOutput } from './write-task.ts';

export interface LargeWork {
  readonly context: RestoreContext;
  readonly target: string;
  readonly owner: FileOwner | null;
  /** There may be files already: only what differs in them is written. */
  readonly compare: boolean;
  readonly stop: AbortSignal;
}

const { O_CREAT, O_EXCL, O_NOFOLLOW, O_WRONLY, O_RDWR } = constants;
/** Extents that one task looks at: 64 MiB, as files of pages are usually cut. */
const extentsAtOnce = 512;

/** Writes one file piece by piece as it comes, or what differs of it, and makes it durable. */
export async function writeLargeFile(
  file: FileToWrite,
  stream: StreamRef,
  work: LargeWork,
): Promise<WriteOutput> {
  try {
    const before = work.compare ? await usableFile(file) : null;
    await using handle = before ?? (await openNew(file));
    const written =
      before === null
        ? await writeStream(handle, file, stream, work)
        : await mend(handle, file, stream, work);
    if (work.owner !== null) await handle.chown(work.owner.uid, work.owner.gid);
    await handle.chmod(file.mode);
    await handle.sync();
    return { written, kept: written === 0 ? 1 : 0 };
  } catch (error) {
    throw writeFailure(file.shown, error, work.target);
  }
}

async function openNew({ base, relative }: FileToWrite): Promise<FileHandle> {
  return await open(locationOf(base, relative), O_CREAT | O_EXCL | O_NOFOLLOW | O_WRONLY, 0o600);
}

/** An ordinary file that may be changed where it is; everything else makes way. */
async function usableFile({ base, relative }: FileToWrite): Promise<FileHandle | null> {
  const location = locationOf(base, relative);
  const info = await lstat(location).catch(() => null);
  if (info === null) return null;
  if (info.isFile() && info.nlink === 1) return await open(location, O_RDWR | O_NOFOLLOW);
  await unlink(location);
  return null;
}

async function writeStream(
  handle: FileHandle,
  { base, relative, shown }: FileToWrite,
  stream: StreamRef,
  { context, stop }: LargeWork,
): Promise<number> {
  let position = 0;
  const writer = await DirectWriter.open(handle, locationOf(base, relative));
  try {
    for await (const piece of context.open(stream, { lent: true })) {
      stop.throwIfAborted();
      await writer.write(piece);
      position += piece.length;
      context.progress.advance(piece.length);
    }
    await writer.finish();
  } finally {
    await writer.close();
  }
  if (position !== stream.size_bytes)
    throw damaged(`${shown} has ${position} bytes instead of ${stream.size_bytes}`);
  return position;
}

async function writeAll(handle: FileHandle, bytes: Uint8Array, position: number): Promise<void> {
  for (let at = 0; at < bytes.length;) {
    const { bytesWritten } = await handle.write(bytes, at, bytes.length - at, position + at);
    at += bytesWritten;
  }
}

/** A stretch of a file of which is not known that it is right. */
interface Doubtful {
  readonly position: number;
  readonly extent: Extent;
}

/** Makes a file what the stream is; gives how many bytes were written. */
async function mend(
  handle: FileHandle,
  file: FileToWrite,
  stream: StreamRef,
  work: LargeWork,
): Promise<number> {
  const { context, target, stop } = work;
  const { size } = await handle.stat();
  let position = 0;
  let written = 0;
  for await (const leaf of context.extents(stream)) {
    for (let from = 0; from < leaf.length; from += extentsAtOnce) {
      stop.throwIfAborted();
      const extents = leaf.slice(from, from + extentsAtOnce);
      const same = await context.run(sameTask, { target, file, position, extents }, { signal: stop });
      const doubtful: Doubtful[] = [];
      const before = position;
      for (const [index, extent] of extents.entries()) {
        if (same[index] !== 1) doubtful.push({ position, extent });
        position += extent.length;
      }
      written += await writeDoubtful(handle, doubtful, work);
      context.progress.advance(position - before);
    }
  }
  if (position !== stream.size_bytes)
    throw damaged(`${file.shown} has ${position} bytes instead of ${stream.size_bytes}`);
  if (size > position) await handle.truncate(position);
  return written === 0 && size > position ? 1 : written;
}

async function writeDoubtful(
  handle: FileHandle,
  doubtful: readonly Doubtful[],
  { context, stop }: LargeWork,
): Promise<number> {
  if (doubtful.length === 0) return 0;
  let written = 0;
  let index = 0;
  let used = 0;
  for await (const piece of context.openExtents(doubtful.map(({ extent }) => extent))) {
    stop.throwIfAborted();
    for (let at = 0; at < piece.length;) {
      const current = doubtful[index];
      if (current === undefined) throw damaged('a map leads to more bytes than it says');
      const length = Math.min(piece.length - at, current.extent.length - used);
      written += await writeIfOther(handle, piece.subarray(at, at + length), current.position + used);
      at += length;
      used += length;
      if (used < current.extent.length) continue;
      index += 1;
      used = 0;
    }
  }
  if (index < doubtful.length) throw damaged('a map leads to fewer bytes than it says');
  return written;
}

async function writeIfOther(handle: FileHandle, bytes: Uint8Array, position: number): Promise<number> {
  const there = Buffer.allocUnsafe(bytes.length);
  const { bytesRead } = await handle.read(there, 0, bytes.length, position);
  if (bytesRead === bytes.length && there.equals(bytes)) return 0;
  await writeAll(handle, bytes, position);
  return bytes.length;
}
