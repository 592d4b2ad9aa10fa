import { chown, mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { guardDirectory, type Guard } from '../local-postgres/guard.ts';
import { isAlive } from '../local-postgres/processes.ts';
import { connect, type Address } from './connect.ts';
import { giveTo } from './give-to.ts';
import type { Stage } from './stage.ts';

/** A cluster that is brought back beside the server of the stage: its directory and, once it was started, its server. */
export class Recovered implements AsyncDisposable {
  readonly directory: string;
  readonly #stage: Stage;
  #guard: Guard | undefined;
  #address: Address | undefined;
  #variables: Readonly<Record<string, string>> = {};

  constructor(stage: Stage) {
    this.#stage = stage;
    this.directory = join(stage.directory, 'restored');
  }

  /**
   * From now on whatever comes into the directory goes when this process does. The server will run `holdfast wal get`: where
   * it runs as another user than we do, that one gets what the command opens, and a key.
   */
  async prepare(): Promise<void> {
    this.#guard = guardDirectory(this.directory, this.directory);
    const { directory, server } = this.#stage;
    const { user } = server;
    if (user === undefined) return;
    await mkdir(this.directory, { mode: 0o700 });
    await chown(this.directory, user.uid, user.gid);
    for (const name of ['backups', 'cache', 'state']) await giveTo(join(directory, name), user);
    const keys = join(directory, 'config', 'holdfast', 'keys');
    const [key = ''] = await readdir(keys);
    const copy = join(directory, 'key-for-server');
    await writeFile(copy, await readFile(join(keys, key)), { mode: 0o600 });
    await chown(copy, user.uid, user.gid);
    this.#variables = { HOLDFAST_PASSPHRASE_FILE: copy };
  }

  /** For a restore, beside those of the stage. */
  get variables(): Readonly<Record<string, string>> {
    return this.#variables;
  }

  startedOn(port: number): void {
    const { superuser, password } = this.#stage.server;
    this.#address = { port, superuser, password };
  }

  get port(): number | undefined {
    return this.#address?.port;
  }

  /** As `LocalServer.psql`. */
  async psql(sql: string, database = 'postgres'): Promise<string> {
    if (this.#address === undefined) throw new Error('the recovered server was not started');
    const client = await connect(this.#address, database);
    try {
      const answer: unknown = await client.query({ text: sql, rowMode: 'array' });
      const last = (Array.isArray(answer) ? answer.at(-1) : answer) as { rows: readonly (string | null)[][] };
      return last.rows.map((row) => row.map((value) => value ?? '').join('|')).join('\n');
    } finally {
      await client.end().catch(() => undefined);
    }
  }

  /** Stops the server and removes the directory. */
  async remove(): Promise<void> {
    if (this.#guard === undefined) return;
    const pid = await this.#pid();
    if (pid !== undefined) {
      if (isAlive(pid)) process.kill(pid, 'SIGQUIT');
      while (isAlive(pid)) await delay(5);
    }
    await rm(this.directory, { recursive: true, force: true, maxRetries: 10, retryDelay: 50 });
    await rm(`${this.directory}.log`, { force: true });
    this.#guard.release();
    this.#guard = undefined;
    this.#address = undefined;
  }

  /** Server and directory stay. */
  leave(): void {
    this.#guard?.disarm();
    this.#guard = undefined;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.remove();
  }

  async #pid(): Promise<number | undefined> {
    const text = await readFile(join(this.directory, 'postmaster.pid'), 'utf8').catch(() => '');
    const pid = Math.abs(Number.parseInt(text, 10));
    return pid > 1 ? pid : undefined;
  }
}
