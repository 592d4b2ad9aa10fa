import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import type { Selector } from '../../src/sources/postgres-logical/restore-options.ts';
import { everyObjectSql } from '../../testing/every-object.ts';
import { dumpText } from '../../testing/pg-dump.ts';
import { startPostgres, type PostgresServer } from '../../testing/postgres-server.ts';
import { databaseNames, failing, plan, restore, takeBackup, type Taken } from './support.ts';

const table = (name: string): Selector => {
  const [schema, rest] = name.split('.', 2);
  return { kind: 'table', schema: schema ?? '', table: rest ?? '' };
};

describe('a restore of some objects only', () => {
  let server: PostgresServer;
  let taken: Taken;

  before(async () => {
    server = await startPostgres({ settings: { wal_level: 'logical' } });
    await server.psql('CREATE DATABASE every');
    await server.psql(await everyObjectSql(), 'every');
    taken = await takeBackup(
      server.url('every'),
      { bigTableBytes: 8192, smallDatabaseBytes: 0 },
      { jobs: 2 },
    );
  });
  after(() => server[Symbol.asyncDispose]());

  const definition = async (database: string, name: string) =>
    await dumpText(server, 'pg_dump', database, `--table=${name}`, '--schema-only');

  it('brings one table into a new database, with its sequences, indexes, triggers, grants and what they need', async () => {
    const summary = await restore(taken, server.url('one'), { only: [table('app.customers')] });
    assert.deepEqual([summary.mode, summary.tables, summary.checked], ['create', 1, 1]);
    assert.deepEqual(await definition('one', 'app.customers'), await definition('every', 'app.customers'));
    assert.equal(await server.psql(`SELECT nextval('app.customers_code_seq')`, 'one'), '201');
    assert.equal(
      await server.psql(
        "SELECT count(*) FROM pg_class WHERE relkind IN ('r', 'p') AND relnamespace = 'app'::regnamespace",
        'one',
      ),
      '1',
    );
    await server.psql(`INSERT INTO app.customers (name, level) VALUES ('new', 1)`, 'one');
    assert.equal(
      await server.psql('SELECT max(id) FROM app.customers', 'one'),
      '2100',
      'the identity goes on where it was',
    );
  });

  it('leaves out foreign keys to tables that are not there, and says so', async () => {
    const only = [table('app.orders')];
    const { summary } = await plan(taken, server.url('orders'), { only });
    assert.match(
      summary.warnings.join('\n'),
      /foreign key orders orders_customer_fkey is left out, because table app\.customers is not there/,
    );
    await restore(taken, server.url('orders'), { only });
    assert.equal(
      await server.psql(
        `SELECT string_agg(contype::text, '' ORDER BY contype) FROM pg_constraint WHERE conrelid = 'app.orders'::regclass`,
        'orders',
      ),
      'px',
    );
  });

  it('names the views and foreign keys that depend on what is restored and do not come with it', async () => {
    const warned = async (...names: string[]) => {
      const { summary } = await plan(taken, server.url('dependents'), { only: names.map(table) });
      return summary.warnings.find((text) => text.startsWith('these depend')) ?? '';
    };
    const customers = await warned('app.customers');
    for (const name of ['view app.happy', 'view app.guarded', 'foreign key app.orders orders_customer_fkey'])
      assert.ok(customers.includes(name), customers);
    const orders = await warned('app.orders');
    for (const name of ['materialized view app.totals', 'materialized view app.totals_of_totals'])
      assert.ok(orders.includes(name), orders);
    assert.doesNotMatch(await warned('app.orders', 'app.totals'), /app\.totals[,;]/);
    assert.equal(await warned('app.empty'), '');
  });

  it('keeps foreign keys between selected tables, cycles too', async () => {
    await restore(taken, server.url('cycle'), { only: [table('app.chicken'), table('app.egg')] });
    assert.equal(await server.psql(`SELECT count(*) FROM pg_constraint WHERE contype = 'f'`, 'cycle'), '3');
  });

  it('brings a partitioned table with all its partitions', async () => {
    const summary = await restore(taken, server.url('parts'), { only: [table('app.events')] }, { jobs: 2 });
    assert.equal(summary.rows, 600);
    assert.deepEqual(await definition('parts', 'app.events*'), await definition('every', 'app.events*'));
    assert.equal(await server.psql('SELECT count(*) FROM app.events', 'parts'), '600');
  });

  it('brings a partition as a table of its own', async () => {
    const summary = await restore(taken, server.url('partition'), { only: [table('app.events_late')] });
    assert.match(
      summary.warnings.join('\n'),
      /events_late is a partition; it is restored as a table of its own/,
    );
    assert.equal(
      await server.psql(`SELECT count(*) FROM app.events_late`, 'partition'),
      await server.psql(`SELECT count(*) FROM app.events_late`, 'every'),
    );
  });

  it('brings a lost table back into a live database, whose other tables stay as they are', async () => {
    await server.psql('CREATE DATABASE live');
    await restore(taken, server.url('live'), {}, { jobs: 2 });
    await server.psql(
      `DROP TABLE app.orders CASCADE; DROP PUBLICATION ho_some, ho_schema, ho_all;
       UPDATE app.customers SET note = 'changed since'`,
      'live',
    );
    const summary = await restore(taken, server.url('live'), { only: [table('app.orders')] });
    assert.equal(summary.mode, 'add');
    assert.deepEqual(
      await definition('live', 'app.orders'),
      await definition('every', 'app.orders'),
      'with its foreign key: the other table is there',
    );
    assert.match(
      await server.psql('SELECT count(*), min(note) FROM app.customers', 'live'),
      /^200\|changed since/,
    );
  });

  it('refuses when an object is there already, and changes nothing', async () => {
    await assert.rejects(
      restore(taken, server.url('live'), { only: [table('app.orders'), table('app.empty')] }),
      failing('postgres_restore_exists', (error) => {
        assert.match(error.message, /table app\.orders/);
        assert.equal(error.exitCode, 7);
      }),
    );
    assert.equal(await server.psql('SELECT count(*) FROM app.orders', 'live'), '200');
  });

  it('brings a schema with odd names, and nothing of the others', async () => {
    const summary = await restore(taken, server.url('schema'), {
      only: [{ kind: 'schema', schema: 'odd schema' }],
    });
    assert.equal(summary.tables, 4);
    assert.deepEqual(
      await dumpText(server, 'pg_dump', 'schema', '--schema=odd schema'),
      await dumpText(server, 'pg_dump', 'every', '--schema=odd schema'),
    );
    assert.equal(await server.psql(`SELECT count(*) FROM pg_namespace WHERE nspname = 'app'`, 'schema'), '0');
  });

  it('brings a whole schema whose objects need things outside of it', async () => {
    const summary = await restore(
      taken,
      server.url('app schema'),
      { only: [{ kind: 'schema', schema: 'app' }] },
      { jobs: 2 },
    );
    assert.ok(summary.checked >= 20);
    assert.equal(
      await server.psql('SELECT all_of_it FROM app.totals_of_totals', 'app schema'),
      await server.psql('SELECT all_of_it FROM app.totals_of_totals', 'every'),
    );
  });

  it('refuses a name the backup does not have, and names the nearest', async () => {
    for (const [only, what, nearest] of [
      [table('app.custmers'), /table app\.custmers/, /app\.customers/],
      [table('odd schema.upperr'), /table odd schema\.upperr/, /: "odd schema"\.upper$/],
      [{ kind: 'schema', schema: 'ap' } as const, /schema ap/, /app/],
      [table('quite.else'), /table quite\.else/, /; there are: (?:[^,]+, ){9}[^,]+ and \d+ more$/],
    ] as const) {
      await assert.rejects(
        restore(taken, server.url('typo'), { only: [only] }),
        failing('postgres_restore_selection', (error) => {
          assert.match(error.message, what);
          assert.match(error.hint, nearest);
          assert.equal(error.exitCode, 6);
        }),
      );
    }
    assert.ok(!(await databaseNames(server)).includes('typo'));
  });
});
