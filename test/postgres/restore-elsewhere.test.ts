import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { Client } from 'pg';
import { checkPostgres } from '../../src/sources/postgres-logical/check.ts';
import { connectionFromUrl } from '../../src/postgres/connection/connection.ts';
import { installExtension } from '../../testing/every-object.ts';
import { dumpText } from '../../testing/pg-dump.ts';
import { startPostgres, withoutPostgres, type PostgresServer } from '../../testing/postgres-server.ts';
import { databaseNames, failing, plan, restore, takeBackup, type Taken } from './support.ts';

describe('a restore elsewhere', () => {
  let server: PostgresServer;
  let taken: Taken;

  before(async () => {
    server = await startPostgres();
    await server.psql('CREATE DATABASE shop');
    await server.psql(
      `CREATE ROLE shop_owner; CREATE ROLE clerk; CREATE ROLE limited LOGIN PASSWORD 'l'; GRANT clerk TO limited;
       GRANT SET ON PARAMETER work_mem, shop.tenant TO shop_owner;
       CREATE TABLE items AS SELECT g AS id, repeat('x', 100) AS t FROM generate_series(1, 4000) g;
       ALTER TABLE items ADD PRIMARY KEY (id); ALTER TABLE items OWNER TO shop_owner; GRANT SELECT ON items TO clerk`,
      'shop',
    );
    taken = await takeBackup(server.url('shop'), { globals: true });
  });
  after(() => server[Symbol.asyncDispose]());

  it('refuses roles that are missing, makes them when asked, and restores without owners too', async () => {
    await using other = await startPostgres();
    await assert.rejects(
      restore(taken, other.url('shop')),
      failing('postgres_restore_role_missing', ({ message }) => assert.match(message, /clerk, shop_owner/)),
    );
    assert.deepEqual(await databaseNames(other), ['postgres']);
    await restore(taken, other.url('without'), { noOwner: true, noPrivileges: true });
    assert.equal(
      await other.psql(`SELECT pg_get_userbyid(relowner) FROM pg_class WHERE relname = 'items'`, 'without'),
      'postgres',
    );
    await other.psql('CREATE ROLE clerk CREATEDB');
    const summary = await restore(taken, other.url('with'), { globals: true });
    assert.deepEqual(summary.roles_created.toSorted(), ['limited', 'shop_owner']);
    assert.match(
      summary.warnings.join('\n'),
      /role clerk exists and differs from the backup \(there: NOCREATEDB\)/,
    );
    assert.equal(
      await other.psql(`SELECT pg_get_userbyid(relowner) FROM pg_class WHERE relname = 'items'`, 'with'),
      'shop_owner',
    );
    assert.equal(await other.psql(`SELECT pg_has_role('limited', 'clerk', 'MEMBER')`, 'with'), 't');
    for (const name of ['work_mem', 'shop.tenant']) {
      const granted = `SELECT has_parameter_privilege('shop_owner', '${name}', 'SET')`;
      assert.equal(await other.psql(granted), 't', name);
    }
    const client = new Client({ connectionString: other.url('with', 'limited', 'l') });
    await client.connect(); // the password came along
    await client.end();
  });

  it('warns of roles that come without their passwords', async () => {
    await server.psql(`CREATE ROLE saver LOGIN PASSWORD 's'; GRANT SELECT ON items TO saver`, 'shop');
    const reader = server.url('shop', 'saver', 's');
    const bare = await takeBackup(reader, { globals: true });
    assert.equal(bare.metadata.globals.passwords, false);
    await using other = await startPostgres();
    const warned = (warnings: readonly string[]) => warnings.filter((text) => text.includes('cannot log in'));
    const { summary } = await plan(bare, other.url('shop'), { globals: true });
    assert.ok(summary.roles_to_create.includes('limited'));
    assert.deepEqual(
      warned(summary.warnings).map((text) => /^role (\w+) .*: ALTER ROLE "\1" PASSWORD/.exec(text)?.[1]),
      ['limited', 'saver'],
    );
    const whole = await plan(await takeBackup(server.url('shop'), { globals: true }), other.url('shop'), {
      globals: true,
    });
    assert.deepEqual(warned(whole.summary.warnings), []);
  });

  it('says how the warning of missing passwords ends, and it ends so', async () => {
    await server.psql(`CREATE ROLE teller LOGIN PASSWORD 't'; GRANT SELECT ON items TO teller`, 'shop');
    const url = server.url('shop', 'teller', 't');
    const toldOf = async (globals: boolean): Promise<string[]> => {
      const options = { connection: connectionFromUrl(url, {}), env: { PATH: process.env['PATH'] }, globals };
      const found = await checkPostgres(options, new AbortController().signal);
      const doubts = found.filter(({ check, level }) => check === 'roles' && level !== 'ok');
      const { warnings } = await takeBackup(url, { globals });
      return [...doubts.map(({ mend = '' }) => mend), ...warnings];
    };
    const told = await toldOf(true);
    assert.equal(told.length, 2);
    for (const text of told) assert.match(text, /pg_read_all_data.*globals: false/);
    assert.deepEqual(await toldOf(false), []);
    await server.psql('GRANT pg_read_all_data TO teller');
    assert.deepEqual(await toldOf(true), []);
  });

  it('works on a newer server', { skip: withoutPostgres(18) }, async () => {
    await using newer = await startPostgres({ major: 18 });
    const summary = await restore(taken, newer.url('shop'), { globals: true }, { jobs: 2 });
    assert.equal(summary.checked, 1);
    assert.equal(await newer.psql('SELECT count(*) FROM items', 'shop'), '4000');
  });

  it('keeps another encoding and locale', async () => {
    await server.psql(
      `CREATE DATABASE latin TEMPLATE template0 ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C'`,
    );
    await server.psql(
      `CREATE TABLE "größe" ("für" text); INSERT INTO "größe" VALUES ('Zürich'), (E'\\\\'), (NULL)`,
      'latin',
    );
    await server.psql(
      `CREATE DATABASE icu TEMPLATE template0 ENCODING 'UTF8' LOCALE_PROVIDER icu ICU_LOCALE 'de'`,
    );
    await server.psql(`CREATE TABLE t AS SELECT 'ä' AS a`, 'icu');
    for (const name of ['latin', 'icu']) {
      const summary = await restore(await takeBackup(server.url(name)), server.url(`${name}_again`));
      assert.equal(summary.checked, 1);
      const facts = (database: string) =>
        server.psql(
          `SELECT encoding, datcollate, datctype, datlocprovider, daticulocale FROM pg_database WHERE datname = '${database}'`,
        );
      assert.equal(await facts(`${name}_again`), await facts(name));
      assert.deepEqual(
        await dumpText(server, 'pg_dump', `${name}_again`),
        await dumpText(server, 'pg_dump', name),
      );
    }
    assert.equal(
      await server.psql(`SELECT "für" FROM "größe" WHERE "für" LIKE 'Z%'`, 'latin_again'),
      'Zürich',
    );
  });

  it('is on disk when it is reported, though the server does not wait for its disk', async () => {
    await using careless = await startPostgres({
      settings: { synchronous_commit: 'off', wal_writer_delay: '10s', wal_writer_flush_after: '0' },
    });
    await restore(taken, careless.url('shop'), { globals: true });
    await careless.kill();
    await careless.start();
    assert.equal(await careless.psql('SELECT count(*) FROM items', 'shop'), '4000');
  });

  it('compares what row-level security will hide, and says what it could not compare', async () => {
    await server.psql(`CREATE DATABASE guarded`);
    await server.psql(
      `CREATE TABLE notes AS SELECT g AS id FROM generate_series(1, 100) g; CREATE TABLE plain AS SELECT 1 AS a;
       ALTER TABLE notes ENABLE ROW LEVEL SECURITY; ALTER TABLE notes FORCE ROW LEVEL SECURITY;
       CREATE ROLE maker LOGIN CREATEDB PASSWORD 'm'`,
      'guarded',
    );
    await server.psql('CREATE DATABASE ready OWNER maker');
    const guarded = await takeBackup(server.url('guarded'));
    const options = { noOwner: true, noPrivileges: true };
    const created = await restore(guarded, server.url('by maker', 'maker', 'm'), options);
    assert.deepEqual([created.checked, created.warnings], [2, []]);
    const filled = await restore(guarded, server.url('ready', 'maker', 'm'), options);
    assert.equal(filled.checked, 1);
    assert.match(filled.warnings.join(), /public\.notes was not compared .* hides rows from maker/);
    assert.equal(await server.psql('SELECT count(*) FROM notes', 'ready'), '100');
  });

  it('gives objects to roles that who restores is a member of, and refuses others before it begins', async () => {
    await server.psql(
      `CREATE ROLE tenant_owner; CREATE ROLE other_owner; CREATE ROLE creator LOGIN CREATEDB PASSWORD 'c';
       GRANT tenant_owner TO creator`,
    );
    await server.psql('CREATE DATABASE owned OWNER tenant_owner');
    await server.psql(
      `SET ROLE tenant_owner; CREATE TABLE things AS SELECT 1 AS id; CREATE VIEW seen AS SELECT * FROM things;
       CREATE INDEX ON things (id); GRANT SELECT ON things TO clerk; CREATE SCHEMA more; CREATE SEQUENCE more.s`,
      'owned',
    );
    const creator = (database: string) => server.url(database, 'creator', 'c');
    const owned = await takeBackup(server.url('owned'));
    const whole = await restore(owned, creator('owned again'));
    assert.deepEqual([whole.checked, whole.warnings], [1, []]);
    assert.deepEqual(
      await dumpText(server, 'pg_dump', 'owned again'),
      await dumpText(server, 'pg_dump', 'owned'),
    );
    const owner = `SELECT pg_get_userbyid(datdba) FROM pg_database WHERE datname = 'owned again'`;
    assert.equal(await server.psql(owner), 'tenant_owner');
    const only = [{ kind: 'table', schema: 'public', table: 'things' } as const];
    assert.equal((await restore(owned, creator('owned part'), { only })).checked, 1);

    await server.psql('ALTER TABLE things OWNER TO other_owner', 'owned');
    const foreign = await takeBackup(server.url('owned'));
    await assert.rejects(
      plan(foreign, creator('foreign')),
      failing('postgres_restore_permission', ({ message, hint }) => {
        assert.match(message, /user creator may not restore into database foreign: .*other_owner/);
        assert.match(hint, /--no-owner/);
      }),
    );
    assert.equal(
      (await restore(foreign, creator('foreign'), { noOwner: true, noPrivileges: true })).checked,
      1,
    );

    await server.psql(
      'ALTER TABLE things OWNER TO tenant_owner; ALTER DATABASE owned OWNER TO other_owner',
      'owned',
    );
    await assert.rejects(
      plan(await takeBackup(server.url('owned')), creator('elsewhere')),
      failing('postgres_restore_permission', ({ message }) =>
        assert.match(message, /no member of the owner of the database: other_owner/),
      ),
    );
  });

  it('names the database it was to make, not the temporary one, when a right is missing', async () => {
    await server.psql(`CREATE ROLE maker_2 LOGIN CREATEDB PASSWORD 'm'`);
    await server.psql('CREATE DATABASE trigger_happy');
    await server.psql(
      `CREATE FUNCTION f() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN END';
       CREATE EVENT TRIGGER watch ON ddl_command_start EXECUTE FUNCTION f()`,
      'trigger_happy',
    );
    const happy = await takeBackup(server.url('trigger_happy'));
    await assert.rejects(
      restore(happy, server.url('wanted', 'maker_2', 'm'), { noOwner: true, noPrivileges: true }),
      failing('postgres_restore_permission', ({ message }) => {
        assert.match(message, /into database wanted: permission denied to create event trigger/);
        assert.doesNotMatch(message, /holdfast_restoring/);
      }),
    );
    const names = await databaseNames(server);
    assert.ok(!names.some((name) => name === 'wanted' || name.startsWith('holdfast_restoring')));
  });

  it('refuses a template and the names of unfinished restores', async () => {
    for (const name of ['template0', 'template1', 'holdfast_restoring_00000000']) {
      await assert.rejects(plan(taken, server.url(name)), failing('postgres_restore_target'));
    }
  });

  it('keeps tablespaces, and does without those that are not there or not for this user', async () => {
    const client = new Client({ connectionString: server.url() });
    await client.connect();
    await client.query('SET allow_in_place_tablespaces = on');
    await client.query(`CREATE TABLESPACE fast LOCATION ''`);
    await client.query('CREATE DATABASE spread TABLESPACE fast');
    await client.end();
    await server.psql(
      'CREATE TABLE moved (a integer) TABLESPACE pg_default; CREATE TABLE own (a integer)',
      'spread',
    );
    const spread = await takeBackup(server.url('spread'));
    const places = async (database: string) =>
      await server.psql(
        `SELECT (SELECT spcname FROM pg_tablespace WHERE oid = dattablespace),
                (SELECT string_agg(relname || ' ' || coalesce(spcname, ''), ', ' ORDER BY relname)
                   FROM pg_class c LEFT JOIN pg_tablespace t ON t.oid = c.reltablespace WHERE relname IN ('moved', 'own'))
           FROM pg_database WHERE datname = current_database()`,
        database,
      );
    assert.equal(await places('spread'), 'fast|moved pg_default, own ');
    await restore(spread, server.url('spread again'));
    assert.equal(await places('spread again'), await places('spread'));
    await server.psql(`CREATE ROLE tenant LOGIN CREATEDB PASSWORD 't'`);
    const options = { noOwner: true, noPrivileges: true };
    await restore(spread, server.url('by tenant', 'tenant', 't'), options);
    assert.equal(await places('by tenant'), 'pg_default|moved , own ');
    await using other = await startPostgres();
    await restore(spread, other.url('spread'), options);
  });

  it('reads text that the settings of a database would otherwise change', async () => {
    await server.psql('CREATE DATABASE settings');
    await server.psql(
      `CREATE TABLE t AS SELECT '\\x00ff'::bytea AS b, 12.5::money AS m, '1 day 2 hours'::interval AS i, now() AS n, 0.1::float8 AS f,
         'pg_class'::regclass AS c, 'information_schema.tables'::regclass AS v, '{1,NULL}'::integer[] AS a, '<a/>b'::xml AS x,
         '-1 year +2 mons -3 days'::interval AS j, '[2026-01-02,2026-03-04)'::daterange AS r;
       UPDATE t SET c = 't'::regclass;
       ALTER DATABASE settings SET quote_all_identifiers = on; ALTER DATABASE settings SET array_nulls = off;
       ALTER DATABASE settings SET xmloption = 'document'; ALTER DATABASE settings SET transform_null_equals = on;
       ALTER DATABASE settings SET search_path = 'nowhere'; ALTER DATABASE settings SET lc_monetary = 'C';
       ALTER DATABASE settings SET bytea_output = 'escape'; ALTER DATABASE settings SET timezone = 'Asia/Tokyo';
       ALTER DATABASE settings SET datestyle = 'German'; ALTER DATABASE settings SET intervalstyle = 'sql_standard';
       ALTER DATABASE settings SET extra_float_digits = -10; ALTER DATABASE settings SET default_transaction_read_only = on`,
      'settings',
    );
    const summary = await restore(await takeBackup(server.url('settings')), server.url('settings_again'));
    assert.deepEqual([summary.checked, summary.warnings], [1, []]);
    assert.equal(await server.psql(`SHOW bytea_output`, 'settings_again'), 'escape');
  });
});

describe('an extension with configuration tables', () => {
  it('comes back with the rows that users added to them', { skip: withoutPostgres(15) }, async () => {
    await using server = await startPostgres({ major: 15 });
    await using extension = await installExtension(server);
    await server.psql('CREATE DATABASE source');
    await server.psql(`CREATE EXTENSION ${extension.name}; INSERT INTO conf VALUES ('mine', '2')`, 'source');
    const taken = await takeBackup(
      server.url('source'),
      { bigTableBytes: 1, smallDatabaseBytes: 0 },
      { jobs: 2 },
    );
    const summary = await restore(taken, server.url('target'));
    assert.equal(summary.tables, 1);
    assert.equal(await server.psql('SELECT k FROM conf ORDER BY 1', 'target'), 'built in\nmine');
  });
});
