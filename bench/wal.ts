import { execFileSync, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { startPostgres, type PostgresServer } from '../testing/postgres-server.ts';
import { removeWhenInterrupted, say } from './arena.ts';
import { holdfast } from './contestants.ts';
import type { Flags } from './flags.ts';
import { machineFacts } from './machine.ts';
import { measure, type Measurement } from './measure.ts';
import { verdict } from './postgres-report.ts';
import { spreadOf } from './statistics.ts';

const segmentBytes = 16 * 1024 * 1024;
const transactionsPerSecond = 5000;
const lagSeconds = 30;

/** How fast WAL is stored, by a stream and by archive_command, how far the stream is behind, and how fast it comes back. */
export async function benchWal(flags: Flags): Promise<void> {
  const scratch = mkdtempSync(join(flags.scratch ?? tmpdir(), 'holdfast-bench-'));
  chmodSync(scratch, 0o755);
  removeWhenInterrupted(scratch);
  const bench = await WalBench.open(scratch, flags);
  try {
    const streamed = await bench.streamed();
    const lags = await bench.lags();
    const archived = await bench.archived();
    const fetched = await bench.fetched();
    process.stdout.write(render(await machineFacts(scratch), streamed, archived, lags, fetched));
  } finally {
    await bench.server[Symbol.asyncDispose]();
    rmSync(scratch, { recursive: true, force: true });
  }
}

interface Stored extends Measurement {
  readonly bytes: number;
}

interface Lags {
  /** Of the server's `flush_lag`: how long after it had flushed WAL itself it was told that this was stored. */
  readonly seconds: readonly number[];
  readonly reached: number;
}

class WalBench {
  readonly server: PostgresServer;
  readonly #scratch: string;
  readonly #bytes: number;
  readonly #runs: number;

  private constructor(server: PostgresServer, scratch: string, flags: Flags) {
    this.server = server;
    this.#scratch = scratch;
    this.#bytes = flags.gigabytes * 1e9;
    this.#runs = flags.runs;
  }

  static async open(scratch: string, flags: Flags): Promise<WalBench> {
    const server = await startPostgres({
      major: 'system',
      settings: {
        archive_mode: 'on',
        archive_command: '',
        max_wal_size: '64GB',
        max_wal_senders: '10',
        checkpoint_timeout: '1h',
        autovacuum: 'off',
        shared_buffers: '512MB',
      },
    });
    const bench = new WalBench(server, scratch, flags);
    writeFileSync(
      join(scratch, 'holdfast.yaml'),
      `repository: ${join(scratch, 'repository')}
sources: { main: { type: postgres-cluster, url: "${server.url()}" } }
`,
    );
    // The archiver is the server's.
    if (server.user !== undefined)
      execFileSync('chown', ['-R', `${server.user.uid}:${server.user.gid}`, scratch]);
    await bench.#holdfast('init --quiet');
    bench.#client('pgbench', ['--quiet', '-i', '-s', '20']);
    return bench;
  }

  /** What a stream that was away has to catch up with. */
  async streamed(): Promise<Stored> {
    await this.#holdfast('wal stream --once --quiet');
    const bytes = await this.#write();
    say(`storing ${Math.round(bytes / 1e6)} MB of WAL by a stream`);
    return { bytes, ...(await this.#holdfast('wal stream --once --quiet')) };
  }

  /** Sampled while pgbench commits at a fixed rate. */
  async lags(): Promise<Lags> {
    say(`pgbench at ${transactionsPerSecond} transactions a second, streamed`);
    const stream = this.#start('wal stream --quiet');
    const args = ['-N', '-M', 'prepared', '-c', '8', '-j', '2', '-T', String(lagSeconds)];
    const [seconds, reached] = await Promise.all([
      this.#sample(),
      this.#pgbench([...args, '-R', String(transactionsPerSecond)]),
    ]);
    stream.kill('SIGTERM');
    await once(stream, 'close');
    return { seconds, reached };
  }

  /** From the moment on that the server may archive what it has. */
  async archived(): Promise<Stored> {
    const bytes = await this.#write();
    const last = await this.server.psql('SELECT pg_walfile_name(pg_switch_wal())');
    const waiting = (await this.#ready()).length * segmentBytes;
    say(`storing ${Math.round(waiting / 1e6)} MB of WAL by archive_command`);
    const begun = performance.now();
    const command = `HOME='${this.#scratch}' '${holdfast}' wal push %p --quiet --config '${join(this.#scratch, 'holdfast.yaml')}'`;
    await this.server.psql(`ALTER SYSTEM SET archive_command = '${command.replaceAll("'", "''")}'`);
    await this.server.psql('SELECT pg_reload_conf()');
    while ((await this.server.psql('SELECT last_archived_wal FROM pg_stat_archiver')) < last) await delay(50);
    const wallSeconds = (performance.now() - begun) / 1000;
    return {
      bytes: Math.max(waiting, bytes),
      wallSeconds,
      cpuSeconds: Number.NaN,
      peakBytes: 0,
      programs: {},
      stdout: '',
    };
  }

  /** Seconds of single calls of restore_command, in the order a recovery makes them. */
  async fetched(): Promise<readonly number[]> {
    say('getting segments');
    const names = (await readdir(join(this.server.dataDirectory, 'pg_wal')))
      .filter((name) => /^[0-9A-F]{24}$/.test(name))
      .toSorted();
    const seconds: number[] = [];
    for (const name of names.slice(0, Math.max(10, this.#runs * 4))) {
      const { wallSeconds } = await this.#holdfast(
        `wal get ${name} '${join(this.#scratch, 'segment')}' --quiet`,
      );
      seconds.push(wallSeconds);
    }
    return seconds;
  }

  /** Writes WAL with and without page images, text and numbers; gives how much. */
  async #write(): Promise<number> {
    const position = async (): Promise<number> =>
      Number(await this.server.psql("SELECT pg_current_wal_insert_lsn() - '0/0'"));
    const before = await position();
    while ((await position()) - before < this.#bytes) {
      await this.server.psql('CHECKPOINT');
      await this.server.psql(
        'UPDATE pgbench_accounts SET abalance = abalance + 1 WHERE aid % 8 = (random() * 7)::int',
      );
    }
    return (await position()) - before;
  }

  async #ready(): Promise<readonly string[]> {
    const names = await readdir(join(this.server.dataDirectory, 'pg_wal/archive_status'));
    return names.filter((name) => name.endsWith('.ready'));
  }

  async #sample(): Promise<readonly number[]> {
    const found: number[] = [];
    const end = performance.now() + lagSeconds * 1000;
    while (performance.now() < end) {
      const lag = await this.server.psql(
        "SELECT extract(epoch FROM flush_lag) FROM pg_stat_replication WHERE application_name LIKE 'holdfast%'",
      );
      if (lag !== '') found.push(Number(lag));
      await delay(200);
    }
    return found;
  }

  async #pgbench(args: readonly string[]): Promise<number> {
    const child = spawn(join(this.server.binDirectory, 'pgbench'), args, { env: this.#env() });
    let text = '';
    child.stdout.setEncoding('utf8').on('data', (piece: string) => (text += piece));
    await once(child, 'close');
    return Number(/^tps = ([\d.]+)/m.exec(text)?.[1] ?? Number.NaN);
  }

  #client(program: string, args: readonly string[]): void {
    execFileSync(join(this.server.binDirectory, program), args, { env: this.#env(), stdio: 'ignore' });
  }

  async #holdfast(words: string): Promise<Measurement> {
    return await measure(this.#command(words), { env: this.#env(), cwd: this.#scratch });
  }

  #start(words: string): ChildProcess {
    return spawn('/bin/bash', ['-c', `exec ${this.#command(words)}`], { env: this.#env(), stdio: 'ignore' });
  }

  #command(words: string): string {
    const { user } = this.server;
    const as = user === undefined ? '' : `setpriv --reuid=${user.uid} --regid=${user.gid} --clear-groups `;
    return `${as}'${holdfast}' ${words} --config '${join(this.#scratch, 'holdfast.yaml')}'`;
  }

  #env(): NodeJS.ProcessEnv {
    return {
      PATH: process.env['PATH'],
      HOME: this.#scratch,
      PGHOST: '127.0.0.1',
      PGPORT: String(this.server.port),
      PGUSER: this.server.superuser,
      PGPASSWORD: this.server.password,
      PGDATABASE: 'postgres',
    };
  }
}

function render(
  { cpu, cores, disk, node }: Awaited<ReturnType<typeof machineFacts>>,
  streamed: Stored,
  archived: Stored,
  lags: Lags,
  fetched: readonly number[],
): string {
  const rate = ({ bytes, wallSeconds }: Stored): number => bytes / 1e6 / wallSeconds;
  const lag = spreadOf(lags.seconds);
  const get = spreadOf(fetched);
  const ms = (seconds: number): string => `${Math.round(seconds * 1000)} ms`;
  const slowest = (limit: number): ((value: number) => string) => {
    return (value) => `${Math.round(limit / value)} MB/s`;
  };
  return `## WAL, encrypted, into a repository on the local disk

${cores} × ${cpu}, ${disk}, Node ${node}. The server, pgbench and holdfast share the processors.

| | |
| --- | --- |
| stream, catching up with ${Math.round(streamed.bytes / 1e6)} MB | ${Math.round(rate(streamed))} MB/s, ${streamed.cpuSeconds.toFixed(1)} CPU s, ${Math.round(streamed.peakBytes / 1_048_576)} MiB |
| archive_command, ${Math.round(archived.bytes / 1e6)} MB that wait | ${Math.round(rate(archived))} MB/s |
| streaming lag at ${Math.round(lags.reached)} transactions a second | median ${ms(lag.median)}, at most ${ms(lag.max)} in ${lags.seconds.length} samples |
| one call of restore_command | median ${ms(get.median)}, ${ms(get.min)} to ${ms(get.max)} |

| target | measured | |
| --- | --- | --- |
${verdict('a stream stores ≥ 150 MB/s', 150 / rate(streamed), 1, slowest(150))}
${verdict('archive_command stores ≥ 150 MB/s', 150 / rate(archived), 1, slowest(150))}
${verdict('the stream is behind by < 1 s', lag.max, 1, ms)}
${verdict('wal get ≤ 150 ms', get.median, 0.15, ms)}
`;
}
