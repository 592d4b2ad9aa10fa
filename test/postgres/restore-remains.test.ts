import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdir, readdir } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { connectionFromUrl } from '../../src/postgres/connection/connection.ts';
import { dropDatabase } from '../../src/sources/postgres-logical/restore-database.ts';
import { restoreGlobals } from '../../src/sources/postgres-logical/restore-globals.ts';
import { openSession } from '../../src/postgres/connection/session.ts';
import { startPostgres, withoutPostgres, type PostgresServer } from '../../testing/postgres-server.ts';
import { tempDirectory } from '../../testing/temp.ts';
import { databaseNames, plan, restore, takeBackup } from './support.ts';

describe('what a restore leaves, and what it keeps', () => {
  let server: PostgresServer;
  before(async () => {
    server = await startPostgres();
  });
  after(() => server[Symbol.asyncDispose]());

  it('drops a database whose subscriptions are guarded by an event trigger', async () => {
    const names = await databaseNames(server);
    await server.psql('CREATE DATABASE guarded');
    await server.psql(
      `CREATE SUBSCRIPTION s CONNECTION 'host=nowhere' PUBLICATION p WITH (connect = false);
       CREATE FUNCTION refuse() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'no'; END $$;
       CREATE EVENT TRIGGER guard ON ddl_command_start EXECUTE FUNCTION refuse()`,
      'guarded',
    );
    const { signal } = new AbortController();
    await using session = await openSession(connectionFromUrl(server.url('postgres'), {}), signal);
    await dropDatabase(session, 'guarded', signal);
    assert.deepEqual(await databaseNames(server), names);
  });

  it('removes the files of a restore that was killed, and no others', async () => {
    await using directory = await tempDirectory();
    const gone = spawnSync('true').pid;
    const [left, used, other] = [
      `holdfast-restore-${hostname()}-${gone}-abcdef`,
      `holdfast-restore-${hostname()}-${process.pid}-abcdef`,
      `holdfast-restore-elsewhere-${gone}-abcdef`,
    ];
    for (const name of [left, used, other]) await mkdir(join(directory.path, name));
    await server.psql('CREATE DATABASE small');
    const taken = await takeBackup(server.url('small'));
    await restore(taken, server.url('small_again'), { temporaryDirectory: directory.path });
    assert.deepEqual((await readdir(directory.path)).toSorted(), [other, used].toSorted());
  });

  it('keeps the settings that a role named database has in the database', async () => {
    await server.psql('CREATE ROLE database');
    await server.psql('CREATE DATABASE mon');
    await server.psql(`ALTER ROLE database IN DATABASE mon SET work_mem = '7MB'`);
    const { warnings } = await restore(await takeBackup(server.url('mon')), server.url('mon_again'));
    assert.deepEqual(warnings, []);
    assert.equal(
      await server.psql(
        `SELECT setconfig FROM pg_db_role_setting s JOIN pg_database d ON d.oid = s.setdatabase WHERE datname = 'mon_again'`,
      ),
      '{work_mem=7MB}',
    );
  });

  it('warns of a partition that is restored alone, and not of those that come with their parent', async () => {
    await server.psql('CREATE DATABASE parts');
    await server.psql(
      `CREATE TABLE part (a integer) PARTITION BY RANGE (a);
       CREATE TABLE low PARTITION OF part FOR VALUES FROM (0) TO (10)`,
      'parts',
    );
    const taken = await takeBackup(server.url('parts'));
    const warnings = async (table: string): Promise<readonly string[]> => {
      const only = [{ kind: 'table', schema: 'public', table } as const];
      return (await plan(taken, server.url('new'), { only })).summary.warnings;
    };
    assert.deepEqual(await warnings('part'), []);
    assert.match((await warnings('low')).join(), /public\.low is a partition/);
  });

  it(
    'keeps the options of a membership whose grantor may not grant here',
    { skip: withoutPostgres(18) },
    async () => {
      await using source = await startPostgres({ major: 18 });
      await source.psql('CREATE ROLE team; CREATE ROLE carol');
      const sql = `CREATE ROLE team;\nCREATE ROLE carol;\nCREATE ROLE bob;\nALTER ROLE bob WITH NOLOGIN;
      GRANT team TO bob WITH ADMIN OPTION, INHERIT FALSE, SET FALSE GRANTED BY carol;`;
      await using session = await openSession(
        connectionFromUrl(source.url('postgres'), {}),
        new AbortController().signal,
      );
      const { warnings } = await restoreGlobals(sql, session);
      assert.deepEqual(warnings, []);
      assert.equal(
        await source.psql(
          `SELECT admin_option, inherit_option, set_option FROM pg_auth_members WHERE member = 'bob'::regrole`,
        ),
        't|f|f',
      );
    },
  );
});
