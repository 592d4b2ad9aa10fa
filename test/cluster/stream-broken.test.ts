import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isFailure } from '../../src/kernel/errors/failure.ts';
import { quietSettings } from '../../testing/cluster-disk.ts';
import { MemoryBackup } from '../../testing/memory-backup.ts';
import { startPostgres, withoutPostgres } from '../../testing/postgres-server.ts';
import { until } from '../../testing/until.ts';
import { streamCluster } from './stream-kit.ts';

const notes = `CREATE TABLE notes AS SELECT i, repeat(md5(i::text), 10) AS text FROM generate_series(1, 20000) i`;

test('a stream that breaks off', { skip: withoutPostgres(18) }, async (t) => {
  await using server = await startPostgres({ major: 18, settings: quietSettings });
  await server.psql(notes);
  const left =
    'SELECT (SELECT count(*) FROM pg_replication_slots) + (SELECT count(*) FROM pg_stat_replication)';
  const begun = (action: () => Promise<void> | void): MemoryBackup => {
    const memory = new MemoryBackup();
    memory.interrupt = async (bytes) => {
      if (bytes < 5_000_000) return;
      memory.interrupt = undefined;
      await action();
    };
    return memory;
  };

  await t.test('by the user leaves no slot', async () => {
    const abort = new AbortController();
    let slots = '';
    const memory = begun(async () => {
      slots = await server.psql('SELECT slot_type, temporary, active FROM pg_replication_slots');
      abort.abort(new Error('that is enough'));
    });
    const context = memory.backupContext({ jobs: 2, signal: abort.signal });
    await assert.rejects(streamCluster(memory, server, {}, context), /that is enough/);
    assert.equal(slots, 'physical|t|t');
    await until(async () => (await server.psql(left)) === '0', 'the end of the connections');
    assert.deepEqual(memory.entries, []);
  });

  await t.test('by the server fails', async () => {
    const memory = begun(() => server.kill());
    await assert.rejects(
      streamCluster(memory, server),
      (error) => isFailure(error) && error.kind === 'unreachable',
    );
    assert.deepEqual(memory.entries, []);
    await server.start();
    const { metadata } = await streamCluster(memory, server);
    assert.equal(metadata.full_because, 'it is the first backup');
  });

  await t.test('by the connection for the WAL fails', async () => {
    const memory = begun(async () => {
      await server.psql(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_replication WHERE state = 'streaming'",
      );
    });
    await assert.rejects(streamCluster(memory, server), (error) => isFailure(error));
    assert.deepEqual(memory.entries, []);
    await until(async () => (await server.psql(left)) === '0', 'the end of the connections');
  });
});
