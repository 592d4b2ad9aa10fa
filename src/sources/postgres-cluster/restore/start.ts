import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { open, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { failure } from '../../../kernel/errors/failure.ts';
import { openSession } from '../../../postgres/connection/session.ts';
import type { ConnectionParameters } from '../../../postgres/connection/connection.ts';
import { controlPath } from './entries.ts';
import type { FileOwner, RecoverySettings } from './options.ts';
import { type LogFacts, readFacts, ServerLog } from './server-log.ts';

export interface StartOptions {
  /** Of the programs of the right major. */
  readonly binDirectory: string;
  /** A restored data directory. */
  readonly directory: string;
  /** File that the server prints to; made, or added to. */
  readonly log: string;
  /** Who the server runs as; null: whoever runs this, who must not be root. */
  readonly owner: FileOwner | null;
  readonly recovery: RecoverySettings;
  /** Settings for this run of the server, such as another port. */
  readonly settings: Readonly<Record<string, string>>;
  /** Asked for what the log does not tell; without it, or when it is refused, that stays null. */
  readonly connection: ConnectionParameters | null;
  readonly environment: Readonly<Record<string, string>>;
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
  /** Milliseconds. */
  readonly now: () => number;
}

/** A server that was started, and how far it came. */
export interface Started {
  /** `open`: recovery has ended. `paused`: at the target, for reading only. `standby`: it goes on. `ended`: stopped at the target. */
  readonly state: 'open' | 'paused' | 'standby' | 'ended';
  readonly pid: number | null;
  readonly port: number | null;
  /** The last position that was replayed: `0/3000060`. */
  readonly last_lsn: string | null;
  /** Of the last transaction that was replayed, as the server writes it. */
  readonly last_transaction_at: string | null;
  readonly timeline: number | null;
  /** Where and why it stopped, in the words of the server. */
  readonly stopped: string | null;
  readonly log: string;
}

const longestPauseMs = 500;
/** In pg_control, behind the system identifier and two numbers of versions; the same in all versions served. */
const stateOffset = 16;
const inProduction = 6;

/**
 * Starts a server in a restored directory and waits until recovery has come to its end or its target. The server goes on by
 * itself; an abort stops it. `cluster_start_failed`, `cluster_recovery_target_missed`, `cluster_start_timeout`.
 */
export async function startRestoredCluster(options: StartOptions): Promise<Started> {
  const { signal, log, directory, timeoutMs, now } = options;
  signal.throwIfAborted();
  const from = await stat(log).then(
    ({ size }) => size,
    () => 0,
  );
  const child = await spawnServer(options);
  const reader = new ServerLog(log, from, directory);
  const until = now() + timeoutMs;
  try {
    for (let pauseMs = 25; ; pauseMs = Math.min(pauseMs * 1.5, longestPauseMs)) {
      const gone = child.exitCode !== null || child.signalCode !== null;
      const facts = readFacts(await reader.read());
      if (gone) return ended(facts, options);
      const reached = await stateOf(child, facts, options);
      // The log was read before it came so far.
      if (reached !== null) return await told(reached, readFacts(await reader.read()), options);
      if (now() >= until)
        throw failure('cluster_start_timeout', { directory, seconds: Math.round(timeoutMs / 1000), log });
      await delay(pauseMs, undefined, { signal });
    }
  } catch (error) {
    if (!signal.aborted) throw error;
    await stop(child);
    throw signal.reason;
  }
}

async function spawnServer(options: StartOptions): Promise<ChildProcess> {
  const { binDirectory, directory, log, owner, settings, environment } = options;
  // In words that are known, whatever the language of the server is.
  const all = { ...settings, lc_messages: 'C' };
  const words = Object.entries(all).flatMap(([name, value]) => ['-c', `${name}=${value}`]);
  await using file = await open(log, 'a', 0o600);
  if (owner !== null) await file.chown(owner.uid, owner.gid);
  const child = spawn(join(binDirectory, 'postgres'), ['-D', directory, ...words], {
    cwd: '/',
    env: { ...environment },
    detached: true,
    stdio: ['ignore', file.fd, file.fd],
    ...owner,
  });
  child.unref();
  const failed = await Promise.race([
    once(child, 'spawn').then(() => null),
    once(child, 'error').then(([error]) => error as Error),
  ]);
  if (failed !== null)
    throw failure('cluster_start_failed', { directory, reason: failed.message, log }, { cause: failed });
  return child;
}

interface Running {
  readonly state: 'open' | 'paused' | 'standby';
  readonly pid: number;
  readonly port: number | null;
}

/** By what the server says of itself in postmaster.pid; null while it is on its way. */
async function stateOf(
  child: ChildProcess,
  facts: LogFacts,
  { directory, recovery }: StartOptions,
): Promise<Running | null> {
  const text = await readFile(join(directory, 'postmaster.pid'), 'utf8').catch(() => '');
  const lines = text.split('\n').map((line) => line.trim());
  const pid = Number(lines[0]);
  if (pid !== child.pid) return null;
  const port = Number(lines[3]);
  const running = { pid, port: Number.isInteger(port) && port > 0 ? port : null };
  // That connections are taken; for reading as well, or with hot_standby off that none are for now.
  if (lines[7] !== 'ready' && lines[7] !== 'standby') return null;
  if (await isInProduction(directory)) return { state: 'open', ...running };
  if (facts.paused) return { state: 'paused', ...running };
  return recovery.standby === true ? { state: 'standby', ...running } : null;
}

/** Of a cluster that runs: whether its recovery has ended. */
async function isInProduction(directory: string): Promise<boolean> {
  const control = await readFile(join(directory, controlPath));
  return control.length > stateOffset + 4 && control.readInt32LE(stateOffset) === inProduction;
}

async function told(running: Running, facts: LogFacts, options: StartOptions): Promise<Started> {
  const asked = await ask(options).catch(() => null);
  return {
    state: running.state,
    pid: running.pid,
    port: running.port,
    last_lsn: facts.lastLsn ?? asked?.lsn ?? null,
    last_transaction_at: facts.lastTransactionAt ?? asked?.at ?? null,
    timeline: facts.timeline ?? asked?.timeline ?? null,
    stopped: facts.stopped,
    log: options.log,
  };
}

async function ask({
  connection,
  signal,
}: StartOptions): Promise<{ lsn: string | null; at: string | null; timeline: number | null } | null> {
  if (connection === null) return null;
  await using session = await openSession(connection, signal);
  const [row] = await session.query<{ lsn: string | null; at: string | null; timeline: string | null }>(
    `SELECT pg_last_wal_replay_lsn()::text AS lsn, pg_last_xact_replay_timestamp()::text AS at,
            (SELECT timeline_id::text FROM pg_control_checkpoint()) AS timeline`,
  );
  if (row === undefined) return null;
  return { lsn: row.lsn, at: row.at, timeline: row.timeline === null ? null : Number(row.timeline) };
}

function ended(facts: LogFacts, options: StartOptions): Started {
  const { directory, log, recovery } = options;
  if (recovery.action === 'shutdown' && facts.shutDownAtTarget)
    return {
      state: 'ended',
      pid: null,
      port: null,
      last_lsn: facts.lastLsn,
      last_transaction_at: facts.lastTransactionAt,
      timeline: facts.timeline,
      stopped: facts.stopped,
      log,
    };
  const details = { last_lines: facts.lastLines };
  const reason = facts.fatal ?? facts.lastLines.at(-1) ?? 'it said nothing';
  if (facts.targetMissed) throw failure('cluster_recovery_target_missed', { reason, log }, { details });
  throw failure('cluster_start_failed', { directory, reason, log }, { details });
}

async function stop(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  child.ref();
  const gone = once(child, 'exit');
  child.kill('SIGINT');
  await gone;
}
