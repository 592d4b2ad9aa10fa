import assert from 'node:assert/strict';
import { chown, cp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { systemClock } from '../../src/kernel/clock.ts';
import { floorLsn, formatLsn } from '../../src/postgres/lsn.ts';
import { MemoryStorage } from '../../src/storage/memory/memory-storage.ts';
import { startPostgres, withoutPostgres, type PostgresServer } from '../../testing/postgres-server.ts';
import { makeRepository } from '../../testing/repository.ts';
import { until } from '../../testing/until.ts';
import {
  compareWithFiles,
  flushedTo,
  RunningStream,
  slot,
  storedCommits,
  theArchive,
  theRun,
} from './wal-stream-kit.ts';

const segmentBytes = 1024 * 1024;
const settings = { wal_keep_size: '64MB', autovacuum: 'off', wal_sender_timeout: '5s' };

for (const major of ['system', 17] as const) {
  test(
    `a promotion is followed, from one server to the next and live (${major})`,
    { skip: withoutPostgres(major) },
    async () => {
      const options = { major, settings, initdbArgs: ['--wal-segsize=1'], password: 'the same' };
      await using primary = await startPostgres(options);
      await using standby = await startPostgres(options);
      await primary.psql('CREATE TABLE t (g int)');
      await followBy(standby, primary);
      const repository = await makeRepository(new MemoryStorage(systemClock), { encrypted: false });
      const acknowledged: number[] = [];
      const commit = async (server: PostgresServer): Promise<void> => {
        acknowledged.push(
          Number(await server.psql('INSERT INTO t VALUES (1) RETURNING pg_current_xact_id()')),
        );
      };
      {
        await using stream = new RunningStream(primary, repository);
        await commit(primary);
        await stream.catchesUp(primary);
        await stream.stop();
      }
      // What the stream has not seen of timeline 1 comes from the new primary.
      await commit(primary);
      const last = await flushedTo(primary);
      await until(
        async () => (await standby.psql(`SELECT pg_last_wal_replay_lsn() >= '${formatLsn(last)}'`)) === 't',
      );
      await primary.stop('immediate');
      await standby.psql('SELECT pg_promote()');
      await commit(standby);

      await using stream = new RunningStream(standby, repository);
      const end = await stream.catchesUp(standby);
      const archive = await theArchive(repository);
      assert.deepEqual(await archive.timelines(), [1, 2]);
      assert.deepEqual(await Array.fromAsync(archive.files()), ['00000002.history']);
      const stored = Buffer.from((await archive.getFile('00000002.history')) ?? []);
      assert.deepEqual(stored, await readFile(join(standby.dataDirectory, 'pg_wal', '00000002.history')));
      const second = await theRun(archive, 2);
      // A server that rests writes a few records by itself, too.
      assert.ok(second.end >= end);
      const [, switchpoint = ''] = /^1\t(\S+)/.exec(String(stored)) ?? [];
      const first = await theRun(archive, 1);
      assert.equal(formatLsn(first.end), switchpoint);
      assert.equal(second.start, floorLsn(first.end, segmentBytes), 'from the beginning of the segment');
      await compareWithFiles(archive, standby);

      // A standby that is promoted while it is streamed from.
      await stream.stop();
      await followBy(primary, standby);
      await using live = new RunningStream(primary, repository);
      await live.sees('streaming');
      await commit(standby);
      const before = await flushedTo(standby);
      await until(
        () => live.position !== undefined && live.position.stored >= before,
        'the standby to be stored',
      );
      await standby.stop('immediate');
      await primary.psql('SELECT pg_promote()');
      await live.sees('timeline_ended');
      await commit(primary);
      await live.catchesUp(primary);
      const { gaps } = await live.stop();
      assert.deepEqual(gaps, []);
      assert.deepEqual(await archive.timelines(), [1, 2, 3]);
      assert.deepEqual(await Array.fromAsync(archive.files()), ['00000002.history', '00000003.history']);
      const commits = new Set<number>();
      for (const timeline of [1, 2, 3])
        for (const xid of await storedCommits(archive, timeline)) commits.add(xid);
      for (const xid of acknowledged) assert.ok(commits.has(xid), `commit ${xid} is stored`);
      await compareWithFiles(archive, primary);
    },
  );
}

/** Makes `standby` a copy of a server, which it follows from now on. The one that is followed ends up running. */
async function followBy(standby: PostgresServer, primary: PostgresServer): Promise<void> {
  await standby.stop('immediate');
  await primary.stop();
  const configuration = await readFile(join(standby.dataDirectory, 'postgresql.conf'));
  await rm(standby.dataDirectory, { recursive: true });
  await cp(primary.dataDirectory, standby.dataDirectory, { recursive: true, verbatimSymlinks: true });
  await rm(join(standby.dataDirectory, 'postmaster.pid'), { force: true });
  await writeFile(join(standby.dataDirectory, 'postgresql.conf'), configuration);
  await writeFile(join(standby.dataDirectory, 'standby.signal'), '');
  const login = `host=127.0.0.1 port=${primary.port} user=${primary.superuser} password='${primary.password}'`;
  await writeFile(
    join(standby.dataDirectory, 'postgresql.auto.conf'),
    `primary_conninfo = '${login.replaceAll("'", "''")}'\n`,
  );
  await rm(join(standby.dataDirectory, 'pg_replslot', slot), { recursive: true, force: true });
  const { user } = standby;
  if (user !== undefined) {
    await chown(standby.dataDirectory, user.uid, user.gid);
    for (const entry of await readdir(standby.dataDirectory, { recursive: true }))
      await chown(join(standby.dataDirectory, entry), user.uid, user.gid);
  }
  await primary.start();
  await standby.start();
}
