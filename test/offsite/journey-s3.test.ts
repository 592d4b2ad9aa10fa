import { ListObjectVersionsCommand, GetBucketVersioningCommand } from '@aws-sdk/client-s3';
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { chmodSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { test } from 'node:test';
import { patternedBytes } from '../../testing/bytes.ts';
import { ceph, withoutCeph, type Ceph } from '../../testing/ceph.ts';
import { amcheckAll, clusterTruth } from '../../testing/cluster-truth.ts';
import { startPostgres, withoutPostgres, type PostgresServer } from '../../testing/postgres-server.ts';
import { differences } from '../../testing/strange-tree.ts';
import { until } from '../../testing/until.ts';
import { runInProcess } from '../cli/in-process.ts';
import { sandbox, type Json, type Ran, type Running, type Sandbox } from '../cli/program-runner.ts';
import { serverDirectory, startRestored, untilOpen } from '../cluster/restore-kit.ts';
import { repositoryInBucket } from './s3-settings.ts';

// From an empty gateway to recovery and back to little space, as on disk: a cluster with its WAL, a SQLite database and
// files, through the program, on a real Ceph.

const skip = withoutCeph() || withoutPostgres('system');

test('the whole way of a repository in S3', { skip, timeout: 300_000 }, async (t) => {
  const gateway = await ceph();
  await using place = serverDirectory();
  await using box = await sandbox();
  await using server = await startPostgres({
    major: 'system',
    settings: {
      wal_level: 'replica',
      max_wal_senders: '10',
      max_replication_slots: '4',
      shared_buffers: '16MB',
    },
  });
  const program = new Program(box, gateway, server, place.path);
  await program.configure();
  const data = new Data(server, place.path);
  await data.begin();
  const startedAt = performance.now();
  const took = (what: string): void =>
    t.diagnostic(`${((performance.now() - startedAt) / 1000).toFixed(1)} s: ${what}`);

  await program.run('init', '--create-bucket', '--recovery-kit', join(place.path, 'kit.md'));
  const { Status } = await gateway.client.send(new GetBucketVersioningCommand({ Bucket: program.bucket }));
  assert.equal(Status, 'Enabled', 'a bucket that init makes keeps versions');
  const stream = program.start('wal', 'stream', '--source', 'main');
  await stream.sees('"streaming"');
  const first = await program.backUp();
  took('full backups');

  await data.change(1);
  const [moment, thenTruth] = await data.moment();
  await data.change(2);
  const last = await program.backUp();
  const info = (await program.ask('info', last['main'] ?? '')).json()['backup'] as BackupInfo;
  assert.equal(info.metadata.parent, first['main'], 'an increment');
  const [, lastTruth] = await data.moment();
  await program.walIsStored();
  stream.kill('SIGTERM');
  assert.equal((await stream.done).code, 0, 'wal stream ends in good order');
  took('increments, and all WAL stored');

  await program.recovers('moment', thenTruth, '--at', moment);
  took('recovery to a moment');
  await program.restoresFiles('first', first, data.before);
  took('files and SQLite restored');

  const before = await program.stored();
  await program.ask('clean', '--keep-last', '1', '--yes');
  const ids = ((await program.ask('list')).json()['backups'] as Json[]).map(({ id }) => String(id));
  assert.deepEqual(ids.toSorted(), Object.values(last).toSorted());
  const prune = async (): Promise<Pruned> =>
    (await program.ask('prune', '--grace', '1s', '--max-unused', '0%')).json() as Pruned;
  const marked = await prune();
  assert.ok(marked.marked.packs > 0, JSON.stringify(marked));
  let removed = 0;
  await until(async () => (removed += (await prune()).removed.bytes) > 0, 'the grace');
  const after = await program.stored();
  took(`${before} bytes before prune, ${after} after`);
  // What was taken apart, and the new versions of pages in the increment, came in the place of some of it.
  assert.ok(removed > 5_000_000 && before - after > removed / 2, `${before} - ${after}, removed ${removed}`);
  await program.verifies();
  await program.recovers('after', lastTruth, '--at-end');
  await program.restoresFiles('after', last, data);
  took('every byte verified, everything restored again');
});

interface BackupInfo {
  readonly metadata: { readonly parent: string | null };
}

interface Pruned {
  readonly removed: { readonly bytes: number };
  readonly marked: { readonly packs: number };
}

/** The program as the server's user, with all three sources, in a bucket that is not there yet. */
class Program {
  readonly bucket = `holdfast-${randomBytes(8).toString('hex')}`;
  readonly #box: Sandbox;
  readonly #gateway: Ceph;
  readonly #server: PostgresServer;
  readonly #path: string;

  constructor(box: Sandbox, gateway: Ceph, server: PostgresServer, path: string) {
    this.#box = box;
    this.#gateway = gateway;
    this.#server = server;
    this.#path = path;
  }

  async configure(): Promise<void> {
    const { superuser, password, port, dataDirectory, user } = this.#server;
    const url = `postgres://${superuser}:${password}@127.0.0.1:${port}/postgres`;
    // Without delete_versions what is deleted is hidden only, and goes by the lifecycle of the bucket.
    const place = repositoryInBucket(
      { endpoint: this.#gateway.endpoint, bucket: this.bucket },
      { delete_versions: true },
    );
    await writeFile(join(this.#path, 'passphrase'), 'correct horse battery staple\n');
    await writeFile(
      join(this.#path, 'holdfast.yaml'),
      `${place}encryption: { passphrase_file: ${join(this.#path, 'passphrase')} }
sources:
  main: { type: postgres-cluster, data_directory: ${dataDirectory}, url: "${url}" }
  app: { type: sqlite, paths: [app.db] }
  tree: { type: files, paths: [tree] }
`,
    );
    if (user !== undefined) execFileSync('chown', ['-R', `${user.uid}:${user.gid}`, this.#path]);
  }

  start(...args: string[]): Running {
    const { user } = this.#server;
    const wrapper =
      user === undefined ? [] : ['setpriv', `--reuid=${user.uid}`, `--regid=${user.gid}`, '--clear-groups'];
    return this.#box.start([...args, '--json', '--config', join(this.#path, 'holdfast.yaml')], {
      wrapper,
      cwd: this.#path,
      env: { HOME: this.#path },
      limitMs: 120_000,
    });
  }

  /** Fails the test when the program fails. */
  async run(...args: string[]): Promise<Ran> {
    const ran = await this.start(...args).done;
    assert.equal(ran.code, 0, `${args.join(' ')}\n${ran.stdout}${ran.stderr}`);
    return ran;
  }

  /** The same within this process, by whoever we are. */
  async ask(...args: string[]): Promise<Ran> {
    const config = join(this.#path, 'holdfast.yaml');
    const ran = await runInProcess(this.#box, [...args, '--json', '--config', config], { cwd: this.#path });
    assert.equal(ran.code, 0, `${args.join(' ')}\n${ran.stdout}${ran.stderr}`);
    return ran;
  }

  async verifies(): Promise<void> {
    const report = (await this.ask('verify', '--read-data')).lines().at(-1) ?? {};
    assert.equal(report['ok'], true, JSON.stringify(report));
  }

  /** Restores the tree and the SQLite database, and compares byte for byte. */
  async restoresFiles(name: string, ids: Readonly<Record<string, string>>, truth: FileTruth): Promise<void> {
    const [tree, database] = [join(this.#path, `${name}-tree`), join(this.#path, `${name}.db`)];
    await this.ask('restore', ids['tree'] ?? '', '--to', tree);
    assert.equal(differences(truth.tree, tree), '');
    await this.ask('restore', ids['app'] ?? '', '--to', database);
    assert.deepEqual(rowsOf(database), rowsOf(truth.database));
  }

  /** Ids by source. */
  async backUp(): Promise<Readonly<Record<string, string>>> {
    const made = (await this.run('backup')).lines().at(-1)?.['backups'] as Json[];
    return Object.fromEntries(made.map(({ source, id }) => [String(source), String(id)]));
  }

  /** Until the repository has all that the server has written by now. */
  async walIsStored(): Promise<void> {
    const flushed = `SELECT bool_and(flush_lsn >= '${await this.#server.psql('SELECT pg_current_wal_flush_lsn()')}') FROM pg_stat_replication`;
    await until(async () => (await this.#server.psql(flushed)) === 't', 'the WAL to be stored');
  }

  /** Restores the cluster, starts it, and compares what is in it. */
  async recovers(name: string, truth: ReadonlyMap<string, string>, ...when: string[]): Promise<void> {
    const directory = join(this.#path, name);
    await this.run('restore', 'latest:main', '--to', directory, ...when);
    await using restored = await startRestored(this.#server, directory);
    await untilOpen(restored).catch(async (error: unknown) => {
      throw new Error(await restored.log(), { cause: error });
    });
    const query = (sql: string, database?: string): Promise<string> => restored.psql(sql, database);
    assert.deepEqual(await clusterTruth(query), truth);
    await amcheckAll(query);
  }

  /** Bytes of every version of every object. */
  async stored(): Promise<number> {
    let bytes = 0;
    let marker: { KeyMarker?: string; VersionIdMarker?: string } = {};
    for (;;) {
      const page = await this.#gateway.client.send(
        new ListObjectVersionsCommand({ Bucket: this.bucket, ...marker }),
      );
      for (const { Size } of page.Versions ?? []) bytes += Size ?? 0;
      if (page.IsTruncated !== true) return bytes;
      marker = {
        ...(page.NextKeyMarker === undefined ? {} : { KeyMarker: page.NextKeyMarker }),
        ...(page.NextVersionIdMarker === undefined ? {} : { VersionIdMarker: page.NextVersionIdMarker }),
      };
    }
  }
}

interface FileTruth {
  readonly tree: string;
  readonly database: string;
}

function rowsOf(path: string): unknown {
  using database = new DatabaseSync(path);
  return database.prepare('SELECT id, hex(body) AS body FROM item ORDER BY id').all();
}

/** What is backed up, and changes. */
class Data implements FileTruth {
  readonly tree: string;
  readonly database: string;
  /** As they were before the first change. */
  readonly before: FileTruth;
  readonly #server: PostgresServer;
  readonly #path: string;

  constructor(server: PostgresServer, path: string) {
    this.#server = server;
    this.#path = path;
    this.tree = join(path, 'tree');
    this.database = join(path, 'app.db');
    this.before = { tree: join(path, 'tree-before'), database: join(path, 'before-app.db') };
  }

  async begin(): Promise<void> {
    await this.#server.psql('CREATE DATABASE shop');
    await this.#server.psql(
      `CREATE TABLE orders (id bigint PRIMARY KEY, body text);
       INSERT INTO orders SELECT g, repeat(md5(g::text), 4) FROM generate_series(1, 40000) g`,
      'shop',
    );
    mkdirSync(this.tree);
    for (let file = 0; file < 120; file += 1) this.#write(file, 0);
    using database = new DatabaseSync(this.database);
    database.exec(
      `PRAGMA journal_mode = WAL; CREATE TABLE item (id INTEGER PRIMARY KEY, body BLOB);
       WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 8000)
       INSERT INTO item SELECT i, randomblob(400) FROM n`,
    );
    this.#give();
  }

  async change(round: number): Promise<void> {
    if (round === 1) {
      execFileSync('cp', ['-a', this.tree, this.before.tree]);
      execFileSync('cp', ['-a', this.database, this.before.database]);
    }
    await this.#server.psql(
      `UPDATE orders SET body = md5(body) || body WHERE id % 13 = ${round};
       INSERT INTO orders SELECT g + ${round} * 100000, repeat(md5((g + ${round})::text), 3) FROM generate_series(1, 5000) g;
       CREATE TABLE of_round_${round} AS SELECT g, md5(g::text) FROM generate_series(1, 3000) g`,
      'shop',
    );
    for (let file = round; file < 120; file += 6) this.#write(file, round);
    rmSync(join(this.tree, `f${100 + round}`));
    using database = new DatabaseSync(this.database);
    database.exec(`UPDATE item SET body = randomblob(500) WHERE id % 9 = ${round}`);
    this.#give();
  }

  /** A time between two transactions, and what was in the cluster then. */
  async moment(): Promise<readonly [string, Map<string, string>]> {
    const truth = await clusterTruth((sql, database) => this.#server.psql(sql, database));
    // Behind all that was committed, and in front of all that will be.
    return [await this.#server.psql('SELECT clock_timestamp()'), truth];
  }

  #write(file: number, round: number): void {
    const path = join(this.tree, `f${file}`);
    writeFileSync(path, patternedBytes(file === 0 ? 6_000_000 : 2000 + file * 700, round * 1000 + file));
    chmodSync(path, file % 3 === 0 ? 0o640 : 0o644);
  }

  #give(): void {
    const { user } = this.#server;
    if (user !== undefined) execFileSync('chown', ['-R', `${user.uid}:${user.gid}`, this.#path]);
  }
}
