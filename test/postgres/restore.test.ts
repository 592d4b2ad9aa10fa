import assert from 'node:assert/strict';
import { readdir } from 'node:fs/promises';
import { after, before, beforeEach, describe, it } from 'node:test';
import { Client } from 'pg';
import { startPostgres, withoutPostgres, type PostgresServer } from '../../testing/postgres-server.ts';
import { tempDirectory } from '../../testing/temp.ts';
import { databaseNames, failing, plan, restore, takeBackup, type Taken } from './support.ts';

describe('a restore', () => {
  let server: PostgresServer;
  let taken: Taken;
  let namesBefore: string[];

  before(async () => {
    server = await startPostgres();
    await server.psql('CREATE DATABASE shop; ');
    await server.psql(
      `CREATE ROLE shop_owner; CREATE ROLE clerk; CREATE ROLE limited LOGIN PASSWORD 'l';
       CREATE TABLE items AS SELECT g AS id, repeat('x', 100) AS t FROM generate_series(1, 40000) g;
       CREATE TABLE prices AS SELECT g AS id, g * 2.5 AS price FROM generate_series(1, 1000) g;
       ALTER TABLE items ADD PRIMARY KEY (id); ALTER TABLE items OWNER TO shop_owner; GRANT SELECT ON prices TO clerk;
       CREATE VIEW cheap AS SELECT * FROM prices WHERE price < 10; CREATE EXTENSION hstore;
       SELECT lo_from_bytea(4711, 'large')`,
      'shop',
    );
    taken = await takeBackup(
      server.url('shop'),
      { globals: true, bigTableBytes: 8192, smallDatabaseBytes: 0 },
      { jobs: 2 },
    );
  });
  after(() => server[Symbol.asyncDispose]());
  beforeEach(async () => {
    namesBefore = await databaseNames(server);
  });

  it('says beforehand what it would do, and a plan changes nothing', async () => {
    const { summary } = await plan(taken, server.url('planned'));
    assert.equal(summary.mode, 'create');
    assert.deepEqual(
      summary.tables.map(({ table, rows }) => [table, rows]),
      [
        ['items', 40000],
        ['prices', 1000],
      ],
    );
    assert.equal(summary.rows, 41000);
    const unchecked = await plan(taken, server.url('planned'), { check: false });
    assert.match(unchecked.summary.warnings.join(), /not compared with the backup/);
    assert.doesNotMatch(JSON.stringify(summary), /password|test-/);
    assert.deepEqual(await databaseNames(server), namesBefore);
  });

  it('refuses a database that is not empty, and leaves it as it was', async () => {
    await server.psql('CREATE DATABASE used');
    await server.psql('CREATE FUNCTION f() RETURNS integer LANGUAGE sql AS $$ SELECT 1 $$', 'used');
    await server.psql(
      `CREATE SEQUENCE one; CREATE SEQUENCE two; CREATE VIEW v AS SELECT 1; CREATE TYPE pair AS (a integer, b integer);
       CREATE TYPE mood AS ENUM ('sad', 'glad')`,
      'used',
    );
    await assert.rejects(
      restore(taken, server.url('used')),
      failing('postgres_restore_not_empty', (error) => {
        assert.equal(error.exitCode, 7);
        assert.match(error.message, /it has 1 view, 2 sequences, 1 function, 2 types$/);
      }),
    );
    assert.equal(
      await server.psql(`SELECT count(*) FROM pg_class WHERE relnamespace = 'public'::regnamespace`, 'used'),
      '4',
    );
  });

  it('with force puts the restored database in the place of the old one, which is kept and usable', async () => {
    await server.psql('CREATE DATABASE live');
    await server.psql('CREATE TABLE old AS SELECT 1 AS a', 'live');
    const user = new Client({ connectionString: server.url('live') });
    user.on('error', () => undefined);
    await user.connect();
    const summary = await restore(taken, server.url('live'), { force: true });
    await user.end().catch(() => undefined);
    assert.equal(summary.mode, 'replace');
    assert.match(summary.replaced ?? '', /^holdfast_replaced_[0-9a-f]{8}$/);
    assert.equal(await server.psql('SELECT count(*) FROM items', 'live'), '40000');
    assert.equal(await server.psql('SELECT a FROM old', summary.replaced ?? ''), '1');
    await server.psql(`DROP DATABASE ${summary.replaced}`);
  });

  it('finds tables that differ from the backup, fails with code 9 and keeps nothing', async () => {
    const damaged = await takeBackup(server.url('shop'), {}, { jobs: 1 });
    // One row less in what is stored, which every other layer would let through.
    const entry = damaged.memory.entry('shop/tables/public.prices');
    const root = entry.stream?.root ?? '';
    const content = damaged.memory.streams.get(root) ?? Buffer.alloc(0);
    damaged.memory.streams.set(root, content.subarray(content.indexOf('\n') + 1));
    await assert.rejects(
      restore(damaged, server.url('wrong')),
      failing('postgres_restore_check', (error) => {
        assert.equal(error.exitCode, 9);
        assert.match(error.message, /1 of 3: public\.prices \(999 rows instead of 1000\)/);
      }),
    );
    // The same number of rows, one value changed.
    damaged.memory.streams.set(
      root,
      Buffer.from(content.toString('latin1').replace('\n7\t17.5\n', '\n7\t17.6\n'), 'latin1'),
    );
    await assert.rejects(
      restore(damaged, server.url('wrong')),
      failing('postgres_restore_check', ({ message }) =>
        assert.match(message, /public\.prices .*other contents/),
      ),
    );
    damaged.memory.streams.set(root, content);
    const blobs = damaged.memory.entry('shop/0/blobs-0').stream?.root ?? '';
    const object = damaged.memory.streams.get(blobs) ?? Buffer.alloc(0);
    damaged.memory.streams.set(
      blobs,
      Buffer.from(object.toString('latin1').replace('large', 'LARGE'), 'latin1'),
    );
    await assert.rejects(
      restore(damaged, server.url('wrong')),
      failing('postgres_restore_check', ({ message }) => assert.match(message, /large objects/)),
    );
    assert.deepEqual(await databaseNames(server), namesBefore);
  });

  it('refuses a backup that lacks the data of a table', async () => {
    const { memory, ...rest } = await takeBackup(server.url('shop'));
    memory.entries.splice(
      memory.entries.findIndex(({ path }) => path === 'shop/tables/public.items'),
      1,
    );
    await assert.rejects(
      restore({ memory, ...rest }, server.url('incomplete')),
      failing('postgres_restore_backup_damaged', (error) => {
        assert.match(error.message, /data of public\.items are missing/);
      }),
    );
    assert.deepEqual(await databaseNames(server), namesBefore);
  });

  it('drops what it had made when pg_restore fails, and leaves no files', async () => {
    await using directory = await tempDirectory();
    const { memory, ...rest } = await takeBackup(server.url('shop'));
    const root = memory.entry('shop/tables/public.items').stream?.root ?? '';
    memory.streams.set(root, Buffer.from('1\tx\n1\tx\n\\.\n\n\n')); // the primary key cannot be made
    await assert.rejects(
      restore({ memory, ...rest }, server.url('broken'), {
        temporaryDirectory: directory.path,
        check: false,
      }),
      failing('postgres_tool_failed', (error) => {
        assert.match(error.message, /items_pkey/);
      }),
    );
    assert.deepEqual(await databaseNames(server), namesBefore);
    assert.deepEqual(await readdir(directory.path), []);
  });

  it('leaves an existing empty database empty when it fails', async () => {
    await server.psql('CREATE DATABASE still_empty');
    const { memory, ...rest } = await takeBackup(server.url('shop'));
    memory.streams.set(
      memory.entry('shop/tables/public.items').stream?.root ?? '',
      Buffer.from('1\tx\n1\tx\n\\.\n\n\n'),
    );
    await assert.rejects(
      restore({ memory, ...rest }, server.url('still_empty')),
      failing('postgres_tool_failed'),
    );
    assert.equal(
      await server.psql(
        `SELECT count(*) FROM pg_class WHERE relnamespace = 'public'::regnamespace`,
        'still_empty',
      ),
      '0',
    );
  });

  for (const [mode, jobs] of [
    ['create', 2],
    ['fill', 1],
  ] as const) {
    it(`stops when it is aborted, and takes everything back (${mode})`, async () => {
      if (mode === 'fill') await server.psql('CREATE DATABASE aborted');
      const names = await databaseNames(server);
      const aborting = await takeBackup(
        server.url('shop'),
        { bigTableBytes: 8192, smallDatabaseBytes: 0 },
        { jobs },
      );
      const controller = new AbortController();
      const reason = new Error('the user has had enough');
      let start = Infinity;
      aborting.memory.interrupt = (bytes) => {
        start = Math.min(start, bytes);
        if (bytes - start > 1_500_000) controller.abort(reason);
      };
      await assert.rejects(
        restore(aborting, server.url('aborted'), {}, { jobs, signal: controller.signal }),
        reason,
      );
      assert.deepEqual(await databaseNames(server), names);
      assert.equal(
        await server.psql(`SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'holdfast%'`),
        '0',
      );
      if (mode === 'fill') await server.psql('DROP DATABASE aborted');
    });
  }

  it('tells of a database that an interrupted restore left behind', async () => {
    await server.psql('CREATE DATABASE holdfast_restoring_0badcafe');
    const { summary } = await plan(taken, server.url('planned'));
    assert.match(
      summary.warnings.join('\n'),
      /holdfast_restoring_0badcafe behind; drop it with DROP DATABASE "holdfast_restoring_0badcafe"/,
    );
    await server.psql('DROP DATABASE holdfast_restoring_0badcafe');
  });

  it('refuses a user who may not create databases', async () => {
    await assert.rejects(
      restore(taken, server.url('mine', 'limited', 'l')),
      failing('postgres_restore_create', ({ hint }) => assert.match(hint, /ALTER ROLE "limited" CREATEDB/)),
    );
  });

  it('refuses an older server, unless forced', { skip: withoutPostgres(15) }, async () => {
    const newer: Taken = {
      ...taken,
      metadata: { ...taken.metadata, server_version_number: 170_002, server_version: '17.2' },
    };
    await assert.rejects(
      restore(newer, server.url('older')),
      failing('postgres_restore_older_server', ({ exitCode }) => assert.equal(exitCode, 4)),
    );
    const { summary } = await plan(newer, server.url('older'), { force: true });
    assert.match(summary.warnings.join('\n'), /older/);
  });

  it('refuses when an extension is not to be had', async () => {
    const metadata = structuredClone(taken.metadata);
    const { memory } = await takeBackup(server.url('shop'));
    const toc = memory.entry('shop/0/toc').stream?.root ?? '';
    const bytes = memory.streams.get(toc) ?? Buffer.alloc(0);
    memory.streams.set(toc, Buffer.from(bytes.toString('latin1').replaceAll('hstore', 'hsturm'), 'latin1'));
    await assert.rejects(
      restore({ memory, metadata: await single(metadata), warnings: [] }, server.url('ext')),
      failing('postgres_restore_extension_missing', ({ message }) => assert.match(message, /hsturm/)),
    );
  });

  it('asks which database when the backup has several, and restores the one named', async () => {
    await server.psql('CREATE DATABASE second');
    await server.psql('CREATE TABLE only_here AS SELECT 1 AS a', 'second');
    const both = await takeBackup(server.url('postgres'), { databases: ['shop', 'second'] });
    await assert.rejects(
      restore(both, server.url('third')),
      failing('postgres_restore_database', ({ message }) => assert.match(message, /shop, second/)),
    );
    await restore(both, server.url('third'), { database: 'second' });
    assert.equal(await server.psql('SELECT a FROM only_here', 'third'), '1');
    const all = await takeBackup(server.url('postgres'), { databases: 'all' });
    assert.deepEqual(
      all.metadata.databases.map(({ name }) => name),
      await databaseNames(server),
    );
  });

  async function single(metadata: Taken['metadata']): Promise<Taken['metadata']> {
    const [database] = metadata.databases;
    assert.ok(database);
    const [archive] = database.archives;
    assert.ok(archive);
    return { ...metadata, databases: [{ ...database, archives: [archive] }] };
  }
});
