import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { after, before, describe, it } from 'node:test';
import { unscannedFacts } from '../../src/contract/wal.ts';
import { systemClock } from '../../src/kernel/clock.ts';
import { failure } from '../../src/kernel/errors/failure.ts';
import { floorLsn, formatLsn, lsnOf } from '../../src/postgres/lsn.ts';
import type { Repository } from '../../src/repository/repository.ts';
import { MemoryStorage } from '../../src/storage/memory/memory-storage.ts';
import type { FaultPlan } from '../../src/storage/wrap/fault-plan.ts';
import { withFaults } from '../../src/storage/wrap/faults.ts';
import { startPostgres, type PostgresServer } from '../../testing/postgres-server.ts';
import { makeRepository } from '../../testing/repository.ts';
import { until } from '../../testing/until.ts';
import { failureOf } from '../../testing/wal-archive.ts';
import {
  compareWithFiles,
  flushedTo,
  lsnIn,
  RunningStream,
  slot,
  storedCommits,
  theArchive,
  theRun,
} from './wal-stream-kit.ts';

const segmentBytes = 1024 * 1024;

describe('a stream of WAL', () => {
  let server: PostgresServer;
  /** What goes wrong with the storage of the repository made last. */
  let plan: FaultPlan = () => undefined;

  before(async () => {
    server = await startPostgres({
      initdbArgs: ['--wal-segsize=1'],
      settings: {
        max_wal_size: '4MB',
        min_wal_size: '2MB',
        wal_keep_size: '0',
        autovacuum: 'off',
        wal_sender_timeout: '5s',
      },
    });
    await server.psql('CREATE TABLE t (g int, filler text)');
  });

  after(async () => {
    await server[Symbol.asyncDispose]();
  });

  async function freshRepository(): Promise<Repository> {
    plan = () => undefined;
    const storage = withFaults(new MemoryStorage(systemClock), (call) => plan(call), systemClock);
    return await makeRepository(storage, { encrypted: false });
  }

  /** So many MiB of WAL, about. */
  async function write(mib: number): Promise<void> {
    await server.psql(`INSERT INTO t SELECT g, repeat('x', 900) FROM generate_series(1, ${mib * 1024}) g`);
  }

  const flushOf = async (): Promise<string> =>
    await server.psql(
      `SELECT coalesce(flush_lsn::text, '') FROM pg_stat_replication WHERE application_name = '${slot}'`,
    );

  it('stores what is written, the same bytes, whole units without parts', async () => {
    const repository = await freshRepository();
    await using stream = new RunningStream(server, repository);
    await stream.sees('slot_made');
    await write(5);
    const end = await stream.catchesUp(server);
    const archive = await theArchive(repository);
    assert.equal((await theRun(archive)).end, end);
    assert.ok((await compareWithFiles(archive, server)) >= 3 * segmentBytes);
    await until(async () => lsnIn(await flushOf()) === end, 'the flush to be reported');
    assert.deepEqual(await stream.stop().then(({ ended }) => ended), 'stopped');
    const whole: bigint[] = [];
    for await (const stretch of archive.stretches(1)) {
      if (stretch.isWhole) whole.push(stretch.start);
      else
        assert.ok(stretch.start >= floorLsn(end, segmentBytes), 'a part of a unit that is there as a whole');
    }
    assert.ok(whole.length >= 3);
  });

  it('goes on where it ended, and where the server does', async () => {
    const repository = await freshRepository();
    for (const [index, mode] of (['none', 'stop', 'kill'] as const).entries()) {
      await using stream = new RunningStream(server, repository);
      await stream.sees('streaming');
      await write(1);
      await stream.catchesUp(server);
      if (mode === 'stop') await server.stop();
      if (mode === 'kill') await server.kill();
      if (mode !== 'none') {
        assert.equal((await stream.sees('server_lost')).error?.errorName, 'postgres_server_gone');
        await server.start();
        await stream.sees('streaming', 2);
        await server.psql('INSERT INTO t VALUES (0)');
        await stream.catchesUp(server);
      }
      const { gaps, ended } = await stream.stop();
      assert.deepEqual([gaps, ended], [[], 'stopped'], `round ${index}`);
      // What comes while nobody streams is kept by the slot.
      await write(1);
    }
    await using last = new RunningStream(server, repository, { once: true });
    assert.equal((await last.done).ended, 'caught_up');
    assert.deepEqual(last.states(), ['streaming']);
    const archive = await theArchive(repository);
    assert.ok((await theRun(archive)).end >= (await flushedTo(server)) - 200n);
    await compareWithFiles(archive, server);
  });

  it('tells the server of nothing as flushed that is not stored; commits wait for it', async () => {
    const repository = await freshRepository();
    await using stream = new RunningStream(server, repository, { synchronous: true });
    await stream.catchesUp(server);
    await server.psql(`ALTER SYSTEM SET synchronous_standby_names = '${slot}'`);
    await server.psql('SELECT pg_reload_conf()');
    try {
      await until(
        async () => (await server.psql(`SELECT sync_state FROM pg_stat_replication`)) === 'sync',
        'the stream to be synchronous',
      );
      await server.psql('INSERT INTO t VALUES (1)');
      // One more put works, slowly: what comes meanwhile must not be told with it.
      let puts = 0;
      plan = ({ operation }) => {
        if (operation !== 'put') return undefined;
        puts += 1;
        const error = failure('storage_unreachable', away);
        return puts === 1 ? { kind: 'delay', ms: 300 } : { kind: 'fail_before', error };
      };
      const stored = server.psql('INSERT INTO t VALUES (2)');
      await until(() => puts === 1, 'a put to be under way');
      const commit = server.psql('INSERT INTO t VALUES (2) RETURNING pg_current_xact_id()');
      let isDone = false;
      void commit.then(() => (isDone = true));
      await stored;
      await stream.sees('repository_lost');
      const { end } = await theRun(await theArchive(repository));
      assert.ok(lsnIn(await flushOf()) <= end, 'flushed is less than or as much as is stored');
      assert.ok(!isDone, 'a commit that is not stored waits');
      plan = () => undefined;
      const xid = Number(await commit);
      assert.ok(
        (await storedCommits(await theArchive(repository))).has(xid),
        'an acknowledged commit is stored',
      );
      await stream.sees('repository_back');
      assert.equal(stream.states().filter((state) => state === 'repository_lost').length, 1);
    } finally {
      plan = () => undefined;
      await server.psql('ALTER SYSTEM RESET synchronous_standby_names');
      await server.psql('SELECT pg_reload_conf()');
    }
  });

  it('keeps few parts of a unit however many commits there are', async () => {
    const repository = await freshRepository();
    await using stream = new RunningStream(server, repository, { intervalMs: 0 });
    await stream.catchesUp(server);
    await server.psql('SELECT pg_switch_wal()');
    for (let commit = 0; commit < 80; commit += 1) {
      await server.psql('INSERT INTO t VALUES (3)');
      await stream.catchesUp(server);
    }
    const end = await stream.catchesUp(server);
    await stream.stop();
    const archive = await theArchive(repository);
    const unit = floorLsn(end, segmentBytes);
    const parts = await Array.fromAsync(archive.stretches(1, { from: unit }));
    assert.ok(parts.length > 2 && parts.length < 50, `${parts.length} parts`);
    assert.equal((await theRun(archive)).end, end);
    await compareWithFiles(archive, server);
    let commits = 0;
    for (const part of parts) commits += (await archive.facts(part)).transactions;
    assert.ok(commits >= 80 && commits < 100, `${commits} commits noted`);
  });

  it('makes a slot anew that was dropped, and says so', async () => {
    const repository = await freshRepository();
    await using stream = new RunningStream(server, repository);
    await stream.catchesUp(server);
    await server.psql(
      `SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots WHERE slot_name = '${slot}'`,
    );
    await until(async () => {
      try {
        await server.psql(`SELECT pg_drop_replication_slot('${slot}')`);
        return true;
      } catch {
        return false;
      }
    }, 'the slot to be dropped');
    await stream.sees('slot_lost');
    await write(1);
    await stream.catchesUp(server);
    assert.deepEqual((await stream.stop()).gaps, []);
    await compareWithFiles(await theArchive(repository), server);
  });

  it('tells what is lost when the server has removed it, and goes on with what there is', async () => {
    const repository = await freshRepository();
    await server.psql('INSERT INTO t VALUES (5)');
    await using first = new RunningStream(server, repository, { once: true });
    await first.done;
    const archive = await theArchive(repository);
    const { end } = await theRun(archive);
    await server.psql(`SELECT pg_drop_replication_slot('${slot}')`);
    const oldest = async (): Promise<string> =>
      await server.psql("SELECT min(name) FROM pg_ls_waldir() WHERE name ~ '^[0-9A-F]{24}$'");
    const needed = await server.psql(`SELECT pg_walfile_name('${formatLsn(end)}')`);
    await until(async () => {
      await write(1);
      await server.psql('CHECKPOINT');
      return (await oldest()) > needed;
    }, 'WAL to be removed');
    await using second = new RunningStream(server, repository, { once: true });
    const { gaps, ended } = await second.done;
    assert.equal(ended, 'caught_up');
    const [gap] = gaps;
    assert.ok(gap !== undefined && gaps.length === 1);
    assert.equal(gap.from, end);
    const told = second.told.find(({ state }) => state === 'gap');
    assert.equal(told?.error?.code, 'HF-5460');
    assert.match(told?.error?.message ?? '', new RegExp(`from ${formatLsn(end)} to ${formatLsn(gap.to)} `));
    const runs = await archive.runs(1);
    assert.deepEqual(
      runs.map((run) => run.start),
      [runs[0]?.start, gap.to],
    );
    // The oldest that was there, and nothing less.
    assert.equal(
      await server.psql(`SELECT pg_walfile_name('${formatLsn(gap.to)}'::pg_lsn + 1)`),
      await oldest(),
    );
    await compareWithFiles(archive, server);
    await using third = new RunningStream(server, repository, { once: true });
    assert.deepEqual((await third.done).gaps, []);
  });

  it('fills a gap that the server has the WAL of', async () => {
    const repository = await freshRepository();
    await server.psql('INSERT INTO t VALUES (5)');
    await using first = new RunningStream(server, repository, { once: true });
    await first.done;
    const archive = await theArchive(repository);
    await write(3);
    // A backup has stored its own WAL meanwhile.
    const start = lsnOf(floorLsn(await flushedTo(server), segmentBytes) - BigInt(segmentBytes));
    await server.psql('SELECT pg_switch_wal()');
    const name = await server.psql(`SELECT pg_walfile_name('${formatLsn(start)}'::pg_lsn + 1)`);
    const bytes = await readFile(`${server.dataDirectory}/pg_wal/${name}`);
    await archive.put({ timeline: 1, start, bytes }, unscannedFacts);
    assert.equal((await archive.runs(1)).length, 2);
    await using second = new RunningStream(server, repository, { once: true });
    assert.deepEqual((await second.done).gaps, []);
    await theRun(archive);
    await compareWithFiles(archive, server);
  });

  it('refuses WAL that is not what is stored at its place', async () => {
    const repository = await freshRepository();
    await server.psql('INSERT INTO t VALUES (5)');
    await using first = new RunningStream(server, repository, { once: true });
    await first.done;
    const archive = await theArchive(repository);
    const { end } = await theRun(archive);
    const bytes = new Uint8Array(100).fill(7);
    await archive.put({ timeline: 1, start: end, bytes }, unscannedFacts);
    await write(1);
    await using second = new RunningStream(server, repository);
    assert.equal((await failureOf(second.done)).errorName, 'wal_differs');
    assert.equal((await theRun(archive)).end, end + 100n);
  });

  it('leaves the slot to whoever has it', async () => {
    const repository = await freshRepository();
    await using stream = new RunningStream(server, repository);
    await stream.catchesUp(server);
    await using other = new RunningStream(server, await freshRepository(), { slotPatienceMs: 0 });
    assert.equal((await failureOf(other.done)).errorName, 'replication_slot_active');
    await write(1);
    await stream.catchesUp(server);
    assert.deepEqual((await stream.stop()).gaps, []);
  });

  it('gets over passing faults of the storage, with nothing lost', async () => {
    const repository = await freshRepository();
    await using stream = new RunningStream(server, repository, { intervalMs: 20 });
    await stream.catchesUp(server);
    plan = ({ index, operation }) =>
      operation !== 'list' && index % 3 === 0
        ? { kind: index % 2 === 0 ? 'fail_before' : 'fail_after', error: failure('storage_failed', broken) }
        : undefined;
    for (let round = 0; round < 4; round += 1) {
      await server.psql('INSERT INTO t VALUES (4)');
      await server.psql('SELECT pg_switch_wal()');
    }
    await stream.catchesUp(server);
    plan = () => undefined;
    await stream.stop();
    const archive = await theArchive(repository);
    await theRun(archive);
    await compareWithFiles(archive, server);
  });
});

const away = { location: 'nowhere', reason: 'a test' };
const broken = { location: 'nowhere', reason: 'a test', action: 'put', name: 'x' };
