import { setTimeout as delay } from 'node:timers/promises';
import { Client } from 'pg';
import { parseLsn, type Lsn } from '../src/postgres/lsn.ts';
import { randomFrom } from './cluster-workload.ts';
import { until } from './until.ts';

/** Somewhere to connect to as the superuser. */
export interface NumberedServer {
  readonly port: number;
  readonly superuser: string;
  readonly password: string;
}

/** A transaction that has ended, as the session that ran it knows. */
export interface Ended {
  readonly how: 'commit' | 'abort' | 'commit prepared' | 'abort prepared';
  readonly xid: number;
  /** What it has committed: rows of `numbers`. */
  readonly numbers: readonly number[];
  /** Where the server wrote before its end was asked for, and after it was acknowledged. */
  readonly from: Lsn;
  readonly to: Lsn;
}

export interface NamedPoint {
  readonly name: string;
  /** As `pg_create_restore_point()` gave it: where its record ends. */
  readonly lsn: Lsn;
}

const sessions = 3;

/**
 * Sessions that commit, roll back and prepare transactions with numbered rows until they are ended, and an account of
 * each that is kept outside of the server.
 */
export class NumberedCommits implements AsyncDisposable {
  readonly ended: Ended[] = [];
  readonly points: NamedPoint[] = [];
  readonly #server: NumberedServer;
  readonly #random: () => number;
  readonly #done: Promise<unknown>;
  #isOver = false;
  #next = 1;

  private constructor(server: NumberedServer, seed: number) {
    this.#server = server;
    this.#random = randomFrom(seed);
    this.#done = Promise.all(Array.from({ length: sessions }, () => this.#session()));
    this.#done.catch(() => undefined); // Told when it is ended.
  }

  static async start(
    server: NumberedServer & { psql(sql: string): Promise<string> },
    seed: number,
  ): Promise<NumberedCommits> {
    await server.psql(`CREATE TABLE IF NOT EXISTS numbers (n int PRIMARY KEY, filler text)`);
    await server.psql(`ALTER TABLE numbers ALTER filler SET STORAGE external`);
    return new NumberedCommits(server, seed);
  }

  /** Resolves when that many transactions more have ended. */
  async more(count: number): Promise<void> {
    const wanted = this.ended.length + count;
    const isEnough = async (): Promise<boolean> => {
      if (this.#isOver) await this.#done;
      return this.ended.length >= wanted;
    };
    await Promise.race([until(isEnough, `${count} transactions`, 60_000), this.#done]);
  }

  /** Rejects for what went wrong in a session. */
  async end(): Promise<void> {
    this.#isOver = true;
    await this.#done;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.end().catch(() => undefined);
  }

  async #session(): Promise<void> {
    const { port, superuser: user, password } = this.#server;
    const client = new Client({ host: '127.0.0.1', port, user, password, database: 'postgres', ssl: false });
    client.on('error', () => undefined); // The query under way rejects.
    await client.connect();
    try {
      while (!this.#isOver) {
        await this.#one(client);
        await delay(this.#random() * 12);
      }
    } finally {
      await client.end().catch(() => undefined);
    }
  }

  async #one(client: Client): Promise<void> {
    const kind = this.#random();
    if (kind < 0.06) return await this.#point(client);
    await client.query('BEGIN');
    // What is committed without waiting lies in the WAL no differently.
    if (this.#random() < 0.3) await client.query('SET LOCAL synchronous_commit = off');
    const numbers = [await this.#insert(client)];
    if (kind < 0.3) numbers.push(...(await this.#subtransactions(client)));
    const xid = Number(await value(client, 'SELECT pg_current_xact_id()'));
    if (kind > 0.8) return await this.#prepared(client, xid, numbers);
    const isCommit = kind < 0.65;
    const from = await position(client);
    await client.query(isCommit ? 'COMMIT' : 'ROLLBACK');
    const to = await position(client);
    this.ended.push({
      how: isCommit ? 'commit' : 'abort',
      xid,
      numbers: isCommit ? numbers : [],
      from,
      to,
    });
  }

  async #prepared(client: Client, xid: number, numbers: readonly number[]): Promise<void> {
    const name = `two-phase ${xid}`;
    await client.query(`PREPARE TRANSACTION '${name}'`);
    await delay(this.#random() * 30);
    const isCommit = this.#random() < 0.6;
    const from = await position(client);
    await client.query(`${isCommit ? 'COMMIT' : 'ROLLBACK'} PREPARED '${name}'`);
    const to = await position(client);
    const how = isCommit ? 'commit prepared' : 'abort prepared';
    this.ended.push({ how, xid, numbers: isCommit ? numbers : [], from, to });
  }

  /** One that is rolled back, and one that is part of what is committed. */
  async #subtransactions(client: Client): Promise<number[]> {
    await client.query('SAVEPOINT one');
    await this.#insert(client);
    await client.query('ROLLBACK TO one');
    await client.query('SAVEPOINT two');
    return [await this.#insert(client)];
  }

  async #insert(client: Client): Promise<number> {
    const number = this.#next;
    this.#next += 1;
    const bytes = this.#random() < 0.1 ? 30_000 : 20;
    await client.query('INSERT INTO numbers VALUES ($1, $2)', [number, 'x'.repeat(bytes)]);
    return number;
  }

  async #point(client: Client): Promise<void> {
    const name = `point ${this.#next}`;
    this.#next += 1;
    const lsn = lsnIn(await value(client, `SELECT pg_create_restore_point('${name}')`));
    this.points.push({ name, lsn });
  }
}

async function position(client: Client): Promise<Lsn> {
  return lsnIn(await value(client, 'SELECT pg_current_wal_insert_lsn()'));
}

async function value(client: Client, sql: string): Promise<string> {
  const { rows } = await client.query<unknown[]>({ text: sql, rowMode: 'array' });
  return String(rows[0]?.[0]);
}

function lsnIn(text: string): Lsn {
  const lsn = parseLsn(text);
  if (lsn === undefined) throw new Error(`${text} is no position`);
  return lsn;
}
