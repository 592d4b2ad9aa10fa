import { execFile } from 'node:child_process';
import { appendFile, chown, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { Client } from 'pg';
import type { ClusterBackup } from '../../src/operations/recovery/backups.ts';
import type { PostgresTarget } from '../../src/operations/recovery/target-model.ts';
import type { RecoveryPlan } from '../../src/operations/recovery/target.ts';
import { formatMicroseconds } from '../../src/operations/recovery/words.ts';
import { pushWalFile } from '../../src/operations/wal/push.ts';
import { formatLsn, parseLsn, type Lsn } from '../../src/postgres/lsn.ts';
import { parseWalFileName } from '../../src/postgres/wal/names.ts';
import type { WalArchive } from '../../src/repository/wal/model.ts';
import type { ClusterMetadata } from '../../src/sources/postgres-cluster/metadata.ts';
import type { PostgresServer } from '../../testing/postgres-server.ts';
import { until } from '../../testing/until.ts';

const run = promisify(execFile);

export interface Commit {
  readonly n: number;
  readonly xid: bigint;
  readonly atUs: number;
  /** Behind the record of the commit. */
  readonly lsn: Lsn;
}

export function lsnIn(text: string): Lsn {
  const lsn = parseLsn(text);
  if (lsn === undefined) throw new Error(`${text} is no position`);
  return lsn;
}

type Query = (sql: string) => Promise<string>;

/** Commits a row, and finds out all about it. */
export async function commit(query: Query, n: number): Promise<Commit> {
  const xid = await query(`INSERT INTO t VALUES (${n}) RETURNING pg_current_xact_id()::text`);
  return await committed(query, n, xid);
}

export async function committed(query: Query, n: number, xid: string): Promise<Commit> {
  const [at = '', lsn = ''] = (
    await query(`SELECT (extract(epoch FROM pg_xact_commit_timestamp('${xid}'::xid)) * 1000000)::bigint,
      pg_current_wal_insert_lsn()`)
  ).split('|');
  return { n, xid: BigInt(xid), atUs: Number(at), lsn: lsnIn(lsn) };
}

/** Makes everything up to now part of the archive. */
export async function archiveAll(query: Query): Promise<void> {
  await query("SELECT pg_create_restore_point('switch')");
  const segment = await query('SELECT pg_walfile_name(pg_switch_wal())');
  const isThere = async (): Promise<boolean> =>
    (await query('SELECT last_archived_wal FROM pg_stat_archiver')) >= segment;
  await until(isThere, `${segment} in the archive`);
}

/** A copy of the data directory, as a backup has it. `meanwhile` runs while it is taken. */
export async function takeBackup(
  server: PostgresServer,
  to: string,
  id: string,
  meanwhile: () => Promise<void>,
): Promise<ClusterBackup> {
  const client = new Client({ connectionString: server.url() });
  await client.connect();
  try {
    const started = await client.query<{ lsn: string }>("SELECT pg_backup_start('b', true)::text AS lsn");
    await meanwhile();
    await run('cp', ['-a', server.dataDirectory, to]);
    const stopped = await client.query<{ lsn: string; labelfile: string; at: string; timeline: number }>(
      `SELECT lsn::text, labelfile, (extract(epoch FROM clock_timestamp()) * 1000000)::bigint::text AS at,
         (SELECT timeline_id FROM pg_control_checkpoint()) AS timeline FROM pg_backup_stop(true)`,
    );
    const [first, last] = [started.rows[0], stopped.rows[0]];
    if (first === undefined || last === undefined) throw new Error('no answer');
    await rm(join(to, 'postmaster.pid'));
    // The templates, which nobody connects to: half of what would be copied again and again.
    for (const oid of ['1', '4']) await rm(join(to, 'base', oid), { recursive: true, force: true });
    for (const name of await readdir(join(to, 'pg_wal')))
      if (parseWalFileName(name) !== undefined) await rm(join(to, 'pg_wal', name));
    await writeOwned(server, join(to, 'backup_label'), last.labelfile);
    const stoppedMs = Math.floor(Number(last.at) / 1000);
    return {
      id,
      source: 'main',
      sequence: Number.parseInt(id, 16),
      timeline: last.timeline,
      start: lsnIn(first.lsn),
      stop: lsnIn(last.lsn),
      stoppedAtUs: stoppedMs * 1000 + 999,
      incomplete: null,
      metadata: {} as ClusterMetadata,
    };
  } finally {
    await client.end();
  }
}

async function writeOwned(server: PostgresServer, path: string, text: string): Promise<void> {
  await writeFile(path, text);
  if (server.user !== undefined) await chown(path, server.user.uid, server.user.gid);
}

/** Puts what a server archived by `cp` into an archive of ours. */
export async function fillArchive(archive: WalArchive, directory: string, without?: string): Promise<void> {
  for (const name of (await readdir(directory)).toSorted()) {
    const parsed = parseWalFileName(name);
    if (parsed === undefined || parsed.kind === 'partial' || name === without) continue;
    const file = { path: join(directory, name), name, parsed };
    await pushWalFile(archive, file, new AbortController().signal);
  }
}

export function settingsOf(
  plan: Pick<RecoveryPlan, 'target' | 'timelineSetting' | 'mustNotReadAhead'>,
): Record<string, string> {
  return {
    ...(plan.target === null ? {} : targetSettings(plan.target)),
    ...(plan.mustNotReadAhead ? { recovery_prefetch: 'off' } : {}),
    recovery_target_timeline: plan.timelineSetting,
  };
}

export function targetSettings(target: PostgresTarget): Record<string, string> {
  const recovery_target_inclusive = 'inclusive' in target && !target.inclusive ? 'off' : 'on';
  switch (target.kind) {
    case 'immediate':
      return { recovery_target: 'immediate' };
    case 'name':
      return { recovery_target_name: target.value };
    case 'time':
      return {
        recovery_target_time: `${formatMicroseconds(target.value)}+00`,
        recovery_target_inclusive,
      };
    case 'lsn':
      return { recovery_target_lsn: formatLsn(target.value), recovery_target_inclusive };
    case 'xid':
      return { recovery_target_xid: String(target.value), recovery_target_inclusive };
  }
}

export interface RecoverOptions {
  readonly server: PostgresServer;
  /** The copy of a backup; it stays as it is. */
  readonly backup: string;
  /** A directory that is not there yet. */
  readonly to: string;
  readonly archive: string;
  readonly settings: Readonly<Record<string, string>>;
  readonly port: number;
  /** Runs when the cluster has opened. */
  readonly whenOpen?: (query: Query) => Promise<void>;
  readonly archiveCommand?: string;
  /** A segment that is missing: to ask for it is an error that ends the recovery. */
  readonly missing?: string;
}

/** Recovers with PostgreSQL itself: the rows there are then, or the FATAL that it ended with. */
export async function recover(options: RecoverOptions): Promise<readonly number[] | string> {
  const { server, to, archive, port } = options;
  await run('cp', ['-a', options.backup, to]);
  const settings = {
    ...options.settings,
    restore_command: `test %f != ${options.missing ?? 'none'} || exit 200; cp ${archive}/%f %p`,
    recovery_target_action: 'promote',
    archive_mode: options.archiveCommand === undefined ? 'off' : 'on',
    archive_command: options.archiveCommand ?? 'false',
    hot_standby: 'off',
    log_min_messages: 'log',
  };
  const lines = Object.entries(settings).map(([name, value]) => `${name} = '${value}'\n`);
  await appendFile(join(to, 'postgresql.auto.conf'), lines.join(''));
  await writeOwned(server, join(to, 'recovery.signal'), '');
  const log = `${to}.log`;
  const asServer = { cwd: '/', env: { PATH: process.env['PATH'] ?? '', LC_ALL: 'C' }, ...server.user };
  const control = join(server.binDirectory, 'pg_ctl');
  // Not `-w`: it takes a server for ready that is still recovering.
  await run(control, ['-D', to, '-W', '-o', `-p ${port}`, '-l', log, 'start'], asServer);
  let said = '';
  await until(
    async () => {
      said = await readFile(log, 'utf8').catch(() => '');
      return /is ready to accept connections\n|database system is shut down|startup process .* exited/.test(
        said,
      );
    },
    'the end of recovery',
    60_000,
  );
  if (!said.includes('is ready to accept connections\n')) return /FATAL: .*/.exec(said)?.[0] ?? said;
  try {
    return await rowsAt(server, port, options.whenOpen);
  } finally {
    await run(control, ['-D', to, '-m', 'immediate', '-w', 'stop'], asServer);
    await rm(to, { recursive: true, force: true });
  }
}

async function rowsAt(
  server: PostgresServer,
  port: number,
  whenOpen: RecoverOptions['whenOpen'],
): Promise<number[]> {
  const url = new URL(server.url());
  url.port = String(port);
  const client = new Client({ connectionString: url.href });
  await client.connect();
  try {
    const { rows } = await client.query<{ n: number }>('SELECT n FROM t ORDER BY n');
    await whenOpen?.(async (sql) => {
      const answer = await client.query<unknown[]>({ text: sql, rowMode: 'array' });
      return answer.rows.map((row) => row.join('|')).join('\n');
    });
    return rows.map(({ n }) => n);
  } finally {
    await client.end();
  }
}
