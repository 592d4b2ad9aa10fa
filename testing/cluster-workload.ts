import { setTimeout as delay } from 'node:timers/promises';
import { Client } from 'pg';
import type { PostgresServer } from './postgres-server.ts';
import { until } from './until.ts';

/** Numbers that follow from a seed: mulberry32. */
export function randomFrom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

const tables = 6;
export const workDatabase = 'work';

export interface WorkloadOptions {
  readonly seed: number;
  /** Outside of the data directory, the server's own. */
  readonly tablespace: string;
  /** Between two statements of each session; 15 unless given. */
  readonly pauseMs?: number;
}

/**
 * Sessions that do to a cluster all that changes files in different ways, until disposed. They can be held for a moment, to
 * look at what is there.
 */
export class ClusterWorkload implements AsyncDisposable {
  readonly #server: PostgresServer;
  readonly #random: () => number;
  /** Outside of the data directory, the server's own. */
  readonly #tablespace: string;
  readonly #pauseMs: number;
  readonly #done: Promise<unknown>;
  #ended = false;
  #held = false;
  #busy = 0;
  readonly counts = new Map<string, number>();
  readonly refused = new Map<string, number>();

  private constructor(server: PostgresServer, { seed, tablespace, pauseMs = 15 }: WorkloadOptions) {
    this.#server = server;
    this.#random = randomFrom(seed);
    this.#tablespace = tablespace;
    this.#pauseMs = pauseMs;
    this.#done = Promise.all([this.#session(), this.#session(), this.#session()]);
    this.#done.catch(() => undefined); // Told when it is disposed.
  }

  static async start(server: PostgresServer, options: WorkloadOptions): Promise<ClusterWorkload> {
    await server.psql(`CREATE TABLESPACE elsewhere LOCATION '${options.tablespace}'`);
    await server.psql(`CREATE DATABASE ${workDatabase}`);
    for (let table = 1; table <= tables; table += 1) {
      await server.psql(
        `CREATE TABLE t${table} (id bigserial PRIMARY KEY, k int, body text, tags int[]);
         CREATE INDEX ON t${table} (k);
         CREATE INDEX ON t${table} USING gin (tags);
         INSERT INTO t${table} (k, body, tags) SELECT g, repeat(md5(g::text), 1 + g % 9), ARRAY[g % 7, g % 11]
           FROM generate_series(1, 3000) g`,
        workDatabase,
      );
    }
    await server.psql(
      `CREATE UNLOGGED TABLE fleeting (a int PRIMARY KEY, b text);
       CREATE TABLE points (p point, r int4range);
       CREATE INDEX ON points USING gist (p);
       CREATE INDEX ON points USING spgist (r);
       CREATE TABLE big (id serial PRIMARY KEY, doc text); ALTER TABLE big ALTER doc SET STORAGE EXTERNAL;
       CREATE TABLE hashed (a int); CREATE INDEX ON hashed USING hash (a); CREATE INDEX ON hashed USING brin (a);
       CREATE MATERIALIZED VIEW summary AS SELECT k % 10 AS k, count(*) FROM t1 GROUP BY 1`,
      workDatabase,
    );
    return new ClusterWorkload(server, options);
  }

  /** Everything is committed, and nothing is under way, while `look` runs. */
  async held<T>(look: () => Promise<T>): Promise<T> {
    this.#held = true;
    try {
      await until(() => this.#busy === 0, 'the workload at rest', 60_000);
      return await look();
    } finally {
      this.#held = false;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#ended = true;
    await this.#done;
  }

  async #session(): Promise<void> {
    const client = this.#client(workDatabase);
    await client.connect();
    try {
      while (!this.#ended) {
        // Enough for others to get on, and for not more WAL than can be archived beside it.
        await delay(this.#held ? 2 : this.#pauseMs);
        if (this.#held) continue;
        this.#busy += 1;
        try {
          await this.#one(client);
        } finally {
          this.#busy -= 1;
        }
      }
    } finally {
      await client.end().catch(() => undefined);
    }
  }

  /** What is refused because another session is in the way is part of the game. */
  async #one(client: Client): Promise<void> {
    const [name, statements] = this.#pick();
    try {
      for (const sql of statements) await client.query(sql);
      this.counts.set(name, (this.counts.get(name) ?? 0) + 1);
    } catch (error) {
      await client.query('ROLLBACK').catch(() => undefined);
      const { code = '' } = error as { readonly code?: string };
      if (code === '') throw error;
      this.refused.set(`${name} ${code}`, (this.refused.get(`${name} ${code}`) ?? 0) + 1);
    }
  }

  #pick(): readonly [string, readonly string[]] {
    const any = (count: number): number => Math.floor(this.#random() * count);
    const t = `t${1 + any(tables)}`;
    const n = any(1_000_000);
    const often: readonly (readonly [string, readonly string[]])[] = [
      [
        'insert',
        [
          `INSERT INTO ${t} (k, body, tags) SELECT g, repeat(md5((g + ${n})::text), 1 + g % 9), ARRAY[g % 7] FROM generate_series(1, ${50 + any(300)}) g`,
        ],
      ],
      [
        'update',
        [`UPDATE ${t} SET k = k + 1, body = md5(body) || left(body, 60) WHERE id % 97 = ${any(97)}`],
      ],
      ['delete', [`DELETE FROM ${t} WHERE id % 53 = ${any(53)}`]],
      ['rollback', ['BEGIN', `UPDATE ${t} SET k = -1 WHERE id % 31 = ${any(31)}`, 'ROLLBACK']],
      [
        'subtransactions',
        [
          'BEGIN',
          `INSERT INTO ${t} (k) VALUES (${n})`,
          'SAVEPOINT s',
          `DELETE FROM ${t} WHERE k = ${n}`,
          'ROLLBACK TO s',
          'COMMIT',
        ],
      ],
      [
        'points',
        [
          `INSERT INTO points SELECT point(random() * 100, random() * 100), int4range(g, g + 5) FROM generate_series(1, 60) g`,
        ],
      ],
      [
        'toast',
        [`INSERT INTO big (doc) SELECT repeat(md5((${n} + g)::text), 300) FROM generate_series(1, 5) g`],
      ],
      ['hashed', [`INSERT INTO hashed SELECT ${n} + g FROM generate_series(1, 100) g`]],
    ];
    const rare: readonly (readonly [string, readonly string[]])[] = [
      ['vacuum', [`VACUUM ${t}`]],
      ['vacuum freeze', [`VACUUM (FREEZE) ${t}`]],
      ['vacuum full', [`VACUUM FULL ${t}`]],
      ['cluster', [`CLUSTER ${t} USING ${t}_pkey`]],
      ['truncate', [`TRUNCATE ${t}`]],
      [
        'shrink',
        [
          `DELETE FROM ${t} WHERE id > (SELECT percentile_disc(0.3) WITHIN GROUP (ORDER BY id) FROM ${t})`,
          `VACUUM ${t}`,
        ],
      ],
      ['index', [`DROP INDEX IF EXISTS ${t}_more`, `CREATE INDEX ${t}_more ON ${t} (body, k)`]],
      ['reindex', [`REINDEX TABLE ${t}`]],
      ['rewrite', [`ALTER TABLE ${t} ALTER k TYPE ${any(2) === 0 ? 'bigint' : 'int'}`]],
      ['column', [`ALTER TABLE ${t} ADD COLUMN IF NOT EXISTS c${any(3)} int DEFAULT ${n}`]],
      ['move', [`ALTER TABLE ${t} SET TABLESPACE ${any(2) === 0 ? 'elsewhere' : 'pg_default'}`]],
      ['move index', [`ALTER INDEX ${t}_pkey SET TABLESPACE ${any(2) === 0 ? 'elsewhere' : 'pg_default'}`]],
      [
        'unlogged',
        [
          `INSERT INTO fleeting SELECT g, md5(g::text) FROM generate_series(${n}, ${n + 200}) g ON CONFLICT DO NOTHING`,
        ],
      ],
      [
        'set logged',
        [
          `ALTER TABLE ${t} SET UNLOGGED`,
          `UPDATE ${t} SET k = k WHERE id % 7 = 0`,
          `ALTER TABLE ${t} SET LOGGED`,
        ],
      ],
      [
        'new and gone',
        [`CREATE TABLE n${n} AS SELECT g FROM generate_series(1, 2000) g`, `DROP TABLE n${n}`],
      ],
      [
        'temporary',
        [`CREATE TEMP TABLE tmp${n} AS SELECT g FROM generate_series(1, 500) g`, `DROP TABLE tmp${n}`],
      ],
      [
        'database',
        [
          `DROP DATABASE IF EXISTS d${any(2)}`,
          `CREATE DATABASE d${2 + any(2)} TEMPLATE template1 STRATEGY ${any(2) === 0 ? 'file_copy' : 'wal_log'}`,
        ],
      ],
      ['drop database', [`DROP DATABASE IF EXISTS d${2 + any(2)}`]],
      // Backups begin anew when that happens to them, and give up in the end.
      any(3) === 0
        ? [
            'move database',
            [`ALTER DATABASE d${2 + any(2)} SET TABLESPACE ${any(2) === 0 ? 'elsewhere' : 'pg_default'}`],
          ]
        : ['checkpoint', ['CHECKPOINT']],
      ['refresh', ['REFRESH MATERIALIZED VIEW summary']],
      ['checkpoint', ['CHECKPOINT']],
      ['switch', ['SELECT pg_switch_wal()']],
      ['large object', [`SELECT lo_from_bytea(0, decode(repeat('ab', 5000), 'hex'))`]],
      ['sequence', [`SELECT setval('t1_id_seq', nextval('t1_id_seq') + 10)`]],
      [
        'multixact',
        [
          'BEGIN',
          `SELECT count(*) FROM (SELECT 1 FROM ${t} WHERE id % 19 = 3 FOR SHARE) x`,
          `UPDATE ${t} SET k = k WHERE id % 190 = 3`,
          'COMMIT',
        ],
      ],
    ];
    const from = this.#random() < 0.7 ? often : rare;
    const chosen = from[any(from.length)];
    if (chosen === undefined) throw new Error('nothing to do');
    return chosen;
  }

  #client(database: string): Client {
    const { port, superuser: user, password } = this.#server;
    const client = new Client({ host: '127.0.0.1', port, user, password, database, ssl: false });
    client.on('error', () => undefined); // The query under way rejects.
    return client;
  }

  get tablespace(): string {
    return this.#tablespace;
  }
}
