import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { everyObjectSql } from '../../testing/every-object.ts';
import { dumpAsSets, dumpText } from '../../testing/pg-dump.ts';
import { startPostgres, type PostgresServer } from '../../testing/postgres-server.ts';
import { databaseNames, restore, takeBackup, type Taken } from './support.ts';

describe('a database with every kind of object', () => {
  let server: PostgresServer;
  let single: Taken;
  let parallel: Taken;
  const everyTableIsBig = { bigTableBytes: 8192, smallDatabaseBytes: 0 };

  before(async () => {
    server = await startPostgres({ settings: { wal_level: 'logical' } });
    await server.psql('CREATE DATABASE every');
    await server.psql(await everyObjectSql(), 'every');
    single = await takeBackup(server.url('every'), everyTableIsBig, { jobs: 1 });
    parallel = await takeBackup(server.url('every'), everyTableIsBig, { jobs: 3 });
  });
  after(() => server[Symbol.asyncDispose]());

  it('comes back the same, object by object and row by row, into a new database', async () => {
    const summary = await restore(single, server.url('"new" db'), {}, { jobs: 2 });
    assert.equal(summary.mode, 'create');
    assert.equal(summary.checked, summary.tables + 1, 'every table and the large objects were compared');
    await assertSame('every', '"new" db');
  });

  it('comes back the same from archives written side by side', async () => {
    const [database] = parallel.metadata.databases;
    assert.deepEqual(
      database?.archives.map(({ content }) => content),
      ['all', 'data', 'data'],
    );
    await restore(parallel, server.url('from parallel'), {}, { jobs: 3 });
    await assertSame('every', 'from parallel');
  });

  it('comes back the same in one transaction, into an existing empty database', async () => {
    await server.psql('CREATE DATABASE "filled" TEMPLATE template0');
    const summary = await restore(parallel, server.url('filled'), {}, { jobs: 2 });
    assert.equal(summary.mode, 'fill');
    await assertSame('every', 'filled');
  });

  it('has the same tables, rows and fingerprints however many archives were written', () => {
    const facts = (taken: Taken) =>
      taken.memory.entries
        .filter(({ kind }) => kind === 'pg.table')
        .map(({ path, stream, meta: { rows, bytes, fingerprint } }) => ({
          path,
          root: stream?.root,
          rows,
          bytes,
          fingerprint,
        }))
        .toSorted((a, b) => (a.path < b.path ? -1 : 1));
    assert.deepEqual(facts(parallel), facts(single));
    assert.equal(facts(single).length, single.metadata.databases[0]?.tables);
  });

  it('keeps the settings, comment and grants of the database itself', async () => {
    const properties = async (name: string) =>
      await server.psql(
        `SELECT datconnlimit, ARRAY(SELECT a::text FROM unnest(datacl) a ORDER BY 1), pg_get_userbyid(datdba), shobj_description(oid, 'pg_database'),
              ARRAY(SELECT coalesce(setrole::regrole::text, '') || array_to_string(setconfig, ' ') FROM pg_db_role_setting s WHERE s.setdatabase = d.oid ORDER BY 1)
         FROM pg_database d WHERE datname = '${name}'`,
      );
    const source = await properties('every');
    assert.match(source, /77\|.*ho_owner=C.*semicolon.*application\.tenant/);
    assert.equal(await properties('"new" db'), source);
    assert.equal(await properties('from parallel'), source);
    assert.match(await properties('filled'), /^-1\|\{\}\|postgres\|\|/, 'an existing database keeps its own');
  });

  it('leaves no temporary database behind', async () => {
    assert.deepEqual(await databaseNames(server), [
      '"new" db',
      'every',
      'filled',
      'from parallel',
      'postgres',
    ]);
  });

  async function assertSame(source: string, target: string): Promise<void> {
    const [schemaBefore, schemaAfter] = await Promise.all(
      [source, target].map((name) => dumpText(server, 'pg_dump', name, '--schema-only')),
    );
    assert.deepEqual(schemaAfter, schemaBefore);
    const [dataBefore, dataAfter] = await Promise.all(
      [source, target].map((name) => dumpAsSets(server, 'pg_dump', name, '--data-only')),
    );
    assert.deepEqual(dataAfter, dataBefore);
  }
});
