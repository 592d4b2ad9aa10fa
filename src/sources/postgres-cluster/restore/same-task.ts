import { closeSync, fstatSync, readSync } from 'node:fs';
import { siblingModule } from '../../../kernel/module-url.ts';
import type { Extent } from '../../../pipeline/map.ts';
import type { TaskContext, TaskModule } from '../../../pipeline/task.ts';
import type { Spot } from './areas.ts';
import { writeFailure } from './failure.ts';
import { locationOf } from './layout.ts';
import { openExisting } from './write-task.ts';

export interface SameInput {
  readonly target: string;
  readonly file: Spot;
  /** Where in the file the first of the extents belongs. */
  readonly position: number;
  readonly extents: readonly Extent[];
}

/** For each extent 1 when the file has its bytes for sure; 0 says nothing. */
export type SameOutput = Uint8Array;

export const sameTask: TaskModule<SameInput, SameOutput> = {
  url: siblingModule(import.meta.url, './same-task.ts'),
  exportName: 'findSame',
};

const largestBlob = 4 * 1024 * 1024;

interface Part {
  readonly index: number;
  readonly position: number;
  readonly extent: Extent;
}

/**
 * Tells by ids of blobs, without reading what is stored, which bytes of a file are right. That can be told of a blob that
 * the file has from its beginning to its end, in one piece or in several.
 */
export async function findSame(input: SameInput, context: TaskContext): Promise<SameOutput> {
  const same = new Uint8Array(input.extents.length);
  const { target, file } = input;
  try {
    const fd = openExisting(locationOf(file.base, file.relative));
    if (fd === null) return same;
    try {
      if (fstatSync(fd).isFile()) for (const parts of partsByBlob(input)) markSame(fd, parts, same, context);
    } finally {
      closeSync(fd);
    }
  } catch (error) {
    throw writeFailure(file.shown, error, target);
  }
  return same;
}

function partsByBlob({ position, extents }: SameInput): Iterable<readonly Part[]> {
  let at = position;
  const parts = extents.map((extent, index) => {
    const part = { index, position: at, extent };
    at += extent.length;
    return part;
  });
  return Map.groupBy(parts, ({ extent }) => Buffer.from(extent.id).toString('latin1')).values();
}

function markSame(fd: number, parts: readonly Part[], same: Uint8Array, context: TaskContext): void {
  context.signal.throwIfAborted();
  const rest: Part[] = [];
  for (const part of parts) {
    if (part.extent.offset === 0 && isBlob(fd, [part], context)) same[part.index] = 1;
    else rest.push(part);
  }
  if (rest.length < 2) return;
  rest.sort((a, b) => a.extent.offset - b.extent.offset);
  let end = 0;
  for (const { extent } of rest) {
    if (extent.offset !== end) return;
    end += extent.length;
  }
  if (end <= largestBlob && isBlob(fd, rest, context)) for (const { index } of rest) same[index] = 1;
}

function isBlob(fd: number, parts: readonly Part[], context: TaskContext): boolean {
  const bytes = Buffer.allocUnsafe(parts.reduce((sum, { extent }) => sum + extent.length, 0));
  let filled = 0;
  for (const { position, extent } of parts) {
    for (let at = 0; at < extent.length;) {
      const read = readSync(fd, bytes, filled, extent.length - at, position + at);
      if (read === 0) return false;
      at += read;
      filled += read;
    }
  }
  return Buffer.compare(context.idOf(bytes), parts[0]?.extent.id ?? new Uint8Array(0)) === 0;
}
