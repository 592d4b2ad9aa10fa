import { execFile, spawn } from 'node:child_process';
import { randomInt } from 'node:crypto';
import { once } from 'node:events';
import { chmodSync, chownSync, mkdirSync, mkdtempSync } from 'node:fs';
import { readdir, readFile, readlink, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { Client } from 'pg';
import { reachableTemp, serverUser } from '../../src/app/local-postgres/server-user.ts';
import type { BackupContext, BackupOutcome, RestoreContext } from '../../src/sources/port.ts';
import type { ClusterMetadata } from '../../src/sources/postgres-cluster/metadata.ts';
import type { ClusterRestoreOptions } from '../../src/sources/postgres-cluster/restore/options.ts';
import {
  planClusterRestore,
  runClusterRestore,
  type ClusterRestored,
} from '../../src/sources/postgres-cluster/restore/restore.ts';
import { startPostgres, type PostgresChoice, type PostgresServer } from '../../testing/postgres-server.ts';

const run = promisify(execFile);

/** A directory that the server's user can reach and owns; removed by `await using`. */
export function serverDirectory(): AsyncDisposable & { readonly path: string } {
  const user = serverUser();
  const path = mkdtempSync(join(reachableTemp(user, tmpdir()), 'hfcl-'));
  chmodSync(path, 0o755);
  if (user !== undefined) chownSync(path, user.uid, user.gid);
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true, maxRetries: 5 }) };
}

export function ownedDirectory(path: string): string {
  mkdirSync(path, { recursive: true, mode: 0o700 });
  const user = serverUser();
  if (user !== undefined) chownSync(path, user.uid, user.gid);
  return path;
}

/** A server that archives its WAL by `cp` into `archive`. */
export async function startArchiving(
  archive: string,
  major: PostgresChoice,
  settings: Readonly<Record<string, string>> = {},
): Promise<PostgresServer> {
  ownedDirectory(archive);
  return await startPostgres({
    major,
    settings: {
      archive_mode: 'on',
      archive_command: `cp %p '${archive}/%f'`,
      max_wal_size: '64MB',
      autovacuum: 'off',
      ...settings,
    },
  });
}

/** Makes everything up to now part of the archive. */
export async function archiveAll(server: PostgresServer): Promise<void> {
  // There may be nothing in the segment yet, which would then not be archived.
  await server.psql("SELECT pg_create_restore_point('archived')");
  const segment = await server.psql('SELECT pg_walfile_name(pg_switch_wal())');
  for (;;) {
    const last = await server.psql('SELECT last_archived_wal FROM pg_stat_archiver');
    if (last >= segment) return;
    const failed = await server.psql('SELECT failed_count FROM pg_stat_archiver');
    if (Number(failed) > 0) throw new Error(await server.log());
    await server.psql('SELECT pg_sleep(0.02)');
  }
}

const skipped =
  /^(?:postmaster\.pid|postmaster\.opts|pg_wal\/.+|pg_stat_tmp\/.+|pg_replslot\/.+|pg_subtrans\/.+)$|pgsql_tmp|pg_internal\.init/;

/** Backs a running server up as the documentation of PostgreSQL has it. `meanwhile` runs before the copy ends. */
export async function copyCluster(
  server: PostgresServer,
  context: BackupContext,
  meanwhile: () => Promise<void> = async () => {},
): Promise<BackupOutcome> {
  const client = new Client({ connectionString: server.url() });
  await client.connect();
  try {
    const started = new Date().toISOString();
    const {
      rows: [first],
    } = await client.query<{ lsn: string }>("SELECT pg_backup_start('test', true)::text AS lsn");
    await meanwhile();
    const copied = { files: 0, bytes: 0, tablespaces: [] as { oid: number; path: string; size: number }[] };
    await copyTree(server.dataDirectory, '', context, copied);
    const {
      rows: [last],
    } = await client.query<{ lsn: string; labelfile: string; spcmapfile: string }>(
      'SELECT lsn::text, labelfile, spcmapfile FROM pg_backup_stop(true)',
    );
    if (first === undefined || last === undefined) throw new Error('no answer');
    await put(context, 'backup_label', 'pg.label', Buffer.from(last.labelfile));
    if (last.spcmapfile !== '')
      await put(context, 'tablespace_map', 'pg.label', Buffer.from(last.spcmapfile));
    const control = await readFile(join(server.dataDirectory, 'global/pg_control'));
    await put(context, 'global/pg_control', 'pg.control', control);
    const metadata: ClusterMetadata = {
      schema: 1,
      mode: 'local',
      server_version: String(server.major),
      server_version_num: server.major * 10_000,
      system_identifier: control.readBigUInt64LE().toString(),
      from_standby: false,
      timeline: 1,
      start_lsn: first.lsn,
      stop_lsn: last.lsn,
      started_at: started,
      stopped_at: new Date().toISOString(),
      page_bytes: 8192,
      wal_segment_bytes: 16_777_216,
      data_checksums: false,
      wal_level: 'replica',
      data_directory: server.dataDirectory,
      port: server.port,
      tablespaces: copied.tablespaces,
      databases: [],
      parent: null,
      full_because: 'first',
      files: copied.files,
      files_kept: 0,
      bytes: copied.bytes,
      pages: 0,
      pages_changed: 0,
      pages_guarded: 0,
      bad_pages: [],
      bad_page_count: 0,
      wal_archive: '0'.repeat(32),
    };
    return { metadata, warnings: [] };
  } finally {
    await client.end();
  }
}

async function copyTree(
  root: string,
  below: string,
  context: BackupContext,
  copied: { files: number; bytes: number; tablespaces: { oid: number; path: string; size: number }[] },
): Promise<void> {
  for (const entry of await readdir(join(root, below), { withFileTypes: true })) {
    const path = below === '' ? entry.name : `${below}/${entry.name}`;
    if (skipped.test(path) || path === 'global/pg_control') continue;
    const full = join(root, path);
    if (entry.isSymbolicLink() && below === 'pg_tblspc')
      copied.tablespaces.push({ oid: Number(entry.name), path: await readlink(full), size: 0 });
    const info = await stat(full).catch(() => null);
    if (info === null) continue;
    if (info.isDirectory()) {
      if (!entry.isSymbolicLink())
        await context.addEntry({ path, kind: 'pg.directory', stream: null, meta: { mode: 0o700 } });
      await copyTree(root, path, context, copied);
    } else if (info.isFile()) {
      const bytes = await readFile(full);
      copied.files += 1;
      copied.bytes += bytes.length;
      const kind = /(?:^|\/)(?:base\/\d+|global|PG_[^/]+\/\d+)\/\d+(?:\.\d+)?$/.test(path)
        ? 'pg.relation'
        : 'pg.file';
      await put(context, path, kind, bytes);
    }
  }
}

export async function put(context: BackupContext, path: string, kind: string, bytes: Buffer): Promise<void> {
  const writer = context.openStream(
    kind === 'pg.relation'
      ? { type: 'fixed', sizeBytes: 131_072 }
      : { type: 'content', averageBytes: 1_048_576 },
  );
  await writer.write(bytes);
  await context.addEntry({
    path,
    kind,
    stream: await writer.finish(),
    meta: { mtime_ns: null, inode: null, mode: 0o600 },
  });
}

export interface Wish extends Partial<Omit<ClusterRestoreOptions, 'recovery'>> {
  readonly target: string;
  readonly archive?: string;
  readonly recovery?: Partial<ClusterRestoreOptions['recovery']>;
}

export function wishOf({ archive = '/nowhere', recovery, ...options }: Wish): ClusterRestoreOptions {
  return {
    backup: 'b'.repeat(32),
    delta: false,
    force: false,
    tablespaces: {},
    owner: serverUser() ?? null,
    keepArchiving: false,
    now: () => Date.now(),
    ...options,
    recovery: {
      restoreCommand: `cp '${archive}/%f' "%p"`,
      target: null,
      timeline: 'latest',
      action: 'promote',
      ...recovery,
    },
  };
}

export async function restoreCluster(wish: Wish, context: RestoreContext): Promise<ClusterRestored> {
  return await runClusterRestore(await planClusterRestore(wishOf(wish), context), context);
}

/** A restored cluster that runs; stopped by `await using`. */
export interface RestoredServer extends AsyncDisposable {
  readonly port: number;
  psql(sql: string, database?: string): Promise<string>;
  log(): Promise<string>;
}

/** `pg_ctl start`, waiting until it takes connections. Throws with the log when it does not start. */
export async function startRestored(
  server: PostgresServer,
  directory: string,
  settings: readonly string[] = [],
): Promise<RestoredServer> {
  const pgCtl = join(server.binDirectory, 'pg_ctl');
  const options = {
    cwd: '/',
    env: { PATH: process.env['PATH'], LC_ALL: 'C' },
    ...server.user,
    encoding: 'utf8' as const,
  };
  const log = `${directory}.log`;
  const readLog = (): Promise<string> => readFile(log, 'utf8').catch(() => '');
  const words = ['-c', 'fsync=off', ...settings.flatMap((one) => ['-c', one])];
  const start = async (port: number): Promise<number | null> => {
    const serverOptions = `-p ${port} ${words.map((word) => `'${word}'`).join(' ')}`;
    // Its output goes to the log: a server would keep a pipe of ours open.
    const args = ['-D', directory, '-l', log, '-w', '-t', '40', '-o', serverOptions, 'start'];
    const child = spawn(pgCtl, args, { ...options, stdio: 'ignore' });
    const [code] = (await once(child, 'exit')) as [number | null];
    return code;
  };
  let port: number;
  for (let attempt = 1; ; attempt += 1) {
    await rm(log, { force: true });
    // Below the range the kernel takes for outgoing connections; other tests look for theirs there, too.
    port = randomInt(15_000, 32_000);
    if ((await start(port)) === 0) break;
    const said = await readLog();
    if (!said.includes('Address already in use') || attempt === 20) throw new Error(said);
  }
  return {
    port,
    log: readLog,
    psql: async (sql, database = 'postgres') => {
      const client = new Client({
        host: '127.0.0.1',
        port,
        user: server.superuser,
        password: server.password,
        database,
        types: { getTypeParser: () => String },
      });
      await client.connect();
      try {
        const { rows } = await client.query<(string | null)[]>({ text: sql, rowMode: 'array' });
        return rows.map((row) => row.map((value) => value ?? '').join('|')).join('\n');
      } finally {
        await client.end();
      }
    },
    [Symbol.asyncDispose]: async () => {
      await run(pgCtl, ['-D', directory, '-m', 'immediate', '-w', 'stop'], options).catch(() => undefined);
    },
  };
}

/** Waits until recovery has ended. */
export async function untilOpen(server: RestoredServer): Promise<void> {
  while ((await server.psql('SELECT pg_is_in_recovery()')) !== 'f')
    await server.psql('SELECT pg_sleep(0.02)');
}

/** All there is in a directory: files with what is in them, directories, links. */
export async function contentsOf(directory: string): Promise<Map<string, string>> {
  const found = new Map<string, string>();
  const look = async (below: string): Promise<void> => {
    for (const entry of await readdir(join(directory, below), { withFileTypes: true })) {
      const path = join(below, entry.name);
      const full = join(directory, path);
      const { mode, uid } = await stat(full);
      const rights = `${(mode & 0o777).toString(8)} ${uid}`;
      if (entry.isSymbolicLink()) found.set(path, `link ${await readlink(full)}`);
      else if (entry.isDirectory()) {
        found.set(path, `directory ${rights}`);
        await look(path);
      } else found.set(path, `${rights} ${(await readFile(full)).toString('latin1')}`);
    }
  };
  await look('');
  return found;
}

/** Metadata of a backup that no server has made. */
export const madeUpMetadata: ClusterMetadata = {
  schema: 1,
  mode: 'local',
  server_version: '15.18',
  server_version_num: 150_018,
  system_identifier: '7000000000000000001',
  from_standby: false,
  timeline: 1,
  start_lsn: '0/2000028',
  stop_lsn: '0/2000100',
  started_at: '2026-01-01T00:00:00.000Z',
  stopped_at: '2026-01-01T00:01:00.000Z',
  page_bytes: 8192,
  wal_segment_bytes: 16_777_216,
  data_checksums: false,
  wal_level: 'replica',
  data_directory: '/nowhere/data',
  port: 5432,
  tablespaces: [],
  databases: [],
  parent: null,
  full_because: 'first',
  files: 0,
  files_kept: 0,
  bytes: 0,
  pages: 0,
  pages_changed: 0,
  pages_guarded: 0,
  bad_pages: [],
  bad_page_count: 0,
  wal_archive: '0'.repeat(32),
};

/** A `pg_control` as far as a restore looks at it. */
export function controlOf(systemIdentifier: string): Buffer {
  const control = Buffer.alloc(8192, 7);
  control.writeBigUInt64LE(BigInt(systemIdentifier));
  [200, 8, 10, 0, 64].forEach((value, index) => control.writeInt32LE(value, 180 + index * 4));
  return control;
}

/** The least that a restore takes, and a few files more. */
export async function putMadeUp(
  context: BackupContext,
  more: Readonly<Record<string, Buffer | string>> = {},
  metadata: ClusterMetadata = madeUpMetadata,
): Promise<void> {
  const files = {
    PG_VERSION: '15\n',
    'postgresql.conf': '',
    'pg_hba.conf': '',
    'pg_ident.conf': '',
    ...more,
  };
  for (const [path, content] of Object.entries(files))
    await put(context, path, /\/\d+$/.test(path) ? 'pg.relation' : 'pg.file', Buffer.from(content));
  await put(context, 'backup_label', 'pg.label', Buffer.from('START WAL LOCATION: 0/2000028\n'));
  await put(context, 'global/pg_control', 'pg.control', controlOf(metadata.system_identifier));
}
