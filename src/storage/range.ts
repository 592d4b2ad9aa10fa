import { failure } from '../kernel/errors/failure.ts';
import type { GetOptions } from './port.ts';

/** Which bytes of an object of `sizeBytes` a get asks for, cut to what there is: `start` ≤ `end` ≤ `sizeBytes`. */
export interface ByteRange {
  readonly start: number;
  readonly end: number;
}

/** Throws `storage_range` where offset or length is not a whole number of bytes from 0 up. */
export function resolveRange(options: GetOptions, sizeBytes: number): ByteRange {
  assertRange(options);
  const start = Math.min(options.offset ?? 0, sizeBytes);
  return { start, end: Math.min(start + (options.length ?? sizeBytes), sizeBytes) };
}

/** The check of {@link resolveRange} alone, for before the size is known. */
export function assertRange({ offset = 0, length = 0 }: GetOptions): void {
  for (const value of [offset, length]) {
    if (!Number.isSafeInteger(value) || value < 0) {
      throw failure('storage_range', { offset: String(offset), length: String(length) });
    }
  }
}
