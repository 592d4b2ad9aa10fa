import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { Client } from 'pg';
import type { StreamRef } from '../../src/contract/stream.ts';
import { runRestore } from '../../src/sources/postgres-logical/restore.ts';
import { startPostgres, type PostgresServer } from '../../testing/postgres-server.ts';
import { databaseNames, failing, plan, restore, takeBackup, type Taken } from './support.ts';

describe('a restore in the place of a database', () => {
  let server: PostgresServer;
  let taken: Taken;

  before(async () => {
    server = await startPostgres({ settings: { max_prepared_transactions: '10' } });
    await server.psql('CREATE DATABASE shop');
    await server.psql('CREATE TABLE items AS SELECT generate_series(1, 100) AS id', 'shop');
    taken = await takeBackup(server.url('shop'));
    await server.psql('CREATE DATABASE live');
    await server.psql('CREATE TABLE old AS SELECT 1 AS a', 'live');
  });
  after(() => server[Symbol.asyncDispose]());

  /** Keeps the renaming waiting, as no ended connection does. */
  async function prepare(): Promise<void> {
    await server.psql(`BEGIN; INSERT INTO old VALUES (2); PREPARE TRANSACTION 'held'`, 'live');
  }

  async function swapIsWaiting(): Promise<void> {
    await using client = await connect('postgres');
    for (;;) {
      const { rows } = await client.query(
        `SELECT FROM pg_stat_activity WHERE query LIKE 'ALTER DATABASE "live" RENAME%' AND state = 'active'`,
      );
      if (rows.length > 0) return;
    }
  }

  async function connect(database: string): Promise<Client & AsyncDisposable> {
    const client = new Client({ connectionString: server.url(database) });
    client.on('error', () => undefined);
    await client.connect();
    return Object.assign(client, {
      [Symbol.asyncDispose]: async () => await client.end().catch(() => undefined),
    });
  }

  it('that is aborted while it waits for the old one leaves that as it was, and nothing of its own', async () => {
    await prepare();
    const names = await databaseNames(server);
    const controller = new AbortController();
    const reason = new Error('the user has had enough');
    const running = restore(taken, server.url('live'), { force: true }, { signal: controller.signal });
    const refused = assert.rejects(running, reason);
    await swapIsWaiting();
    assert.equal(await server.psql(`SELECT datallowconn FROM pg_database WHERE datname = 'live'`), 't');
    controller.abort(reason);
    await refused;
    await server.psql(`ROLLBACK PREPARED 'held'`, 'live');
    assert.equal(await server.psql('SELECT a FROM old', 'live'), '1');
    assert.deepEqual(await databaseNames(server), names);
  });

  it('that finds the old one in use to the end leaves it usable, and keeps the restored one', async () => {
    await prepare();
    let temporary = '';
    await assert.rejects(
      restore(taken, server.url('live'), { force: true }),
      failing('postgres_restore_in_use', ({ hint }) => {
        temporary = /holdfast_restoring_[0-9a-f]{8}/.exec(hint)?.[0] ?? '';
      }),
    );
    await server.psql(`ROLLBACK PREPARED 'held'`, 'live');
    assert.equal(await server.psql('SELECT a FROM old', 'live'), '1');
    assert.equal(await server.psql('SELECT count(*) FROM items', temporary), '100');
    await server.psql(`DROP DATABASE ${temporary}`);
  });

  it('swaps both, whoever is connected, though the server cuts every idle connection in the meantime', async () => {
    await using user = await connect('live');
    const planned = await plan(taken, server.url('live'), { force: true });
    const context = taken.memory.restoreContext(taken.metadata);
    async function* open(stream: StreamRef): AsyncGenerator<Uint8Array> {
      await server.psql(
        `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'holdfast' AND state = 'idle' AND datname = 'postgres'`,
      );
      yield* context.open(stream);
    }
    const { replaced } = await runRestore(planned, { ...context, open }, () => process.hrtime.bigint());
    await assert.rejects(user.query('SELECT 1'));
    assert.equal(await server.psql('SELECT count(*) FROM items', 'live'), '100');
    assert.equal(await server.psql('SELECT a FROM old', replaced ?? ''), '1');
    assert.equal(
      await server.psql(`SELECT count(*) FROM pg_database WHERE NOT datallowconn AND datname <> 'template0'`),
      '0',
    );
  });

  it('works for a role that only reads unless it says otherwise', async () => {
    await server.psql(`CREATE ROLE careful LOGIN SUPERUSER PASSWORD 'c'`);
    await server.psql('ALTER ROLE careful SET default_transaction_read_only = on');
    const { checked } = await restore(taken, server.url('written', 'careful', 'c'));
    assert.equal(checked, 1);
  });
});
