import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { Client } from 'pg';
import { HoldfastError } from '../../src/kernel/errors/failure.ts';
import { Secret } from '../../src/kernel/secret.ts';
import { scrub, serverFailure, toolFailure } from '../../src/postgres/connection/server-errors.ts';
import { MemoryBackup } from '../../testing/memory-backup.ts';
import { startPostgres, withoutPostgres, type PostgresServer } from '../../testing/postgres-server.ts';
import { tempDirectory } from '../../testing/temp.ts';
import { until } from '../../testing/until.ts';
import { failing, takeBackup } from './support.ts';

const everythingApart = { bigTableBytes: 8192, smallDatabaseBytes: 0 };

describe('a backup that cannot be made says why', () => {
  let server: PostgresServer;
  before(async () => {
    server = await startPostgres();
    await server.psql('CREATE DATABASE shop');
    await server.psql(
      `CREATE SCHEMA app; CREATE TABLE app.big AS SELECT g AS id, repeat('x', 200) AS t FROM generate_series(1, 100000) g;
       CREATE TABLE app."od.d" (a integer); CREATE TABLE app.second AS SELECT generate_series(1, 5000) AS id;
       CREATE ROLE reader LOGIN PASSWORD 'reader pw'; GRANT USAGE ON SCHEMA app TO reader; GRANT SELECT ON app.big, app.second TO reader;
       CREATE ROLE busy LOGIN PASSWORD 'busy pw' CONNECTION LIMIT 0; CREATE ROLE kept_out LOGIN PASSWORD 'x'`,
      'shop',
    );
  });
  after(() => server[Symbol.asyncDispose]());

  it('nobody listens', async () => {
    const listener = createServer().listen(0, '127.0.0.1');
    await new Promise((resolve) => listener.once('listening', resolve));
    const { port } = listener.address() as { port: number };
    await new Promise((resolve) => listener.close(resolve));
    await assert.rejects(
      takeBackup(`postgres://u:hidden@127.0.0.1:${port}/d`),
      failing('postgres_refused', (error) => {
        assert.equal(error.exitCode, 8);
        assert.match(error.hint, new RegExp(`pg_isready -h 127.0.0.1 -p ${port}`));
      }),
    );
  });

  it('the host has no address', async () => {
    await assert.rejects(
      takeBackup('postgres://u@no-such-host.invalid/d'),
      failing('postgres_host_unknown', ({ message }) => assert.match(message, /no-such-host\.invalid/)),
    );
  });

  it('the password is wrong, or there is none', async () => {
    await assert.rejects(
      takeBackup(server.url('shop', 'postgres', 'not the one')),
      failing('postgres_password', ({ exitCode, hint }) => {
        assert.equal(exitCode, 4);
        assert.match(hint, /~\/\.pgpass/);
      }),
    );
    await assert.rejects(
      takeBackup(`postgres://postgres@127.0.0.1:${server.port}/shop`),
      failing('postgres_password_missing', ({ exitCode, message, hint }) => {
        assert.equal(exitCode, 4);
        assert.match(message, /asks for the password of postgres, and none was given$/);
        assert.ok(
          hint.endsWith(` ~/.pgpass (mode 0600): 127.0.0.1:${server.port}:*:postgres:PASSWORD`),
          hint,
        );
      }),
    );
  });

  it('there is no such database', async () => {
    await assert.rejects(
      takeBackup(server.url('shopp')),
      failing('postgres_database_missing', ({ message }) => assert.match(message, /shopp/)),
    );
    await assert.rejects(
      takeBackup(server.url('shop'), { databases: ['shop', 'gone'] }),
      failing('postgres_database_missing', ({ message }) => assert.match(message, /gone/)),
    );
    const { metadata } = await takeBackup(server.url('named_as_nothing'), { databases: ['shop'] });
    assert.deepEqual(
      metadata.databases.map(({ name }) => name),
      ['shop'],
      'the database of the connection need not exist where others are listed',
    );
    await assert.rejects(
      takeBackup(server.url('shop'), { databases: [] }),
      failing('postgres_nothing_to_back_up'),
    );
  });

  it('pg_hba.conf keeps the user out', async () => {
    const file = join(server.dataDirectory, 'pg_hba.conf');
    await writeFile(file, `host all kept_out all reject\n${await readFile(file, 'utf8')}`);
    await server.psql('SELECT pg_reload_conf()');
    await assert.rejects(
      takeBackup(server.url('shop', 'kept_out', 'x')),
      failing('postgres_hba', ({ hint }) => assert.match(hint, /pg_hba\.conf/)),
    );
  });

  it('the user is no role, or one that may not log in', async () => {
    const file = join(server.dataDirectory, 'pg_hba.conf');
    await writeFile(file, `host all nobody_here,groupies all trust\n${await readFile(file, 'utf8')}`);
    await server.psql('SELECT pg_reload_conf(); CREATE ROLE groupies');
    await assert.rejects(
      takeBackup(server.url('shop', 'nobody_here', 'x')),
      failing('postgres_role_missing', ({ exitCode, message, hint }) => {
        assert.equal(exitCode, 4);
        assert.match(message, /^there is no role nobody_here at /);
        assert.match(hint, /^check the user in the URL.*createuser nobody_here/);
        assert.doesNotMatch(hint, /pg_hba/);
      }),
    );
    await assert.rejects(
      takeBackup(server.url('shop', 'groupies', 'x')),
      failing('postgres_role_login', ({ hint }) => assert.match(hint, /ALTER ROLE "groupies" LOGIN/)),
    );
  });

  it('no connection is left', async () => {
    await assert.rejects(
      takeBackup(server.url('shop', 'busy', 'busy pw')),
      failing('postgres_too_many_connections', ({ retryable }) => assert.ok(retryable)),
    );
  });

  for (const jobs of [1, 2]) {
    it(`one table may not be read (${jobs} jobs)`, async () => {
      await assert.rejects(
        takeBackup(server.url('shop', 'reader', 'reader pw'), everythingApart, { jobs }),
        failing('postgres_permission', (error) => {
          assert.match(error.message, /user reader may not read table app\."od\.d" in database shop/);
          assert.match(
            error.hint,
            /GRANT SELECT ON app\."od\.d" TO "reader"; .*GRANT pg_read_all_data TO "reader"/,
          );
        }),
      );
    });

    it(`a table stays locked (${jobs} jobs)`, async () => {
      const client = new Client({ connectionString: server.url('shop'), application_name: 'migration' });
      await client.connect();
      try {
        await client.query('BEGIN; LOCK TABLE app.second IN ACCESS EXCLUSIVE MODE');
        const { rows } = await client.query<{ pid: number }>('SELECT pg_backend_pid() AS pid');
        await assert.rejects(
          takeBackup(server.url('shop'), { ...everythingApart, lockWaitMs: 300 }, { jobs }),
          failing('postgres_lock_timeout', (error) => {
            assert.match(
              error.message,
              /lock on app\.second in database shop, which process \d+ of user postgres \(migration\) holds/,
            );
            assert.match(error.hint, new RegExp(`pg_terminate_backend\\(${rows[0]?.pid}\\)`));
            assert.equal(error.exitCode, 7);
          }),
        );
      } finally {
        await client.end();
      }
    });
  }

  it('what may not be read is named as SQL writes it, whatever its name', async () => {
    await server.psql('CREATE DATABASE names');
    await server.psql(
      `CREATE ROLE namer LOGIN PASSWORD 'n'; CREATE SCHEMA "Od d.""s"; GRANT USAGE ON SCHEMA "Od d.""s" TO namer;
       CREATE TABLE plain (a integer); GRANT SELECT ON plain TO namer`,
      'names',
    );
    const refused = async (object: string, grant: string): Promise<void> => {
      await assert.rejects(
        takeBackup(server.url('names', 'namer', 'n')),
        failing('postgres_permission', ({ message, hint }) => {
          assert.ok(message.includes(`may not read ${object} in database names`), message);
          assert.ok(hint.startsWith(`${grant} TO "namer";`), hint);
        }),
      );
      const [, sql = ''] = /^(.*?);/.exec(`${grant} TO "namer";`) ?? [];
      await server.psql(sql, 'names');
    };
    for (const name of ['public."We ird.Na""me"', '"Od d.""s"."T"', '"Od d.""s".lower']) {
      await server.psql(`CREATE TABLE ${name} (id serial)`, 'names');
      await refused(`table ${name}`, `GRANT SELECT ON ${name}`);
      const sequence = name.replace(/(?<="?)("?)$/, '_id_seq$1');
      await refused(`sequence ${sequence}`, `GRANT SELECT ON ${sequence}`);
    }
    await server.psql('CREATE SCHEMA "No ""way"; CREATE TABLE "No ""way".t (a integer)', 'names');
    await server.psql('GRANT SELECT ON "No ""way".t TO namer', 'names');
    await refused('schema "No ""way"', 'GRANT USAGE ON SCHEMA "No ""way"');
    await server.psql('REVOKE CONNECT ON DATABASE names FROM PUBLIC');
    await refused('database names', 'GRANT CONNECT ON DATABASE names');
    await takeBackup(server.url('names', 'namer', 'n'));
  });

  it('row-level security would hide rows', async () => {
    await server.psql(`CREATE DATABASE rls`);
    await server.psql(
      `CREATE TABLE secret (a integer); INSERT INTO secret VALUES (1); ALTER TABLE secret ENABLE ROW LEVEL SECURITY;
       CREATE ROLE watcher LOGIN PASSWORD 'w'; GRANT SELECT ON secret TO watcher`,
      'rls',
    );
    await assert.rejects(
      takeBackup(server.url('rls', 'watcher', 'w')),
      failing('postgres_row_security', (error) => {
        assert.match(error.message, /secret/);
        assert.match(error.hint, /ALTER ROLE "watcher" BYPASSRLS/);
      }),
    );
  });

  it('the tools are missing', async () => {
    await using empty = await tempDirectory();
    await assert.rejects(
      takeBackup(server.url('shop'), { toolsDirectory: empty.path }),
      failing('postgres_tool_missing', (error) => {
        assert.match(
          error.hint,
          /apt install postgresql-client-15 .*dnf install postgresql15 .*brew install postgresql@15/,
        );
      }),
    );
  });

  it('pg_dump is older than the server', { skip: withoutPostgres(18) }, async () => {
    await using newer = await startPostgres({ major: 18 });
    await using directory = await tempDirectory();
    const fake = join(directory.path, 'pg_dump');
    await writeFile(fake, '#!/bin/sh\necho "pg_dump (PostgreSQL) 15.3"\n', { mode: 0o755 });
    await assert.rejects(
      takeBackup(newer.url(), { toolsDirectory: directory.path }),
      failing('postgres_tool_too_old', (error) => {
        assert.match(error.message, /pg_dump 15\.3 is too old: version 18 or newer/);
        assert.match(error.hint, /postgresql-client-18/);
      }),
    );
  });

  it('pg_dump itself says that it is too old', () => {
    const stderr =
      'pg_dump: error: aborting because of server version mismatch\npg_dump: detail: server version: 18.1; pg_dump version: 15.18\n';
    const error = toolFailure(
      'pg_dump',
      { code: 1, signal: null, stderr },
      { server: 's', user: 'u', database: 'd', password: undefined },
    );
    assert.equal(error.errorName, 'postgres_tool_too_old');
  });

  it('the server is stopped in the middle, and no process of ours is left', async () => {
    const memory = new MemoryBackup();
    let stopped: Promise<void> | undefined;
    memory.interrupt = async (bytes) => {
      if (bytes > 3_000_000) await (stopped ??= server.stop('immediate'));
    };
    try {
      await assert.rejects(
        takeBackup(server.url('shop'), everythingApart, { jobs: 1 }, memory),
        failing('postgres_server_gone', ({ exitCode }) => assert.equal(exitCode, 8)),
      );
      assert.deepEqual(memory.entries, [], 'nothing was added to the backup');
    } finally {
      await server.start();
    }
  });

  for (const [what, whose, jobs] of [
    ['of pg_dump', `query LIKE 'COPY%'`, 1],
    ['that holds the snapshot', `query LIKE '%pg_export_snapshot%'`, 2],
  ] as const) {
    it(`the connection ${what} is cut in the middle`, async () => {
      const memory = new MemoryBackup();
      let cut: Promise<string> | undefined;
      memory.interrupt = async (bytes) => {
        if (bytes > 1_000_000)
          await (cut ??= server.psql(
            `SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE application_name = 'holdfast' AND ${whose}`,
          ));
      };
      await assert.rejects(
        takeBackup(server.url('shop'), everythingApart, { jobs }, memory),
        failing('postgres_server_gone', ({ exitCode, retryable }) =>
          assert.deepEqual([exitCode, retryable], [8, true]),
        ),
      );
      assert.equal(await cut, 't');
      assert.deepEqual(memory.entries, [], 'nothing was added to the backup');
    });
  }

  it('a table is dropped between the list of tables and its lock', async () => {
    await server.psql('CREATE TABLE app.doomed AS SELECT generate_series(1, 5000) AS id', 'shop');
    const client = new Client({ connectionString: server.url('shop') });
    await client.connect();
    try {
      await client.query('BEGIN; DROP TABLE app.doomed');
      const backup = takeBackup(server.url('shop'));
      const waiting = `SELECT count(*) FROM pg_locks WHERE relation = 'app.doomed'::regclass AND NOT granted`;
      const dropped = until(async () => (await server.psql(waiting, 'shop')) !== '0', 'the lock').then(() =>
        client.query('COMMIT'),
      );
      await assert.rejects(
        backup,
        failing('postgres_schema_moved', (error) => {
          assert.match(error.message, /app\.doomed/);
          assert.deepEqual([error.exitCode, error.retryable], [7, true]);
        }),
      );
      await dropped;
    } finally {
      await client.end();
    }
    await takeBackup(server.url('shop'));
  });

  it('it is aborted: the reason comes back and pg_dump is gone', async () => {
    const memory = new MemoryBackup();
    const controller = new AbortController();
    const reason = new Error('enough');
    memory.interrupt = (bytes) => {
      if (bytes > 1_000_000) controller.abort(reason);
    };
    await assert.rejects(
      takeBackup(server.url('shop'), everythingApart, { jobs: 2, signal: controller.signal }, memory),
      reason,
    );
    assert.equal(
      await server.psql(
        `SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'holdfast%' AND pg_terminate_backend(pid, 5000)`,
      ),
      '0',
    );
  });
});

describe('errors without a server to provoke them', () => {
  const setting = { server: 'db:5432', user: 'u', database: 'd', password: new Secret('p ss/word') };

  for (const [stderr, name] of [
    [
      'pg_restore: error: could not execute query: ERROR:  could not extend file "base/1/2": No space left on device',
      'postgres_disk_full',
    ],
    [
      'pg_dump: error: connection to server at "db" (::1), port 5432 failed: FATAL:  unsupported startup parameter: options',
      'postgres_pooler',
    ],
    [
      'pg_dump: error: connection to server at "db" (::1), port 5432 failed: FATAL:  sorry, too many clients already',
      'postgres_too_many_connections',
    ],
    [
      'pg_dump: error: connection to server at "db" failed: server does not support SSL, but SSL was required',
      'postgres_tls',
    ],
    [
      'pg_dump: error: could not translate host name "nowhere" to address: Name or service not known',
      'postgres_host_unknown',
    ],
    ['pg_dump: error: query failed: server closed the connection unexpectedly', 'postgres_server_gone'],
    [
      'pg_dump: error: connection to server on socket "/tmp/.s.PGSQL.5432" failed: FATAL:  Peer authentication failed for user "u"',
      'postgres_hba',
    ],
    [
      'pg_dump: error: connection to server at "db" (::1), port 5432 failed: FATAL:  role "u" does not exist',
      'postgres_role_missing',
    ],
    ['pg_restore: error: ERROR:  role "u" does not exist', 'postgres_tool_failed'],
    ['pg_dump: error: something nobody has seen', 'postgres_tool_failed'],
  ] as const) {
    it(`${name} is told from what a tool prints`, () => {
      assert.equal(toolFailure('pg_dump', { code: 1, signal: null, stderr }, setting).errorName, name);
    });
  }

  it('a large object that may not be read is told with the grant that works for it', () => {
    const stderr =
      'pg_dump: error: could not open large object 16453: ERROR:  permission denied for large object 16453\n';
    const { message, hint } = toolFailure('pg_dump', { code: 1, signal: null, stderr }, setting);
    assert.match(message, /may not read large object 16453/);
    assert.match(hint, /^GRANT SELECT ON LARGE OBJECT 16453 TO /);
    assert.doesNotMatch(hint, /pg_read_all_data/);
  });

  it('an error of the server keeps its SQLSTATE, and loses the password', () => {
    const error = serverFailure(
      Object.assign(new Error('syntax error near p ss/word'), { code: '42601' }),
      setting,
    );
    assert.ok(error instanceof HoldfastError);
    assert.match(error.message, /near \*\*\*/);
    assert.match(error.hint, /42601/);
    assert.equal(scrub('at postgres://u:p%20ss%2Fword@h', setting.password), 'at postgres://u:***@h');
  });
});
