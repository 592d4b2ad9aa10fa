import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Client } from 'pg';
import { backUpCluster, memoryContent, startRestored } from '../../testing/cluster.ts';
import { MemoryBackup } from '../../testing/memory-backup.ts';
import { startPostgres, withoutPostgres, type PostgresServer } from '../../testing/postgres-server.ts';
import { until } from '../../testing/until.ts';

interface Writer extends AsyncDisposable {
  /** Of transactions that were committed. */
  readonly count: () => number;
}

/** Moves amounts between accounts, and makes and drops tables, until it is disposed of. */
async function startWriter(server: PostgresServer): Promise<Writer> {
  const client = new Client({ connectionString: server.url(), ssl: false });
  await client.connect();
  let [count, ended] = [0, false];
  const loop = (async () => {
    for (; !ended; count += 1) {
      const [from, to] = [(count * 7919) % 2000, (count * 104_729) % 2000];
      await client.query(`BEGIN; UPDATE accounts SET amount = amount - 1, filler = md5(random()::text) WHERE id = ${from};
        UPDATE accounts SET amount = amount + 1 WHERE id = ${to}; COMMIT`);
      if (count % 20 === 0)
        await client.query(`CREATE TABLE brief AS SELECT * FROM accounts LIMIT 100; DROP TABLE brief;
          TRUNCATE refilled; INSERT INTO refilled SELECT i FROM generate_series(1, 100) i`);
      if (count % 50 === 0) await client.query('VACUUM accounts');
    }
  })();
  return {
    count: () => count,
    [Symbol.asyncDispose]: async () => {
      ended = true;
      await loop;
      await client.end();
    },
  };
}

for (const major of ['system', 17] as const) {
  test(
    `a full backup and an increment of ${major} while it writes`,
    { skip: withoutPostgres(major) },
    async () => {
      // Small shared buffers: pages are written while they are read.
      const settings = { shared_buffers: '1MB', checkpoint_timeout: '30s', max_wal_size: '32MB' };
      await using server = await startPostgres({ major, settings, initdbArgs: ['--data-checksums'] });
      await server.psql(`CREATE TABLE accounts AS SELECT i AS id, 0 AS amount, repeat('x', 400) AS filler FROM generate_series(0, 20000) i;
      CREATE INDEX ON accounts (id); CREATE TABLE refilled (i int)`);
      const memory = new MemoryBackup();
      const sum = `SELECT sum(amount), count(*), (SELECT count(*) IN (0, 100) FROM refilled) FROM accounts`;
      {
        await using writer = await startWriter(server);
        const before = writer.count();
        const first = await backUpCluster(memory, server, { partBytes: 1024 * 1024 });
        assert.ok(writer.count() > before, 'it was written to meanwhile');
        assert.deepEqual([first.warnings, first.incomplete], [[], undefined]);
        await using restored = await startRestored(memoryContent(memory, first.metadata), server);
        assert.equal(await restored.psql(sum), '0|20001|t');
        // Reads every row by the index and by the table.
        await restored.psql(
          'SET enable_seqscan = off; SELECT sum(length(filler)) FROM accounts WHERE id >= 0',
        );
        memory.becomePrevious(first.metadata);
      }
      await using _writer = await startWriter(server);
      const second = await backUpCluster(memory, server, { guardOneIn: 2 });
      assert.deepEqual(second.warnings, []);
      assert.equal(second.metadata.full_because, null);
      assert.ok(second.metadata.pages_guarded > 100);
      await using restored = await startRestored(memoryContent(memory, second.metadata), server);
      assert.equal(await restored.psql(sum), '0|20001|t');
      const rows = 'SELECT count(*), sum(hashtext(filler)) FROM accounts';
      assert.equal(
        await restored.psql(`SET enable_indexscan = off; SET enable_bitmapscan = off; ${rows}`),
        await restored.psql(`SET enable_seqscan = off; ${rows} WHERE id >= 0`),
      );
    },
  );
}

test(
  'an aborted backup leaves nothing on the server, and files may vanish',
  { skip: withoutPostgres('system') },
  async () => {
    await using server = await startPostgres({ settings: { autovacuum: 'off' } });
    await server.psql("CREATE TABLE gone AS SELECT repeat('x', 500) FROM generate_series(1, 100)");
    const memory = new MemoryBackup();
    const abort = new AbortController();
    memory.interrupt = (bytes) => {
      if (bytes > 3_000_000) abort.abort(new Error('that is enough'));
    };
    await assert.rejects(backUpCluster(memory, server, {}, { signal: abort.signal }), /that is enough/);
    assert.equal(
      memory.entries.some(({ kind }) => kind === 'pg.control'),
      false,
    );
    const left = 'SELECT count(*) FROM pg_replication_slots';
    // The session is told to end; the server takes a moment.
    const sessions = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'holdfast'";
    await until(async () => (await server.psql(sessions)) === '0', 'the end of the session');
    assert.equal(await server.psql(left), '0');
    memory.entries.splice(0);
    memory.interrupt = async () => {
      memory.interrupt = undefined;
      assert.equal(await server.psql(left), '1', 'WAL is kept for the backup');
      await server.psql('DROP TABLE gone; CHECKPOINT');
    };
    const { metadata, warnings } = await backUpCluster(memory, server);
    assert.deepEqual(warnings, []);
    assert.equal(await server.psql(left), '0');
    await using restored = await startRestored(memoryContent(memory, metadata), server);
    assert.equal(await restored.psql("SELECT to_regclass('gone') IS NULL"), 't');
  },
);
