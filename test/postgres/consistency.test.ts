import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { Client } from 'pg';
import { openSession } from '../../src/postgres/connection/session.ts';
import { connectionFromUrl } from '../../src/postgres/connection/connection.ts';
import { shareSnapshot } from '../../src/sources/postgres-logical/snapshot.ts';
import { MemoryBackup } from '../../testing/memory-backup.ts';
import { startPostgres, type PostgresServer } from '../../testing/postgres-server.ts';
import { failing, restore, takeBackup } from './support.ts';

describe('a backup of a database that is written to', () => {
  let server: PostgresServer;
  before(async () => {
    server = await startPostgres();
    await server.psql('CREATE DATABASE bank');
    await server.psql(
      `CREATE TABLE left_accounts AS SELECT g AS id, 1000 AS money, repeat('x', 300) AS pad FROM generate_series(1, 6000) g;
       CREATE TABLE right_accounts AS SELECT * FROM left_accounts; CREATE TABLE transfers (id serial PRIMARY KEY, amount integer);
       ALTER TABLE left_accounts ADD PRIMARY KEY (id); ALTER TABLE right_accounts ADD PRIMARY KEY (id)`,
      'bank',
    );
  });
  after(() => server[Symbol.asyncDispose]());

  for (const jobs of [1, 3]) {
    it(`has a sum that is right, though money moved between tables all the time (${jobs} jobs)`, async () => {
      const client = new Client({ connectionString: server.url('bank') });
      await client.connect();
      let going = true;
      let moved = 0;
      const move = async (): Promise<void> => {
        await client.query(
          `BEGIN; UPDATE left_accounts SET money = money - 10 WHERE id % 100 = ${moved % 100};
           UPDATE right_accounts SET money = money + 10 WHERE id % 100 = ${moved % 100};
           INSERT INTO transfers (amount) VALUES (600); COMMIT`,
        );
        moved += 1;
      };
      const memory = new MemoryBackup();
      // At least one transfer commits between any two writes of the backup, whatever the speed of this machine.
      let seen = 0;
      memory.interrupt = async (bytes) => {
        if (bytes - seen < 500_000) return;
        seen = bytes;
        const before = moved;
        while (going && moved === before) await new Promise((resolve) => setImmediate(resolve));
      };
      const mover = (async () => {
        try {
          while (going) await move();
        } finally {
          going = false;
        }
      })();
      const everyTableIsBig = { bigTableBytes: 8192, smallDatabaseBytes: 0 };
      let taken;
      try {
        taken = await takeBackup(server.url('bank'), everyTableIsBig, { jobs }, memory);
      } finally {
        going = false;
        await mover;
        await client.end();
      }
      assert.ok(moved > 5, `${moved} transfers`);
      const target = `bank_${jobs}`;
      await restore(taken, server.url(target), {}, { jobs });
      const sums = await server.psql(
        `SELECT (SELECT sum(money) FROM left_accounts) + (SELECT sum(money) FROM right_accounts),
                (SELECT sum(money) FROM right_accounts) - 6000000 - (SELECT coalesce(sum(amount), 0) FROM transfers)`,
        target,
      );
      assert.equal(
        sums,
        '12000000|0',
        'the total is kept, and the tables agree on which transfers there were',
      );
    });
  }

  it('locks tables before it takes the snapshot, so that a TRUNCATE cannot slip in between', async () => {
    await using session = await openSession(
      connectionFromUrl(server.url('bank'), {}),
      new AbortController().signal,
    );
    const snapshot = await shareSnapshot(session, [{ schema: 'public', table: 'transfers', bytes: 0 }], 1000);
    assert.ok(snapshot);
    await assert.rejects(server.psql(`SET lock_timeout = 100; TRUNCATE transfers`, 'bank'), /lock timeout/);
    await snapshot.release();
    await server.psql('TRUNCATE transfers', 'bank');
    await assert.rejects(
      shareSnapshot(session, [{ schema: 'public', table: 'dropped meanwhile', bytes: 0 }], 1000),
      failing('postgres_schema_moved', ({ message }) => assert.match(message, /dropped meanwhile/)),
    );
  });
});
