import { execFile } from 'node:child_process';
import { rmSync } from 'node:fs';
import { mkdir, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';
import type { PostgresServer } from '../testing/postgres-server.ts';
import { environmentFor, type Contestant } from './contestants.ts';
import { measure, serverCpuSeconds, storedBytes, type Measurement } from './measure.ts';
import { createData, databaseBytes, startBenchServer, type RowCounts } from './postgres-data.ts';
import { contentOf, expectSame, settle, type Content } from './same-content.ts';

const run = promisify(execFile);
export const database = 'shop';
const template = 'shop_template';
const restored = 'restored';

/** A measurement, with the processor time that fell on the server meanwhile. */
export interface Sample extends Measurement {
  readonly serverCpuSeconds: number;
  /** Bytes that the place holds more than before; zero for a restore. */
  readonly storedBytes: number;
}

/** A server with the data, and a directory for the places of the contestants. Removed by `await using`. */
export class Arena implements AsyncDisposable {
  readonly server: PostgresServer;
  readonly rows: RowCounts;
  readonly databaseBytes: number;
  readonly scratch: string;
  readonly env: NodeJS.ProcessEnv;

  private constructor(server: PostgresServer, rows: RowCounts, bytes: number, scratch: string) {
    this.server = server;
    this.rows = rows;
    this.databaseBytes = bytes;
    this.scratch = scratch;
    this.env = {
      PATH: `${server.binDirectory}:${process.env['PATH'] ?? '/usr/bin:/bin'}`,
      TMPDIR: scratch,
      LC_ALL: 'C.UTF-8',
      PGHOST: '127.0.0.1',
      PGPORT: String(server.port),
      PGUSER: server.superuser,
      PGPASSWORD: server.password,
      PGDATABASE: database,
    };
  }

  static async open(gigabytes: number, scratchParent = tmpdir()): Promise<Arena> {
    const scratch = await mkdtemp(join(scratchParent, 'holdfast-bench-'));
    removeWhenInterrupted(scratch);
    const server = await startBenchServer();
    say(`PostgreSQL ${server.major} on port ${server.port}; making about ${gigabytes} GB of data`);
    const rows = await createData(server, template, gigabytes);
    const arena = new Arena(server, rows, await databaseBytes(server, template), scratch);
    await arena.resetData();
    return arena;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.server[Symbol.asyncDispose]();
    await rm(this.scratch, { recursive: true, force: true });
  }

  /** The database as it was made, read once so that everybody finds it in memory. */
  async resetData(): Promise<void> {
    await this.server.psql(`DROP DATABASE IF EXISTS ${database}`);
    await this.server.psql(`CREATE DATABASE ${database} TEMPLATE ${template} STRATEGY file_copy`);
    await measure('pg_dump -Fc -Z0 > /dev/null', { env: this.env, cwd: this.scratch });
  }

  async content(): Promise<Content> {
    return await contentOf(database, this.env);
  }

  /** A new place for a contestant, with its repository made if it has one. */
  async newPlace(contestant: Contestant): Promise<string> {
    const place = await mkdtemp(join(this.scratch, 'place-'));
    await mkdir(join(place, 'tmp'));
    if (contestant.prepare !== undefined) {
      await run('/bin/bash', ['-c', contestant.prepare], { cwd: place, env: this.#envIn(place) });
    }
    return place;
  }

  async backup(contestant: Contestant, place: string, flags: readonly string[] = []): Promise<Sample> {
    const stored = async (): Promise<number> =>
      await sizeIfThere(contestant.stored === null ? null : join(place, contestant.stored));
    const before = await stored();
    const sample = await this.#measure([contestant.backup, ...flags].join(' '), place);
    return { ...sample, storedBytes: (await stored()) - before };
  }

  /** Restores into a new database, refuses a wrong result, and drops it again. */
  async restore(
    contestant: Contestant,
    place: string,
    expected: Content,
    flags: readonly string[] = [],
  ): Promise<Sample> {
    if (contestant.restore === undefined) throw new Error(`${contestant.name} has no restore`);
    const sample = await this.#measure([contestant.restore, ...flags].join(' '), place);
    expectSame(expected, await contentOf(restored, this.env), contestant.name);
    await this.server.psql(`DROP DATABASE ${restored}`);
    return { ...sample, storedBytes: 0 };
  }

  /** What `backup` and `restore` run under, for running it in another way. */
  environment(place: string): NodeJS.ProcessEnv {
    return this.#envIn(place);
  }

  async #measure(command: string, place: string): Promise<Omit<Sample, 'storedBytes'>> {
    await settle(this.server);
    const postmaster = Number(
      (await readFile(join(this.server.dataDirectory, 'postmaster.pid'), 'utf8')).split('\n')[0],
    );
    const before = serverCpuSeconds(postmaster);
    const measured = await measure(command, { env: this.#envIn(place), cwd: place });
    await this.#quiet();
    return { ...measured, serverCpuSeconds: serverCpuSeconds(postmaster) - before };
  }

  /** The time of a session counts for the server once it has ended, shortly after its client. */
  async #quiet(): Promise<void> {
    const others = `SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()`;
    while ((await this.server.psql(others)) !== '0') await delay(10);
  }

  #envIn(place: string): NodeJS.ProcessEnv {
    return { ...environmentFor(place, this.env), TMPDIR: join(place, 'tmp'), TARGET: restored };
  }
}

/** Gigabytes would stay behind. The server has a guard of its own. */
export function removeWhenInterrupted(scratch: string): void {
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.once(signal, () => {
      rmSync(scratch, { recursive: true, force: true, maxRetries: 10, retryDelay: 50 });
      process.exit(130);
    });
  }
}

/** For people, while it runs; the result goes to standard output. */
export function say(text: string): void {
  process.stderr.write(`${text}\n`);
}

async function sizeIfThere(path: string | null): Promise<number> {
  if (path === null) return 0;
  try {
    return await storedBytes(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return 0;
    throw error;
  }
}
