import { open, stat, type FileHandle } from 'node:fs/promises';
import { failure, isFailure, reasonOf } from '../../kernel/errors/failure.ts';
import { addToLsn, type Lsn } from '../../postgres/lsn.ts';
import { longHeaderBytes } from '../../postgres/wal/format.ts';
import { checkSegmentHeader, parseSegmentHeader, type SegmentHeader } from '../../postgres/wal/header.ts';
import { segmentStart, type WalFileName } from '../../postgres/wal/names.ts';
import { scanWal } from '../../postgres/wal/scan.ts';
import type { WalArchive, WalPut } from '../../repository/wal/model.ts';

/** A file in `pg_wal` that is to be archived. */
export interface WalFile {
  readonly path: string;
  /** Without its directory. */
  readonly name: string;
  readonly parsed: WalFileName;
}

/** `wal_file_missing`, `wal_file_unreadable`. */
export async function mustBeThere(path: string): Promise<void> {
  await readable({ path }, () => stat(path));
}

/** Histories, labels and partial segments are read whole; nothing longer than a segment is one of them. */
const smallFileBytes = 1024 * 1024;

/**
 * Stores a file of `pg_wal`. Resolves when it is durable. `wal_differs` when the archive has other bytes for it,
 * `wal_file_missing`, `wal_file_unreadable`, `wal_file_odd`.
 */
export async function pushWalFile(archive: WalArchive, file: WalFile, signal: AbortSignal): Promise<WalPut> {
  await using handle = await readable(file, () => open(file.path, 'r'));
  const { parsed } = file;
  const { size } = await readable(file, () => handle.stat());
  if (parsed.kind === 'segment') return await pushSegment(archive, { ...file, parsed }, handle, size, signal);
  const most = parsed.kind === 'partial' ? archive.info.segment_bytes : smallFileBytes;
  if (size > most || size === 0) throw odd(file, `it has ${size} bytes`);
  return await archive.putFile(file.name, await bytesAt(file, handle, 0, size), { signal });
}

type Segment = WalFile & { readonly parsed: Extract<WalFileName, { readonly kind: 'segment' }> };

async function pushSegment(
  archive: WalArchive,
  file: Segment,
  handle: FileHandle,
  size: number,
  signal: AbortSignal,
): Promise<WalPut> {
  const { segment_bytes: segmentBytes, system_identifier: systemIdentifier } = archive.info;
  const { timeline } = file.parsed;
  const start = segmentStart(file.parsed, segmentBytes);
  if (start === undefined) throw odd(file, `segments of ${segmentBytes} bytes have no such number`);
  if (size !== segmentBytes) throw odd(file, `it has ${size} bytes instead of ${segmentBytes}`);
  let put: WalPut = 'already_there';
  for (let at = 0; at < size; at += archive.unitBytes) {
    const bytes = await bytesAt(file, handle, at, archive.unitBytes);
    if (at === 0) {
      const reason = checkSegmentHeader(bytes, { start, timeline, systemIdentifier, segmentBytes });
      if (reason !== null) throw odd(file, reason);
    }
    if ((await putUnit(archive, { timeline, start: addToLsn(start, at), bytes }, signal)) === 'stored')
      put = 'stored';
  }
  return put;
}

/** What the beginning of a segment says; undefined when it is none. `wal_file_unreadable`. */
export async function readSegmentHeader(file: WalFile): Promise<SegmentHeader | undefined> {
  await using handle = await readable(file, () => open(file.path, 'r'));
  const buffer = Buffer.alloc(longHeaderBytes);
  const { bytesRead } = await readable(file, () => handle.read(buffer, 0, buffer.length, 0));
  return parseSegmentHeader(buffer.subarray(0, bytesRead));
}

/** Stores a stretch of WAL with what can be found out about it. */
export async function putUnit(
  archive: WalArchive,
  stretch: { readonly timeline: number; readonly start: Lsn; readonly bytes: Uint8Array },
  signal: AbortSignal,
): Promise<WalPut> {
  return await archive.put(stretch, scanWal(stretch.bytes, stretch.start), { signal });
}

async function bytesAt(file: WalFile, handle: FileHandle, at: number, length: number): Promise<Buffer> {
  const buffer = Buffer.allocUnsafeSlow(length);
  let filled = 0;
  while (filled < length) {
    const { bytesRead } = await readable(file, () =>
      handle.read(buffer, filled, length - filled, at + filled),
    );
    if (bytesRead === 0) throw odd(file, `it ends after ${at + filled} bytes`);
    filled += bytesRead;
  }
  return buffer;
}

async function readable<T>({ path }: Pick<WalFile, 'path'>, read: () => Promise<T>): Promise<T> {
  try {
    return await read();
  } catch (error) {
    if (isFailure(error)) throw error;
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ENOTDIR')
      throw failure('wal_file_missing', { path }, { cause: error });
    throw failure('wal_file_unreadable', { path, reason: reasonOf(error) }, { cause: error });
  }
}

function odd({ path }: WalFile, reason: string): Error {
  return failure('wal_file_odd', { path, reason });
}
