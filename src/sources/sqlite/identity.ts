import { statSync, type BigIntStats } from 'node:fs';
import type { FileIdentity, Identity } from './metadata.ts';

/** What may lie beside a database. */
export const sidecars = ['-wal', '-shm', '-journal'] as const;

/** The files of a database as they are now. Throws what `stat` does when the database itself is not there. */
export function identityOf(file: string): Identity {
  return {
    main: identified(statSync(file, { bigint: true })),
    wal: identityOrNull(`${file}-wal`),
    journal: identityOrNull(`${file}-journal`),
  };
}

function identityOrNull(file: string): FileIdentity | null {
  const stats = statSync(file, { bigint: true, throwIfNoEntry: false });
  return stats === undefined ? null : identified(stats);
}

export function identified(stats: BigIntStats): FileIdentity {
  return {
    size: Number(stats.size),
    mtime: String(stats.mtimeNs),
    ctime: String(stats.ctimeNs),
    inode: String(stats.ino),
  };
}

export function sameIdentity(a: Identity, b: Identity): boolean {
  return sameFile(a.main, b.main) && sameFile(a.wal, b.wal) && sameFile(a.journal, b.journal);
}

function sameFile(a: FileIdentity | null, b: FileIdentity | null): boolean {
  if (a === null || b === null) return a === b;
  return a.size === b.size && a.mtime === b.mtime && a.ctime === b.ctime && a.inode === b.inode;
}

/** Milliseconds since 1970 of the last change of anything about these files. */
export function lastChangeMs(identity: Identity): number {
  const instants = [identity.main, identity.wal, identity.journal].flatMap((file) =>
    file === null ? [] : [BigInt(file.mtime), BigInt(file.ctime)],
  );
  return Math.max(...instants.map((ns) => Number(ns / 1_000_000n)));
}

/** Whether the file system tells times finer than whole seconds: FAT and some others do not. */
export function hasFineTimes(identity: Identity): boolean {
  return BigInt(identity.main.mtime) % 1_000_000_000n !== 0n;
}
