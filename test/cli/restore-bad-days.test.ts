import assert from 'node:assert/strict';
import { mkdir, writeFile } from 'node:fs/promises';
import { after, before, beforeEach, describe, it } from 'node:test';
import { Client } from 'pg';
import { childrenOf, isAlive } from '../../src/app/local-postgres/processes.ts';
import { startPostgres, type PostgresServer } from '../../testing/postgres-server.ts';
import { until } from '../../testing/until.ts';
import { machineOf, runInProcess } from './in-process.ts';
import { play } from './play.ts';
import { sandbox, type Json, type Running, type Sandbox } from './program-runner.ts';

/** Who is connected under this name holds every restore that fills `held` in the middle of its data. */
const holder = 'holds restores';

describe('a restore on a bad day', () => {
  let server: PostgresServer;
  let box: Sandbox;
  let env: Record<string, string>;
  let databases: string;

  before(async () => {
    server = await startPostgres();
    box = await sandbox();
    await server.psql('CREATE DATABASE shop');
    await server.psql(
      `CREATE ROLE shop_owner; CREATE ROLE lost; CREATE ROLE clerk LOGIN PASSWORD 'pw-of-clerk';
       CREATE TABLE orders AS SELECT i AS id, md5(i::text) AS note FROM generate_series(1, 20000) i;
       ALTER TABLE orders OWNER TO shop_owner;
       CREATE FUNCTION go(i integer) RETURNS boolean LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN
         WHILE EXISTS (SELECT FROM pg_catalog.pg_stat_activity WHERE application_name = '${holder}') LOOP
           PERFORM pg_catalog.pg_sleep(0.01), pg_catalog.pg_stat_clear_snapshot();
         END LOOP;
         RETURN true; END $$;
       CREATE TABLE held (a integer CHECK (public.go(a))); INSERT INTO held VALUES (1)`,
      'shop',
    );
    env = {
      HOLDFAST_PASSPHRASE: 'correct horse battery',
      HOLDFAST_REPOSITORY: box.at('r'),
      DATABASE_URL: server.url('shop'),
    };
    assert.equal((await runInProcess(box, ['init'], { env })).code, 0);
    assert.equal((await runInProcess(box, ['backup'], { env })).code, 0);
    await server.psql('DROP ROLE lost');
  });
  after(async () => {
    await box[Symbol.asyncDispose]();
    await server[Symbol.asyncDispose]();
  });
  beforeEach(async () => {
    databases = await databaseNames();
  });

  const databaseNames = () => server.psql('SELECT datname FROM pg_database ORDER BY 1');
  const restoreTo = (url: string, ...more: string[]) =>
    runInProcess(box, ['restore', 'latest', '--to', url, ...more], { env });

  async function fails(
    url: string,
    exit: number,
    code: string,
    more: readonly string[] = [],
    variables: Readonly<Record<string, string>> = {},
  ): Promise<string> {
    const { code: found, stderr } = await runInProcess(box, ['restore', 'latest', '--to', url, ...more], {
      env: { ...env, ...variables },
    });
    assert.equal(found, exit, stderr);
    assert.match(stderr, new RegExp(`error\\[${code}\\]: .+\\nhint: .+\\n`));
    assert.ok(!stderr.includes(server.password));
    assert.equal(await databaseNames(), databases, 'no database was made or lost');
    return stderr;
  }

  /** A restore that stands still in the middle of its data, the processes it has started, and the way to let it go on. */
  async function inTheMiddle(target: string): Promise<{
    readonly running: Running;
    readonly children: readonly number[];
    readonly letGo: () => Promise<void>;
  }> {
    const client = new Client({ connectionString: server.url(), application_name: holder });
    client.on('error', () => undefined); // the server may be stopped under it
    await client.connect();
    const running = box.start(['restore', 'latest', '--to', server.url(target), '--json'], { env });
    await until(async () => (await server.psql(filling)) !== '0', 'the filling of the table');
    const children = await childrenOf(running.pid);
    assert.ok(children.length > 0);
    return { running, children, letGo: async () => await client.end().catch(() => undefined) };
  }
  const filling = `SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'COPY public.held%' AND state = 'active'`;

  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    it(`${signal}: exits with 130, and nothing is left, no database and no process`, async () => {
      const { running, children, letGo } = await inTheMiddle('stopped');
      running.kill(signal);
      const ran = await running.done;
      await letGo();
      assert.equal(ran.code, 130, ran.stderr);
      assert.match(ran.stderr, /hint: the target is as it was, and what was restored beside it is removed/);
      assert.equal(((ran.lines().at(-1) ?? {})['error'] as Json)['code'], 'HF-1003');
      assert.deepEqual(children.filter(isAlive), []);
      assert.equal(await databaseNames(), databases);
    });
  }

  it('the connection is cut: a coded error, and nothing is left', async () => {
    const { running, children, letGo } = await inTheMiddle('cut');
    await server.psql(
      `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'COPY public.held%'`,
    );
    const ran = await running.done;
    await letGo();
    assert.equal(ran.code, 8, ran.stderr);
    assert.match(ran.stderr, /error\[HF-5011\]/);
    assert.deepEqual(children.filter(isAlive), []);
    assert.equal(await databaseNames(), databases);
  });

  it('the server dies: what is left is named, then and later, and the next restore succeeds', async () => {
    const { running, children, letGo } = await inTheMiddle('died');
    await server.kill();
    const ran = await running.done;
    await letGo();
    await server.start();
    assert.equal(ran.code, 8, ran.stderr);
    assert.match(ran.stderr, /error\[HF-5011\]/);
    assert.deepEqual(children.filter(isAlive), []);
    await sweep(ran.stderr);
  });

  it('kill -9: the target is not there, what is left is named, and the next restore succeeds', async () => {
    const { running, children, letGo } = await inTheMiddle('killed');
    running.kill('SIGKILL');
    await running.done;
    await letGo();
    await until(() => !children.some(isAlive), 'the end of its processes');
    await sweep();
  });

  /** One temporary database is left; doctor names it with its mend, and so did the restore when it still could. */
  async function sweep(stderr?: string): Promise<void> {
    const left = (await databaseNames()).split('\n').filter((name) => !databases.split('\n').includes(name));
    assert.equal(left.length, 1);
    assert.match(left[0] ?? '', /^holdfast_restoring_[0-9a-f]{8}$/);
    if (stderr !== undefined) assert.ok(stderr.includes(left[0] ?? ''), stderr);
    const connected = `SELECT count(*) FROM pg_stat_activity WHERE datname = '${left[0] ?? ''}'`;
    await until(async () => (await server.psql(connected)) === '0', 'the end of its sessions');
    const doctor = await runInProcess(box, ['doctor', '--json'], { env });
    const mends = (doctor.json()['findings'] as Json[]).map(({ mend }) => String(mend));
    const mend = mends.find((text) => text.includes(left[0] ?? '')) ?? '';
    assert.match(mend, /^DROP DATABASE "holdfast_restoring_/);
    await server.psql(mend);
    assert.equal((await restoreTo(server.url('after all'))).code, 0);
    await server.psql('DROP DATABASE "after all"');
  }

  it('the target holds something: it is asked whether it may be replaced, and what was there is kept', async () => {
    await server.psql('CREATE DATABASE taken');
    await server.psql('CREATE TABLE mine AS SELECT 42 AS answer', 'taken');
    databases = await databaseNames();
    await fails(server.url('taken'), 7, 'HF-5030');
    const args = ['restore', 'latest', '--to', server.url('taken')];
    const question = 'Put the restored one in its place? [y/N]';
    const declined = await play(machineOf(box, env), args, [[question, 'no\n']]);
    assert.equal(declined.code, 5, declined.stderr);
    assert.match(declined.stderr, /error\[HF-1004\]: .*taken was not replaced\nhint: .* --yes/);
    assert.equal(await databaseNames(), databases);
    assert.equal((await play(machineOf(box, env), args, [[question, 'y\n']])).code, 0);
    const [kept] = (await databaseNames())
      .split('\n')
      .filter((name) => name.startsWith('holdfast_replaced_'));
    assert.equal(await server.psql('SELECT answer FROM mine', kept), '42');
    assert.equal((await restoreTo(server.url('taken'), '--yes')).code, 0);
    assert.equal(await server.psql('SELECT count(*) FROM orders', 'taken'), '20000');
  });

  it('nobody listens, or the password is wrong', async () => {
    await fails('postgres://u:p@127.0.0.1:1/d', 8, 'HF-5001');
    await fails(server.url('new', 'postgres', 'wrong'), 4, 'HF-5003');
  });

  it('pg_restore is missing, or older than the pg_dump that was used', async () => {
    await mkdir(box.at('old'));
    const bin = (path: string) => ({
      HOLDFAST_SOURCES_SHOP_URL: server.url('shop'),
      HOLDFAST_SOURCES_SHOP_CLIENT_BIN: path,
    });
    await fails(server.url('new'), 4, 'HF-5009', [], bin(box.at('old')));
    const old = '#!/bin/sh\necho "pg_restore (PostgreSQL) 11.2"\n';
    await writeFile(box.at('old', 'pg_restore'), old, { mode: 0o755 });
    await fails(server.url('new'), 4, 'HF-5008', [], bin(box.at('old')));
  });

  it('a user without CREATEDB restores into an empty database, if allowed to', async () => {
    const clerk = (database: string) => server.url(database, 'clerk', 'pw-of-clerk');
    await server.psql('CREATE DATABASE theirs OWNER clerk');
    await server.psql('CREATE DATABASE not_theirs');
    databases = await databaseNames();
    assert.match(await fails(clerk('new'), 4, 'HF-5039'), /ALTER ROLE "clerk" CREATEDB/);
    const owners = await fails(clerk('theirs'), 4, 'HF-5043');
    assert.match(
      owners,
      /user clerk may not restore into database theirs: .*owners of objects: postgres, shop_owner/,
    );
    assert.match(owners, /hint: .* --no-owner --no-privileges/);
    const without = ['--no-owner', '--no-privileges'];
    const theirs = await fails(clerk('not_theirs'), 4, 'HF-5043', without);
    assert.match(theirs, /it may make nothing in the schema public, for the database belongs to postgres\n/);
    assert.match(
      theirs,
      /hint: .*ALTER DATABASE not_theirs OWNER TO clerk; .*createdb -O clerk not_theirs\n/,
    );
    const tables = `SELECT count(*) FROM pg_class WHERE relnamespace = 'public'::regnamespace`;
    assert.equal(await server.psql(tables, 'not_theirs'), '0');
    const ran = await restoreTo(clerk('theirs'), ...without);
    assert.equal(ran.code, 0, ran.stderr);
    assert.equal(await server.psql('SELECT count(*) FROM orders', 'theirs'), '20000');
  });

  it('the roles that are missing are made and named', async () => {
    const planned = await restoreTo(server.url('with roles'), '--globals', '--dry-run');
    assert.match(planned.stderr, /would make the roles lost first/);
    const { stderr } = await restoreTo(server.url('with roles'), '--globals');
    assert.match(stderr, /roles it made: lost/);
  });
});
