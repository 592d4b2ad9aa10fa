import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { startPostgres, withoutPostgres } from '../../testing/postgres-server.ts';
import { until } from '../../testing/until.ts';

for (const choice of ['system', 15, 16, 17, 18] as const) {
  test(
    `PostgreSQL ${choice} starts, answers and leaves nothing`,
    { skip: withoutPostgres(choice) },
    async () => {
      let base: string;
      {
        await using server = await startPostgres({ major: choice });
        base = dirname(server.dataDirectory);
        assert.match(await server.psql('SELECT version()'), new RegExp(`^PostgreSQL ${server.major}[.]`));
        if (choice !== 'system') assert.equal(server.major, choice);
        else assert.equal(server.origin, 'system');
        await server.stop();
        assert.ok(existsSync(server.dataDirectory), 'stop keeps the data');
      }
      assert.equal(existsSync(base), false);
    },
  );
}

test(
  'settings, initdb arguments, passwords and databases are as asked',
  { skip: withoutPostgres(17) },
  async () => {
    await using server = await startPostgres({
      major: 17,
      settings: { application_name: "it's", wal_level: 'logical' },
      initdbArgs: ['--data-checksums'],
      password: 'p@ss:w/rd #%20',
    });
    assert.equal(await server.psql('SHOW wal_level'), 'logical');
    assert.equal(await server.psql('SHOW data_checksums'), 'on');
    assert.equal(
      await server.psql('SELECT 1; SELECT 2, NULL, 3 UNION ALL SELECT 4, true::text, 6'),
      '2||3\n4|true|6',
    );
    await server.psql('CREATE DATABASE "odd name?"');
    assert.equal(await server.psql('SELECT current_database()', 'odd name?'), 'odd name?');
    assert.equal(await server.psql("SELECT inet_server_addr() = '127.0.0.1'"), 't');
    await assert.rejects(server.psql('SELECT nonsense'), /nonsense/);
  },
);

test('a test process that dies leaves neither server nor files', { skip: withoutPostgres(17) }, async () => {
  const module = new URL('../../testing/postgres-server.ts', import.meta.url).href;
  const script = `const { startPostgres } = await import(${JSON.stringify(module)});
    const server = await startPostgres({ major: 17 });
    console.log(server.dataDirectory);
    setInterval(() => {}, 1000);`;
  const child = spawn(process.execPath, ['--input-type=module', '-e', script], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const [output] = (await once(child.stdout, 'data')) as [Buffer];
  const dataDirectory = output.toString().trim();
  const pid = Number(readFileSync(join(dataDirectory, 'postmaster.pid'), 'utf8').split('\n')[0]);
  child.kill('SIGKILL');
  await until(() => !existsSync(dirname(dataDirectory)));
  assert.throws(() => process.kill(pid, 0), { code: 'ESRCH' });
});

test(
  'a killed server recovers what was committed, on the same port',
  { skip: withoutPostgres(17) },
  async () => {
    await using server = await startPostgres({ major: 17 });
    const { port } = server;
    await server.psql('CREATE TABLE kept (n int); INSERT INTO kept SELECT generate_series(1, 100)');
    await server.kill();
    await assert.rejects(server.psql('SELECT 1'), /ECONNREFUSED/);
    await server.start();
    assert.equal(server.port, port);
    assert.equal(await server.psql('SELECT count(*) FROM kept'), '100');
    assert.match(await server.log(), /not properly shut down/);
  },
);

test(
  'what keeps a server from starting is told in its own words',
  { skip: withoutPostgres(17) },
  async () => {
    await using first = await startPostgres({ major: 17 });
    await assert.rejects(startPostgres({ major: 17, settings: { wal_level: 'nonsense' } }), /invalid value/);
    await assert.rejects(startPostgres({ major: 17, port: first.port }), /Address already in use/);
    assert.equal(await first.psql('SELECT 1'), '1');
  },
);
