import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { chown, cp, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { Client } from 'pg';
import type { WalStatusResult } from '../../src/app/wal/status.ts';
import type { WalStreamResult } from '../../src/app/wal/stream.ts';
import { systemClock } from '../../src/kernel/clock.ts';
import { openStorage } from '../../src/storage/open.ts';
import { startPostgres, withoutPostgres, type PostgresServer } from '../../testing/postgres-server.ts';
import { openTestRepository } from '../../testing/repository.ts';
import { defaultStorageSettings } from '../../testing/storage-settings.ts';
import { tempDirectory } from '../../testing/temp.ts';
import { until } from '../../testing/until.ts';
import { sandbox, type Running, type Sandbox } from '../cli/program-runner.ts';
import { storedCommits, theArchive } from '../cluster/wal-stream-kit.ts';

/** How many times something is killed; HOLDFAST_KILLS=50 for the full trial. */
const kills = Number(process.env['HOLDFAST_KILLS'] ?? 3);
const seed = Number(process.env['HOLDFAST_SEED'] ?? Date.now() % 1_000_000);
/** Without --synchronous: how much later than acknowledged a commit is stored, on a machine that has much else to do. */
const lagMs = 3000;

const main = fileURLToPath(new URL('../../src/cli/main.ts', import.meta.url));
const run = promisify(execFile);
/** The storage: the disk of the repository is gone for a moment, as when it is pulled out. */
const victims = ['stream', 'server', 'both', 'storage'] as const;

function randomFrom(start: number): () => number {
  let state = start >>> 0;
  return () => {
    // mulberry32
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}

interface Acknowledged {
  readonly id: number;
  readonly xid: number;
  readonly atMs: number;
}

/** Commits one row after the other and remembers, outside the server, which it was told are committed. */
class Committer {
  readonly acknowledged: Acknowledged[] = [];
  #stopped = false;
  readonly #running: Promise<void>;

  constructor(server: PostgresServer) {
    this.#running = this.#run(server);
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#running;
  }

  [Symbol.dispose](): void {
    this.#stopped = true;
  }

  async #run(server: PostgresServer): Promise<void> {
    let id = 0;
    while (!this.#stopped) {
      const client = new Client(server.url());
      client.on('error', () => undefined);
      try {
        await client.connect();
        while (!this.#stopped) {
          id += 1;
          const { rows } = await client.query<{ xid: string }>(
            "INSERT INTO ledger SELECT $1::bigint, repeat('x', ($1::bigint % 50)::int * 40) RETURNING pg_current_xact_id()::text AS xid",
            [id],
          );
          this.acknowledged.push({ id, xid: Number(rows[0]?.xid), atMs: performance.now() });
          await delay(2); // restoring very many takes long
        }
      } catch {
        await delay(50); // the server is away; whether that row was committed nobody knows
      } finally {
        await client.end().catch(() => undefined);
      }
    }
  }
}

test(
  `stream, server and storage killed ${kills} times, it loses no acknowledged commit (seed ${seed})`,
  { skip: withoutPostgres('system'), timeout: 1_800_000 },
  async () => {
    const options = { major: 'system', password: 'the same' } as const;
    const settings = {
      autovacuum: 'off',
      wal_sender_timeout: '5s',
    };
    await using server = await startPostgres({ ...options, settings });
    await using box = await sandbox();
    await using place = await tempDirectory('holdfast-kill-wal-');
    const random = randomFrom(seed);
    const config = join(place.path, 'holdfast.yaml');
    await writeFile(
      config,
      `repository: ${join(place.path, 'r')}
encryption: { enabled: false }
sources: { main: { type: postgres-cluster, url: "${server.url()}", wal_interval: 500ms } }
`,
    );
    assert.equal((await box.run(['init', '--no-encryption', '--config', config])).code, 0);
    await server.psql('CREATE TABLE ledger (id bigint PRIMARY KEY, filler text)');

    let isSynchronous = true;
    let stream = await startStream(box, config, isSynchronous);
    using _stream = { [Symbol.dispose]: () => stream.kill('SIGKILL') };
    await setSynchronous(server, true);
    const base = join(place.path, 'base');
    const basebackup = ['-D', base, '-X', 'none', '--no-sync', '--checkpoint=fast', '-d', server.url()];
    await run(join(server.binDirectory, 'pg_basebackup'), basebackup);

    using committer = new Committer(server);
    for (let kill = 0; kill < kills; kill += 1) {
      if (isSynchronous && kill >= Math.floor(kills * 0.8)) {
        isSynchronous = false;
        await end(stream);
        await setSynchronous(server, false);
        stream = await startStream(box, config, isSynchronous);
      }
      const acknowledged = committer.acknowledged.length;
      await until(() => committer.acknowledged.length > acknowledged, 'commits to go on', 60_000);
      await delay((isSynchronous ? 0 : lagMs) + random() * 1000);
      const victim = victims[Math.floor(random() * victims.length)] ?? 'both';
      const [killsStream, killsServer] = [victim === 'stream', victim === 'server'].map(
        (only) => only || victim === 'both',
      );
      const atMs = performance.now();
      let told = [...committer.acknowledged];
      if (killsStream === true) stream.kill('SIGKILL');
      if (killsServer === true) await server.kill();
      if (killsStream === true) await stream.done;
      if (victim === 'storage') {
        await rename(join(place.path, 'r'), join(place.path, 'away'));
        await delay(random() * 1500);
        // What is acknowledged while it is away must be in there as well.
        if (isSynchronous) told = [...committer.acknowledged];
      }
      // Neither server nor stream may ever come back: what is stored now is all there is.
      const commits = await commitsIn(join(place.path, victim === 'storage' ? 'away' : 'r'));
      const promised = isSynchronous ? told : told.filter((one) => one.atMs < atMs - lagMs);
      for (const { id, xid } of promised)
        assert.ok(commits.has(xid), `row ${id} was acknowledged before ${victim} was killed (${kill})`);
      if (victim === 'storage') await rename(join(place.path, 'away'), join(place.path, 'r'));
      if (killsServer === true) await server.start();
      if (killsStream === true) stream = await startStream(box, config, isSynchronous);
      await untilStreamed(server);
    }
    const acknowledged = committer.acknowledged.length;
    await until(() => committer.acknowledged.length > acknowledged, 'commits to go on', 60_000);
    await committer.stop();
    await untilStreamed(server);
    await end(stream);
    await server.kill();

    const status = await box.run(['wal', 'status', '--json', '--config', config]);
    const { sources } = status.json() as WalStatusResult;
    assert.deepEqual(
      sources[0]?.archives[0]?.timelines.map(({ gaps }) => gaps),
      [[]],
    );

    await using restored = await startPostgres(options);
    await restore(restored, base, place.path, config);
    const ids = new Set((await restored.psql('SELECT id FROM ledger')).split('\n').map(Number));
    const lost = committer.acknowledged.filter(({ id }) => !ids.has(id));
    const of = `of ${committer.acknowledged.length} acknowledged commits`;
    assert.equal(lost.length, 0, `${lost.length} ${of} are lost, from row ${lost[0]?.id} on`);
  },
);

/** The transactions whose commits are stored in a repository. */
async function commitsIn(path: string): ReturnType<typeof storedCommits> {
  const where = { cwd: path, home: path, create: false, clock: systemClock };
  const storage = await openStorage(path, { ...where, env: {}, settings: defaultStorageSettings });
  await using repository = await openTestRepository(storage, { passphrase: null });
  return await storedCommits(await theArchive(repository));
}

async function startStream(box: Sandbox, config: string, synchronous: boolean): Promise<Running> {
  const flags = synchronous ? ['--synchronous'] : [];
  const args = ['wal', 'stream', '--json', '--config', config, ...flags];
  const stream = box.start(args, { limitMs: 1_800_000 });
  await stream.sees(/"state":"streaming"/);
  return stream;
}

/** The ordinary end of a service. */
async function end(stream: Running): Promise<void> {
  stream.kill('SIGTERM');
  const { code, stdout, stderr } = await stream.done;
  assert.equal(code, 0, stderr);
  const { gaps } = JSON.parse(stdout.trimEnd().split('\n').at(-1) ?? '{}') as WalStreamResult;
  assert.deepEqual(gaps, []);
}

/** All that the server has written by now is stored. */
async function untilStreamed(server: PostgresServer): Promise<void> {
  const written = await server.psql('SELECT pg_current_wal_flush_lsn()');
  const sql = `SELECT flush_lsn >= '${written}' FROM pg_stat_replication WHERE application_name = 'holdfast_main'`;
  await until(async () => (await server.psql(sql)) === 't', `the stream to be at ${written}`, 60_000);
}

async function setSynchronous(server: PostgresServer, on: boolean): Promise<void> {
  await server.psql(`ALTER SYSTEM SET synchronous_standby_names = '${on ? 'holdfast_main' : ''}'`);
  await server.psql('SELECT pg_reload_conf()');
  await until(
    async () =>
      (await server.psql("SELECT count(*) FROM pg_stat_replication WHERE sync_state = 'sync'")) ===
      (on ? '1' : '0'),
    'the setting to be taken',
  );
}

/** Puts a server in the place of another one that has base backup and archive, and nothing else. */
async function restore(server: PostgresServer, base: string, place: string, config: string): Promise<void> {
  await server.stop('immediate');
  const configuration = await readFile(join(server.dataDirectory, 'postgresql.conf'));
  await rm(server.dataDirectory, { recursive: true });
  await cp(base, server.dataDirectory, { recursive: true });
  await writeFile(join(server.dataDirectory, 'postgresql.conf'), configuration);
  const command = `${process.execPath} --disable-warning=ExperimentalWarning ${main} wal get %f %p --config ${config}`;
  await writeFile(join(server.dataDirectory, 'postgresql.auto.conf'), `restore_command = '${command}'\n`);
  await writeFile(join(server.dataDirectory, 'recovery.signal'), '');
  for (const path of [server.dataDirectory, place]) await giveTo(path, server.user);
  await server.start();
  await until(
    async () => (await server.psql('SELECT pg_is_in_recovery()')) === 'f',
    'the recovery to end',
    120_000,
  );
}

async function giveTo(path: string, user: PostgresServer['user']): Promise<void> {
  if (user === undefined) return;
  await chown(path, user.uid, user.gid);
  for (const entry of await readdir(path, { recursive: true }))
    await chown(join(path, entry), user.uid, user.gid);
}
