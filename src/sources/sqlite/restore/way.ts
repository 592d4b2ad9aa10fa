import { lstat } from 'node:fs/promises';
import type { BigIntStats } from 'node:fs';
import { failure, type HoldfastError } from '../../../kernel/errors/failure.ts';

/** One restored database on its way into its place. */
export interface Way {
  /** Where what was there before is; null when nothing was. */
  readonly replaced: string | null;
  /** What people should know of it. */
  readonly warnings: readonly HoldfastError[];
  /** Puts the old one back. Resolves with what was left as it is, for people, or null. */
  takeBack(): Promise<string | null>;
}

export interface WayOf {
  readonly file: string;
  /** The restored database, on the same file system. */
  readonly staged: string;
  /** What the old one is to be called; a number is added when there is one already. */
  readonly keptAs: string;
}

/** Who it is that uses a database whose name leads to another file than before. */
export const anotherFile = 'a program that has put another file there';

export function inUse(file: string, holder: string | null, cause?: unknown): Error {
  return failure('sqlite_in_use', { file, holder: holder === null ? '' : ` by ${holder}` }, { cause });
}

export async function statsOf(file: string): Promise<BigIntStats> {
  return await lstat(file, { bigint: true });
}

export function isSameFile(a: BigIntStats, b: BigIntStats): boolean {
  return a.dev === b.dev && a.ino === b.ino;
}
