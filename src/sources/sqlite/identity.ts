import { statSync, type BigIntStats } from 'node:fs';
import type { FileIdentity, Identity } from './metadata.ts';
import { walMark } from './wal-mark.ts';

/** What may lie beside a database. */
export const sidecars = ['-wal', '-shm', '-journal'] as const;

/** The files of a database as they are now. Throws what `stat` does when the database itself is not there. */
export function identityOf(file: string): Identity {
  const wal = identityOrNull(`${file}-wal`);
  const mark = wal === null ? null : walMark(`${file}-wal`);
  return {
    main: identified(statSync(file, { bigint: true })),
    wal,
    journal: identityOrNull(`${file}-journal`),
    ...(mark === null ? {} : { wal_mark: mark }),
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

/**
 * Whether nothing was written to these files in between. For logs and journals the ctime says nothing: when root reads a
 * database, SQLite gives them to its owner, once more each time. The mtime can be set back, and a log is begun anew in
 * place, so of logs the marks are compared too.
 */
export function sameIdentity(a: Identity, b: Identity): boolean {
  const sameMain = sameFile(a.main, b.main) && a.main.ctime === b.main.ctime;
  const sameLog = sameFile(a.wal, b.wal) && a.wal_mark === b.wal_mark;
  return sameMain && sameLog && sameFile(a.journal, b.journal);
}

function sameFile(a: FileIdentity | null, b: FileIdentity | null): boolean {
  if (a === null || b === null) return a === b;
  return a.size === b.size && a.mtime === b.mtime && a.inode === b.inode;
}

/** Milliseconds since 1970 of the last change of these files. */
export function lastChangeMs({ main, wal, journal }: Identity): number {
  const instants = [main.mtime, main.ctime, wal?.mtime ?? '0', journal?.mtime ?? '0'];
  return Math.max(...instants.map((ns) => Number(BigInt(ns) / 1_000_000n)));
}

/** Whether the file system tells times finer than whole seconds: FAT and some others do not. */
export function hasFineTimes(identity: Identity): boolean {
  return BigInt(identity.main.mtime) % 1_000_000_000n !== 0n;
}
