import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { cp, mkdir, mkdtemp, readdir, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { PostgresServer } from '../testing/postgres-server.ts';
import { removeWhenInterrupted, say } from './arena.ts';
import { clusterContestants, type ClusterContestant } from './cluster-contestants.ts';
import { renderClusterReport, type ClusterResult, type ClusterScenario } from './cluster-report.ts';
import { environmentFor, holdfast } from './contestants.ts';
import type { Flags } from './flags.ts';
import { machineFacts, outputOf } from './machine.ts';
import { measure, serverCpuSeconds, storedBytes, type Measurement } from './measure.ts';
import { createData, startBenchServer, updateScattered, type RowCounts } from './postgres-data.ts';
import { contentOf, expectSame, settle, type Content } from './same-content.ts';
import { startRestored } from './start-restored.ts';

const run = promisify(execFile);
const database = 'shop';

/** Full backups, increments and restores of a whole cluster, in turn; every restored cluster is started and compared. */
export async function benchCluster(flags: Flags): Promise<void> {
  const scratch = await mkdtemp(join(flags.scratch ?? tmpdir(), 'holdfast-bench-'));
  removeWhenInterrupted(scratch);
  await using server = await startBenchServer({ wal_keep_size: '16GB', max_wal_senders: '10' });
  say(`PostgreSQL ${server.major} on port ${server.port}; making about ${flags.gigabytes} GB of data`);
  const rows = await createData(server, database, flags.gigabytes);
  const bench = new ClusterBench(server, rows, scratch, flags);
  try {
    const { chosen, versions } = await bench.installed();
    const bytes = Number(await server.psql(`SELECT sum(pg_database_size(oid)) FROM pg_database`));
    for (let round = 1; round <= flags.runs; round += 1) await bench.round(chosen, round);
    const report = {
      machine: await machineFacts(scratch),
      versions,
      bytes,
      runs: flags.runs,
      updates: flags.updates,
      contestants: chosen,
      results: bench.results,
    };
    process.stdout.write(renderClusterReport(report));
    if (flags.json !== undefined) await writeFile(flags.json, `${JSON.stringify(report, null, 2)}\n`);
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
}

class ClusterBench {
  readonly results: ClusterResult[] = [];
  readonly #server: PostgresServer;
  readonly #rows: RowCounts;
  readonly #scratch: string;
  readonly #flags: Flags;
  readonly #env: NodeJS.ProcessEnv;
  #away = 0;

  constructor(server: PostgresServer, rows: RowCounts, scratch: string, flags: Flags) {
    this.#server = server;
    this.#rows = rows;
    this.#scratch = scratch;
    this.#flags = flags;
    this.#env = {
      PATH: `${server.binDirectory}:${process.env['PATH'] ?? '/usr/bin:/bin'}`,
      LC_ALL: 'C.UTF-8',
      PGHOST: '127.0.0.1',
      PGPORT: String(server.port),
      PGUSER: server.superuser,
      PGPASSWORD: server.password,
      PGDATABASE: 'postgres',
      DATA: server.dataDirectory,
      SOCKETS: server.socketDirectory,
    };
  }

  async installed(): Promise<{ chosen: readonly ClusterContestant[]; versions: readonly string[] }> {
    const { only } = this.#flags;
    const versions: string[] = [];
    const chosen: ClusterContestant[] = [];
    for (const contestant of clusterContestants) {
      const { name, tool } = contestant;
      if (only.length > 0 && !only.some((part) => name.includes(part))) continue;
      const [program, ...args] = versionQuestions[tool];
      const version = (await outputOf(program, args, this.#env))?.trim().split('\n')[0];
      versions.push(version === undefined ? `${tool}: not installed, left out` : `${tool} ${version}`);
      if (version !== undefined) chosen.push(contestant);
    }
    return { chosen, versions: [...new Set(versions)] };
  }

  async round(contestants: readonly ClusterContestant[], round: number): Promise<void> {
    const places = new Map<ClusterContestant, string>();
    for (const contestant of contestants) {
      const place = await mkdtemp(join(this.#scratch, 'place-'));
      await mkdir(join(place, 'tmp'));
      places.set(contestant, place);
      if (contestant.prepare !== undefined) await this.#bash(contestant.prepare, place);
    }
    // Everybody finds the files in memory.
    await run('/bin/bash', ['-c', 'find "$0" -type f -exec cat {} + >/dev/null', this.#server.dataDirectory]);
    const first = await this.#content();
    for (const [contestant, place] of places) await this.#backup('full', contestant, place, round);
    for (const [contestant, place] of places) await this.#restore('restore', contestant, place, round, first);
    await updateScattered(this.#server, database, this.#rows, {
      count: this.#flags.updates,
      spread: 'rows',
      round,
    });
    const second = await this.#content();
    for (const [contestant, place] of places) {
      if (!contestant.keepsHistory) continue;
      await this.#backup('increment', contestant, place, round);
    }
    for (const [contestant, place] of places) {
      if (!contestant.keepsHistory) continue;
      await this.#restore('restore of the increment', contestant, place, round, second);
    }
    for (const place of places.values()) await this.#putAway(place);
  }

  async #backup(
    scenario: 'full' | 'increment',
    contestant: ClusterContestant,
    place: string,
    round: number,
  ): Promise<void> {
    const repository = join(place, 'repository');
    const before = await storedBytes(repository).catch(() => 0);
    const command = scenario === 'increment' ? (contestant.again ?? contestant.backup) : contestant.backup;
    const measured = await this.#measure(command, place);
    this.#keep(scenario, contestant, round, measured, (await storedBytes(repository)) - before);
  }

  async #restore(
    scenario: ClusterScenario,
    contestant: ClusterContestant,
    place: string,
    round: number,
    expected: Content,
  ): Promise<void> {
    if (contestant.restore === undefined) return;
    const target = join(place, 'restored');
    const measured = await this.#measure(contestant.restore, place);
    this.#keep(scenario, contestant, round, measured, 0);
    await this.#compare(contestant, place, target, expected);
    await this.#putAway(target);
    await rm(join(place, 'all'), { recursive: true, force: true });
  }

  /** A time is believed only for a cluster that starts and has what was there. */
  async #compare(
    { name }: ClusterContestant,
    place: string,
    target: string,
    expected: Content,
  ): Promise<void> {
    const label = join(place, 'backup_label');
    if (name === 'restic') await cp(label, join(target, 'backup_label'));
    const pgWal = join(target, 'pg_wal');
    await mkdir(pgWal, { recursive: true });
    const wanted = /START WAL LOCATION: .* \(file ([0-9A-F]{24})\)/.exec(
      readFileSync(join(target, 'backup_label'), 'utf8'),
    )?.[1];
    for (const segment of await readdir(join(this.#server.dataDirectory, 'pg_wal')))
      if (/^[0-9A-F]{24}$/.test(segment) && segment >= (wanted ?? ''))
        await cp(join(this.#server.dataDirectory, 'pg_wal', segment), join(pgWal, segment));
    await using restored = await startRestored(this.#server, target);
    expectSame(expected, await contentOf(database, { ...this.#env, PGPORT: String(restored.port) }), name);
  }

  async #content(): Promise<Content> {
    return await contentOf(database, this.#env);
  }

  async #measure(command: string, place: string): Promise<Measurement & { serverCpuSeconds: number }> {
    await settle(this.#server);
    const postmaster = Number(
      readFileSync(join(this.#server.dataDirectory, 'postmaster.pid'), 'utf8').split('\n')[0],
    );
    const before = serverCpuSeconds(postmaster);
    const measured = await measure(command, { env: this.#envIn(place), cwd: place });
    return { ...measured, serverCpuSeconds: serverCpuSeconds(postmaster) - before };
  }

  async #bash(command: string, place: string): Promise<void> {
    await run('/bin/bash', ['-c', command], { cwd: place, env: this.#envIn(place) });
  }

  #envIn(place: string): NodeJS.ProcessEnv {
    return {
      ...environmentFor(place, this.#env),
      TMPDIR: join(place, 'tmp'),
      TARGET: join(place, 'restored'),
    };
  }

  /** Removed when all is over: removing many files makes whoever comes next slow. */
  async #putAway(path: string): Promise<void> {
    this.#away += 1;
    await rename(path, join(this.#scratch, `away-${this.#away}`));
    if (this.#away % 8 === 0) await run('/bin/bash', ['-c', `rm -rf "$0"/away-*; sync`, this.#scratch]);
  }

  #keep(
    scenario: ClusterScenario,
    { name }: ClusterContestant,
    round: number,
    measured: Measurement & { serverCpuSeconds: number },
    stored: number,
  ): void {
    const { wallSeconds, cpuSeconds, peakBytes, serverCpuSeconds: server } = measured;
    this.results.push({
      scenario,
      contestant: name,
      round,
      wallSeconds,
      cpuSeconds,
      peakBytes,
      serverCpuSeconds: server,
      storedBytes: stored,
    });
    say(
      `round ${round}  ${scenario.padEnd(24)} ${name.padEnd(20)} ${wallSeconds.toFixed(2)} s  ${(stored / 1e6).toFixed(1)} MB`,
    );
  }
}

const versionQuestions: Readonly<Record<ClusterContestant['tool'], readonly [string, ...string[]]>> = {
  holdfast: [holdfast, '--version'],
  pgbackrest: ['pgbackrest', 'version'],
  pg_basebackup: ['pg_basebackup', '--version'],
  restic: ['restic', 'version'],
};
