import { execFile } from 'node:child_process';
import { closeSync, mkdirSync, openSync, symlinkSync, writeSync } from 'node:fs';
import { chmod, cp, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { systemClock } from '../src/kernel/clock.ts';
import { connectionFromUrl } from '../src/postgres/connection/connection.ts';
import { parseLsn, type Lsn } from '../src/postgres/lsn.ts';
import type { BaseBackupStream, WalPoint } from '../src/postgres/replication/base-backup.ts';
import {
  openReplication,
  type Replication,
  type ReplicationOptions,
} from '../src/postgres/replication/replication.ts';
import { readTar } from '../src/postgres/replication/tar.ts';
import type { WalStream } from '../src/postgres/replication/wal-stream.ts';
import type { PostgresServer } from './postgres-server.ts';

const run = promisify(execFile);

export interface OpenSettings extends Partial<ReplicationOptions> {
  readonly signal?: AbortSignal;
}

export async function replicate(url: string, settings: OpenSettings = {}): Promise<Replication> {
  const { signal = new AbortController().signal, ...options } = settings;
  return await openReplication(connectionFromUrl(url, {}), signal, { clock: systemClock, ...options });
}

/** Writes a base backup into a directory, each tablespace to where it lies on the server. */
export async function unpack(backup: BaseBackupStream, directory: string): Promise<WalPoint> {
  for await (const archive of backup.archives()) {
    const base = archive.tablespace === null ? directory : archive.path;
    mkdirSync(base, { recursive: true, mode: 0o700 });
    for await (const entry of readTar(archive.data, 'the server')) {
      const path = join(base, entry.path);
      mkdirSync(dirname(path), { recursive: true });
      if (entry.type === 'symlink') symlinkSync(entry.linkTarget ?? '', path);
      else if (entry.type === 'directory') mkdirSync(path, { recursive: true, mode: entry.mode });
      else {
        const file = openSync(path, 'w', entry.mode);
        for await (const piece of entry.data) writeSync(file, piece);
        closeSync(file);
      }
    }
  }
  return await backup.end;
}

/** Moves a directory to where the server's data is, with the WAL that is there, and starts the server with it. */
export async function startWith(
  server: PostgresServer,
  directory: string,
  tablespaces: readonly string[] = [],
): Promise<void> {
  const old = `${server.dataDirectory}.old`;
  await rename(server.dataDirectory, old);
  await rename(directory, server.dataDirectory);
  await cp(join(old, 'pg_wal'), join(server.dataDirectory, 'pg_wal'), { recursive: true });
  await chmod(server.dataDirectory, 0o700);
  if (server.user !== undefined) {
    const { uid, gid } = server.user;
    await run('chown', ['-R', `${uid}:${gid}`, server.dataDirectory, ...tablespaces]);
  }
  await rm(old, { recursive: true });
  await server.start();
}

export async function lsnNow(
  server: PostgresServer,
  sql = 'SELECT pg_current_wal_flush_lsn()',
): Promise<Lsn> {
  const text = await server.psql(sql);
  const lsn = parseLsn(text);
  if (lsn === undefined) throw new Error(`${text} is no position`);
  return lsn;
}

/** Reads a stream up to a position; what came behind it is dropped. */
export async function readTo(stream: WalStream, start: Lsn, end: Lsn): Promise<Buffer> {
  const pieces: Buffer[] = [];
  for await (const message of stream.messages()) {
    if (message.kind !== 'wal') continue;
    pieces.push(Buffer.from(message.bytes));
    if (message.start + BigInt(message.bytes.length) >= end) break;
  }
  return Buffer.concat(pieces).subarray(0, Number(end - start));
}
