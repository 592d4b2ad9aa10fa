import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync } from 'node:fs';
import { appendFile, chmod, mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { randomInt } from 'node:crypto';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { Client } from 'pg';
import { reachableTemp } from '../src/app/local-postgres/server-user.ts';
import type { Entry, StreamRef } from '../src/contract/stream.ts';
import { connectionFromUrl, type ConnectionParameters } from '../src/postgres/connection/connection.ts';
import { lsnOf } from '../src/postgres/lsn.ts';
import { segmentName } from '../src/postgres/wal/names.ts';
import { backupCluster } from '../src/sources/postgres-cluster/backup/backup.ts';
import type { ClusterBackupOptions } from '../src/sources/postgres-cluster/backup/options.ts';
import {
  clusterMetadataSchema,
  configDirectory,
  entryKinds,
  type ClusterMetadata,
} from '../src/sources/postgres-cluster/metadata.ts';
import type { BackupOutcome } from '../src/sources/port.ts';
import type { MemoryBackup } from './memory-backup.ts';
import type { PostgresServer } from './postgres-server.ts';
import { until } from './until.ts';

export function clusterOptions(
  server: PostgresServer,
  rest: Partial<ClusterBackupOptions> = {},
): ClusterBackupOptions {
  return {
    connection: connectionFromUrl(server.url(), {}),
    dataDirectory: server.dataDirectory,
    label: 'holdfast test',
    fastCheckpoint: true,
    host: 'testhost',
    now: () => Date.now(),
    ...rest,
  };
}

export interface ClusterBackedUp extends BackupOutcome {
  readonly metadata: ClusterMetadata;
}

export async function backUpCluster(
  memory: MemoryBackup,
  server: PostgresServer,
  rest: Partial<ClusterBackupOptions> = {},
  how: { readonly jobs?: number; readonly signal?: AbortSignal } = {},
): Promise<ClusterBackedUp> {
  const context = memory.backupContext({ jobs: 2, ...how });
  const outcome = await backupCluster(clusterOptions(server, rest), context);
  return { ...outcome, metadata: clusterMetadataSchema.parse(outcome.metadata) };
}

/** What a restore needs of a backup. */
export interface ClusterContent {
  readonly metadata: ClusterMetadata;
  readonly entries: readonly Entry[];
  read(stream: StreamRef): Promise<Buffer>;
  /** By name: `000000010000000000000002`. */
  readonly wal: ReadonlyMap<string, Buffer>;
}

export function memoryContent(memory: MemoryBackup, metadata: ClusterMetadata): ClusterContent {
  const wal = new Map(memory.walFiles);
  for (const [key, bytes] of memory.walPieces) {
    const [timeline = 0n, start = 0n] = key.split('/').map(BigInt);
    const name = segmentName(Number(timeline), lsnOf(start), metadata.wal_segment_bytes);
    const segment = wal.get(name) ?? Buffer.alloc(metadata.wal_segment_bytes);
    bytes.copy(segment, Number(start % BigInt(metadata.wal_segment_bytes)));
    wal.set(name, segment);
  }
  return {
    metadata,
    entries: [...memory.entries],
    wal,
    read: async ({ root }) => memory.streams.get(root ?? '') ?? Buffer.alloc(0),
  };
}

export interface RestoredServer extends AsyncDisposable {
  readonly dataDirectory: string;
  readonly connection: ConnectionParameters;
  psql(sql: string, database?: string): Promise<string>;
  log(): Promise<string>;
}

/**
 * Restores a backup in the plainest way there is, and starts a server on it: one that recovers to the end of the WAL, or a
 * standby.
 */
export async function startRestored(
  content: ClusterContent,
  like: PostgresServer,
  settings: Readonly<Record<string, string>> = {},
  signalFile: 'recovery.signal' | 'standby.signal' = 'recovery.signal',
): Promise<RestoredServer> {
  const base = await mkdtemp(join(reachableTemp(like.user, tmpdir()), 'hfpr-'));
  const dataDirectory = join(base, 'data');
  await writeAll(content, base, dataDirectory);
  const wal = join(base, 'wal');
  await mkdir(wal);
  for (const [name, bytes] of content.wal) await writeFile(join(wal, name), bytes);
  const lines = { restore_command: `cp "${wal}/%f" "%p"`, archive_mode: 'off', ...settings };
  await appendFile(
    join(dataDirectory, 'postgresql.auto.conf'),
    Object.entries(lines)
      .map(([name, value]) => `${name} = '${value}'\n`)
      .join(''),
  );
  // Of a standby that was backed up.
  await rm(join(dataDirectory, 'standby.signal'), { force: true });
  await writeFile(join(dataDirectory, signalFile), '');
  await mkdir(join(base, 's'));
  await chmod(base, 0o755);
  await chmod(dataDirectory, 0o700);
  if (like.user !== undefined) execFileSync('chown', ['-R', `${like.user.uid}:${like.user.gid}`, base]);
  return await start(base, dataDirectory, like, signalFile === 'standby.signal' ? 't' : 'f');
}

async function writeAll(content: ClusterContent, base: string, dataDirectory: string): Promise<void> {
  await mkdir(dataDirectory, { mode: 0o700 });
  const moved = (oid: string): string => join(base, `tablespace-${oid}`);
  for (const { path, kind, stream, meta } of content.entries) {
    if (kind === entryKinds.stamps || path.startsWith(configDirectory)) continue;
    const target = join(dataDirectory, path);
    const [, oid] = /^pg_tblspc\/(\d+)$/.exec(path) ?? [];
    if (oid !== undefined) {
      await mkdir(moved(oid), { mode: 0o700 });
      await symlink(moved(oid), target);
    } else if (kind === entryKinds.directory) {
      await mkdir(target, { mode: Number(meta['mode']) });
    } else {
      let bytes = stream === null ? Buffer.alloc(0) : await content.read(stream);
      if (path === 'tablespace_map') {
        const lines = bytes.toString().split('\n').filter(Boolean);
        bytes = Buffer.from(
          lines.map((line) => `${line.split(' ')[0]} ${moved(line.split(' ')[0] ?? '')}\n`).join(''),
        );
      }
      await mkdir(dirname(target), { recursive: true });
      await writeFile(target, bytes);
    }
  }
}

/** Resolves when the server says whether it is in recovery what it is to say in the end. */
async function start(
  base: string,
  dataDirectory: string,
  like: PostgresServer,
  inRecovery: 't' | 'f',
): Promise<RestoredServer> {
  const port = randomInt(15_000, 32_000);
  const logPath = join(base, 'log');
  const output = openSync(logPath, 'a');
  const args = [
    '-D',
    dataDirectory,
    '-p',
    String(port),
    '-k',
    join(base, 's'),
    '-c',
    'ssl=off',
    '-c',
    'listen_addresses=',
  ];
  const child = spawn(join(like.binDirectory, 'postgres'), args, {
    cwd: base,
    env: { LC_ALL: 'C', PATH: process.env['PATH'] },
    stdio: ['ignore', output, output],
    ...like.user,
  });
  closeSync(output);
  const ended = once(child, 'exit');
  ended.catch(() => undefined);
  const log = async (): Promise<string> => await readFile(logPath, 'utf8');
  const psql = async (sql: string, database = 'postgres'): Promise<string> => {
    const { superuser: user, password } = like;
    const types = { getTypeParser: () => String };
    const client = new Client({ host: join(base, 's'), port, user, password, database, ssl: false, types });
    client.on('error', () => undefined); // a query that fails says the same
    await client.connect();
    try {
      const answer: unknown = await client.query({ text: sql, rowMode: 'array' });
      const last = (Array.isArray(answer) ? answer.at(-1) : answer) as { rows: readonly (string | null)[][] };
      return last.rows.map((row) => row.map((value) => value ?? '').join('|')).join('\n');
    } finally {
      await client.end().catch(() => undefined);
    }
  };
  const close = async (): Promise<void> => {
    if (child.exitCode === null && child.signalCode === null) child.kill('SIGQUIT');
    await ended;
    await rm(base, { recursive: true, force: true, maxRetries: 10, retryDelay: 50 });
  };
  try {
    await until(async () => {
      if (child.exitCode !== null || child.signalCode !== null)
        throw new Error(`the restored server has ended:\n${(await log()).slice(-3000)}`);
      return (await psql('SELECT pg_is_in_recovery()').catch(() => '')) === inRecovery;
    }, 'recovery');
  } catch (error) {
    await close();
    throw error;
  }
  const connection: ConnectionParameters = {
    ...connectionFromUrl(like.url(), {}),
    hosts: [{ host: join(base, 's'), port }],
  };
  return { dataDirectory, connection, psql, log, [Symbol.asyncDispose]: close };
}
