import { execFile, spawn, type ChildProcess } from 'node:child_process';
import { randomBytes, randomInt } from 'node:crypto';
import { once } from 'node:events';
import { closeSync, openSync } from 'node:fs';
import { appendFile, chmod, chown, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';
import { Client } from 'pg';
import type { PostgresBinaries } from './binaries.ts';
import { guardDirectory, type Guard } from './guard.ts';
import { childrenOf, isAlive, killProcess } from './processes.ts';
import type { ServerUser } from './server-user.ts';

const run = promisify(execFile);
const readyWithinMs = 60_000;

export interface LocalServerOptions {
  readonly binaries: PostgresBinaries;
  /** Who the server runs as; `undefined`: ourselves. */
  readonly user: ServerUser | undefined;
  /** An empty directory of ours that `user` can reach; the server's from now on. Removed with all it holds. */
  readonly base: string;
  /** Lines for `postgresql.conf`; values are quoted for you. They win over the defaults. */
  readonly settings?: Readonly<Record<string, string>> | undefined;
  readonly initdbArgs?: readonly string[] | undefined;
  /** A fixed port; without it a free one is found. */
  readonly port?: number | undefined;
  /** The superuser's; random unless given. */
  readonly password?: string | undefined;
  /** The search path for programs. */
  readonly path: string | undefined;
  /** The caller guards a directory that `base` lies in; otherwise `base` gets a guard of its own. */
  readonly guarded?: boolean | undefined;
}

export type StopMode = 'smart' | 'fast' | 'immediate';

/** A real PostgreSQL server of our own on loopback. Stopped and removed by `await using`. */
export interface LocalServer extends AsyncDisposable {
  readonly major: number;
  readonly origin: PostgresBinaries['origin'];
  readonly binDirectory: string;
  readonly dataDirectory: string;
  readonly socketDirectory: string;
  readonly port: number;
  readonly superuser: string;
  readonly password: string;
  /** Who the server runs as; `undefined` when that is ourselves. */
  readonly user: ServerUser | undefined;
  /** A `postgres://` URL with password; database `postgres` and the superuser unless named. */
  url(database?: string, user?: string, password?: string): string;
  /** Runs statements (several with `;`); gives the last result as `psql -At` prints it: `a|b` per line. */
  psql(sql: string, database?: string): Promise<string>;
  /** Stops the server and keeps its data; `fast` unless said otherwise. */
  stop(mode?: StopMode): Promise<void>;
  /** As a power cut would: every process of the server dies by SIGKILL at once. */
  kill(): Promise<void>;
  /** Starts it again on the same port after `stop` or `kill`. */
  start(): Promise<void>;
  /** What the server has logged so far. */
  log(): Promise<string>;
  /** Disposing does nothing from now on, nor does the end of this process: server and files stay. */
  leaveRunning(): void;
}

/** Where the server of that base keeps its data. */
export function dataDirectoryOf(base: string): string {
  return join(base, 'data');
}

/** Makes a new cluster and starts it; resolves when it takes connections. On failure `base` is removed. */
export async function startLocalServer(options: LocalServerOptions): Promise<LocalServer> {
  const guard =
    options.guarded === true ? undefined : guardDirectory(options.base, dataDirectoryOf(options.base));
  try {
    const server = new Server(options, guard);
    await server.create();
    await server.start();
    return server;
  } catch (error) {
    await rm(options.base, { recursive: true, force: true });
    guard?.release();
    throw error;
  }
}

class Server implements LocalServer {
  readonly major: number;
  readonly origin: PostgresBinaries['origin'];
  readonly binDirectory: string;
  readonly dataDirectory: string;
  readonly socketDirectory: string;
  readonly superuser = 'postgres';
  readonly password: string;
  readonly user: ServerUser | undefined;
  readonly #base: string;
  readonly #options: LocalServerOptions;
  readonly #guard: Guard | undefined;
  #port: number;
  #process: ChildProcess | undefined;
  #left = false;

  constructor(options: LocalServerOptions, guard: Guard | undefined) {
    const { binaries, user, base } = options;
    this.major = binaries.major;
    this.origin = binaries.origin;
    this.binDirectory = binaries.binDirectory;
    this.dataDirectory = dataDirectoryOf(base);
    this.socketDirectory = join(base, 's');
    this.password = options.password ?? randomBytes(15).toString('base64url');
    this.user = user;
    this.#base = base;
    this.#options = options;
    this.#guard = guard;
    this.#port = options.port ?? 0;
  }

  get port(): number {
    return this.#port;
  }

  async create(): Promise<void> {
    await chmod(this.#base, 0o755);
    const passwordFile = join(this.#base, 'password');
    await writeFile(passwordFile, `${this.password}\n`, { mode: 0o600 });
    for (const directory of [this.dataDirectory, this.socketDirectory])
      await mkdir(directory, { mode: 0o700 });
    if (this.user !== undefined) {
      for (const path of [this.#base, passwordFile, this.dataDirectory, this.socketDirectory]) {
        await chown(path, this.user.uid, this.user.gid);
      }
    }
    const args = ['-D', this.dataDirectory, '-U', this.superuser, `--pwfile=${passwordFile}`, '--no-sync'];
    args.push('--auth=scram-sha-256', '--encoding=UTF8', '--locale=C', ...(this.#options.initdbArgs ?? []));
    await run(join(this.binDirectory, 'initdb'), args, this.#spawnOptions());
    await rm(passwordFile);
    await appendFile(join(this.dataDirectory, 'postgresql.conf'), this.#configuration());
  }

  #configuration(): string {
    const settings = {
      listen_addresses: '127.0.0.1',
      unix_socket_directories: this.socketDirectory,
      fsync: 'off',
      shared_buffers: '32MB',
      timezone: 'UTC',
      log_timezone: 'UTC',
      ...this.#options.settings,
    };
    const lines = Object.entries(settings).map(
      ([name, value]) => `${name} = '${value.replaceAll("'", "''")}'`,
    );
    return `\n# A throwaway server: it does not survive a crash of the machine\n${lines.join('\n')}\n`;
  }

  #spawnOptions(): { cwd: string; env: NodeJS.ProcessEnv; uid?: number; gid?: number } {
    const env = { PATH: this.#options.path ?? '/usr/bin:/bin', LC_ALL: 'C', HOME: this.#base };
    return { cwd: this.#base, env, ...this.user };
  }

  async start(): Promise<void> {
    if (this.#process !== undefined) throw new Error('the server is running already');
    const fixed = this.#port !== 0;
    for (let attempt = 1; ; attempt += 1) {
      // Below the range the kernel takes for outgoing connections, so nothing takes it between stop and start.
      if (!fixed) this.#port = randomInt(15_000, 32_000);
      const failed = await this.#launch();
      if (failed === undefined) return;
      if (!/Address already in use/.test(failed) || attempt === (fixed ? 5 : 20)) {
        throw new Error(`PostgreSQL ${this.major} did not start:\n${failed.slice(-4000)}`);
      }
      if (fixed) await delay(50 * attempt);
    }
  }

  /** Resolves when connections are taken, or with what the server logged when it ended instead. */
  async #launch(): Promise<string | undefined> {
    const logStart = (await this.log()).length;
    const logFile = openSync(join(this.#base, 'server.log'), 'a');
    const child = spawn(
      join(this.binDirectory, 'postgres'),
      ['-D', this.dataDirectory, '-p', String(this.#port)],
      {
        ...this.#spawnOptions(),
        detached: true,
        stdio: ['ignore', logFile, logFile],
      },
    );
    closeSync(logFile);
    child.unref();
    const ended = once(child, 'exit');
    ended.catch(() => undefined);
    const deadline = Date.now() + readyWithinMs;
    for (let pauseMs = 10; ; pauseMs = Math.min(pauseMs * 1.5, 250)) {
      if (child.exitCode !== null || child.signalCode !== null) return (await this.log()).slice(logStart);
      const refused = await this.#tryConnection();
      if (refused === undefined) break;
      if (Date.now() > deadline) {
        child.kill('SIGQUIT');
        await ended;
        return `${(await this.log()).slice(logStart)}\nlast answer: ${refused.message}`;
      }
      await delay(pauseMs);
    }
    // Somebody else's server may answer on a port that ours could not get.
    if (child.exitCode !== null || child.signalCode !== null) return (await this.log()).slice(logStart);
    this.#process = child;
    return undefined;
  }

  async #tryConnection(): Promise<Error | undefined> {
    const client = this.#client();
    try {
      await client.connect();
      const { rows } = await client.query<{ data_directory: string }>('SHOW data_directory');
      return rows[0]?.data_directory === this.dataDirectory
        ? undefined
        : new Error('another server has this port');
    } catch (error) {
      return error as Error;
    } finally {
      await client.end().catch(() => undefined);
    }
  }

  /** Fields, not a URL: pg leaves `%3F` and the like in a URL's database name as they are. */
  #client(database = 'postgres'): Client {
    const client = new Client({
      host: '127.0.0.1',
      port: this.#port,
      user: this.superuser,
      password: this.password,
      database,
      // Named, because PGSSLMODE and PGOPTIONS of this process would count otherwise.
      ssl: false,
      options: '-c TimeZone=UTC',
      connectionTimeoutMillis: 5000,
      types: { getTypeParser: () => String },
    });
    // A connection that breaks fails its query as well, and that is what is told.
    client.on('error', () => undefined);
    return client;
  }

  url(database = 'postgres', user = this.superuser, password = this.password): string {
    const login = `${encodeURIComponent(user)}:${encodeURIComponent(password)}`;
    return `postgres://${login}@127.0.0.1:${this.#port}/${encodeURIComponent(database)}`;
  }

  async psql(sql: string, database?: string): Promise<string> {
    const client = this.#client(database);
    await client.connect();
    try {
      const answer: unknown = await client.query({ text: sql, rowMode: 'array' });
      const last = (Array.isArray(answer) ? answer.at(-1) : answer) as { rows: readonly (string | null)[][] };
      return last.rows.map((row) => row.map((value) => value ?? '').join('|')).join('\n');
    } finally {
      await client.end().catch(() => undefined);
    }
  }

  async stop(mode: StopMode = 'fast'): Promise<void> {
    await this.#end(({ smart: 'SIGTERM', fast: 'SIGINT', immediate: 'SIGQUIT' } as const)[mode]);
  }

  async kill(): Promise<void> {
    const pid = this.#process?.pid;
    if (pid === undefined) return;
    // Stopped first, so that it starts no further process while we collect them.
    process.kill(pid, 'SIGSTOP');
    const children = await childrenOf(pid);
    for (const child of children) killProcess(child);
    await this.#end('SIGKILL');
    while (children.some(isAlive)) await delay(5);
  }

  async #end(signal: NodeJS.Signals): Promise<void> {
    const child = this.#process;
    if (child === undefined) return;
    if (child.exitCode === null && child.signalCode === null) {
      child.ref();
      const ended = once(child, 'exit');
      child.kill(signal);
      await ended;
    }
    // Only now, so that whoever else wants it ended meanwhile waits as well.
    if (this.#process === child) this.#process = undefined;
  }

  async log(): Promise<string> {
    try {
      return await readFile(join(this.#base, 'server.log'), 'utf8');
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return '';
      throw error;
    }
  }

  leaveRunning(): void {
    this.#left = true;
    this.#guard?.disarm();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#left) return;
    await this.stop('immediate');
    await rm(this.#base, { recursive: true, force: true, maxRetries: 10, retryDelay: 50 });
    this.#guard?.release();
  }
}
