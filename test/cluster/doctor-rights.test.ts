import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { chmod, readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { Secret } from '../../src/kernel/secret.ts';
import { connectionFromFields } from '../../src/postgres/connection/connection.ts';
import type { Finding } from '../../src/sources/port.ts';
import { startPostgres, withoutPostgres, type PostgresServer } from '../../testing/postgres-server.ts';
import { tempDirectory } from '../../testing/temp.ts';
import { amiss, check, follow, isFine, restart, type Changed } from './doctor-kit.ts';

for (const major of ['system', 18] as const) {
  test(
    `what a user without rights lacks, and lines that give it (${major})`,
    {
      skip: withoutPostgres(major),
    },
    async (t) => {
      await using server = await startPostgres({ major, initdbArgs: ['--wal-segsize=1'] });
      const user = 'poor';
      await server.psql("CREATE ROLE poor LOGIN PASSWORD 'poor'");

      await t.test('replication, the functions of a backup, and what only some may see', async () => {
        const remote = await check(server, { user, dataDirectory: undefined });
        assert.equal(amiss(remote, 'replication').level, 'error');
        isFine(remote, 'privileges');
        const local = await check(server, { user });
        assert.equal(amiss(local, 'replication').level, 'warning');
        assert.equal(amiss(local, 'privileges').code, 'HF-5303');
        for (const name of ['replication', 'privileges', 'monitoring']) {
          await follow(server, amiss(local, name).mend);
          isFine(await check(server, { user }), name);
        }
        await server.psql('REVOKE EXECUTE ON FUNCTION pg_control_system() FROM PUBLIC');
        await follow(server, amiss(await check(server, { user }), 'privileges').mend);
        isFine(await check(server, { user }), 'privileges');
      });

      await t.test('a line in pg_hba.conf', async () => {
        const path = join(server.dataDirectory, 'pg_hba.conf');
        const before = await readFile(path, 'utf8');
        await writeFile(path, before.replaceAll(/^.*\sreplication\s.*$/gm, ''));
        await server.psql('SELECT pg_reload_conf()');
        await refused(server, { user });
        const findings = await check(server, { user, dataDirectory: undefined });
        const { code, level, mend } = amiss(findings, 'replication');
        assert.deepEqual({ code, level }, { code: 'HF-5405', level: 'error' });
        const [, file = '', line = ''] = /at the beginning of (\S+), .* The line: (.*)$/.exec(mend) ?? [];
        assert.equal(file, path);
        assert.equal(line, 'host replication poor 127.0.0.1/32 scram-sha-256');
        await writeFile(file, `${line}\n${await readFile(file, 'utf8')}`);
        await follow(server, mend);
        await allowed(server, { user });

        const fields = { host: server.socketDirectory, port: server.port, user, database: 'postgres' };
        const connection = connectionFromFields({ ...fields, password: new Secret('poor') }, {});
        const onSocket = amiss(await check(server, { connection }), 'replication');
        assert.match(onSocket.mend, /The line: local replication poor scram-sha-256$/);
        await writeFile(file, `local replication poor scram-sha-256\n${await readFile(file, 'utf8')}`);
        await follow(server, onSocket.mend);
        await allowed(server, { connection });
      });

      await t.test('a data directory that cannot be read, or is another', async () => {
        await using elsewhere = await tempDirectory();
        const none = { dataDirectory: join(elsewhere.path, 'none') };
        assert.match(amiss(await check(server, none), 'data directory').mend, /SHOW data_directory/);
        if (server.user === undefined) await chmod(server.dataDirectory, 0o300);
        const { code, mend } = await asNobody(server, async () =>
          amiss(await check(server), 'data directory'),
        );
        await chmod(server.dataDirectory, 0o700);
        assert.equal(code, 'HF-5305');
        assert.match(mend, /run Holdfast as user \d+, to whom it belongs/);
        const command = /with the server stopped: (chmod -R g\+rX \S+)$/.exec(mend)?.[1] ?? '';
        await server.stop();
        execFileSync('sh', ['-c', command]);
        await server.start();
        await asNobody(server, async () => isFine(await check(server), 'data directory'), 'of the group');
      });

      await t.test('the directory of another server', async () => {
        await using other = await startPostgres({ major });
        const { code, level } = amiss(
          await check(server, { dataDirectory: other.dataDirectory }),
          'data directory',
        );
        assert.deepEqual({ code, level }, { code: 'HF-5304', level: 'error' });
        const version = join(other.dataDirectory, 'PG_VERSION');
        await writeFile(version, '13\n');
        const { mend, message } = amiss(
          await check(server, { dataDirectory: other.dataDirectory }),
          'data directory',
        );
        assert.match(message, /that of a PostgreSQL 13/);
        const dataDirectory = /data_directory: (\S+)$/.exec(mend)?.[1];
        isFine(await check(server, { dataDirectory }), 'data directory');
        await writeFile(version, `${other.major}\n`);
      });

      await t.test('a tablespace that is away', async () => {
        await using place = await tempDirectory();
        const path = join(place.path, 'space');
        execFileSync('install', ['-d', ...ownerFlags(server), path]);
        await chmod(place.path, 0o755);
        await server.psql(`CREATE TABLESPACE far LOCATION '${path}'`);
        isFine(await check(server), 'tablespaces');
        await rename(path, `${path}.away`);
        const { code, message } = amiss(await check(server), 'tablespaces');
        await rename(`${path}.away`, path);
        assert.equal(code, 'HF-5305');
        assert.match(message, new RegExp(`${path} cannot be read: ENOENT`));
        await server.psql('DROP TABLESPACE far');
      });

      await t.test('without a directory in the settings the one that can be read is named', async () => {
        const findings = await check(server, { dataDirectory: undefined });
        const found = findings.find(({ check: name }) => name === 'data directory');
        assert.equal(found?.level, 'ok');
        assert.match(found.message, new RegExp(`data_directory: ${server.dataDirectory}$`));
        await restart(server);
      });
    },
  );
}

test(
  'version 14, which has other functions and no corrections any more',
  {
    skip: withoutPostgres(14),
  },
  async () => {
    await using server = await startPostgres({ major: 14 });
    await server.psql("CREATE ROLE poor LOGIN PASSWORD 'poor'");
    const findings = await check(server, { user: 'poor' });
    assert.equal(amiss(findings, 'version').level, 'warning');
    assert.match(amiss(findings, 'privileges').mend, /pg_start_backup/);
    for (const name of ['replication', 'privileges', 'monitoring'])
      await follow(server, amiss(findings, name).mend);
    const after = await check(server, { user: 'poor' });
    for (const name of ['replication', 'privileges', 'monitoring']) isFine(after, name);
  },
);

function ownerFlags({ user }: PostgresServer): string[] {
  return user === undefined ? [] : ['-o', String(user.uid), '-g', String(user.gid)];
}

/** The server reads its files anew when it comes to it. */
async function refused(server: PostgresServer, changed: Changed): Promise<void> {
  await untilReplication(server, changed, ({ level }) => level !== 'ok');
}

async function allowed(server: PostgresServer, changed: Changed): Promise<void> {
  await untilReplication(server, changed, ({ level }) => level === 'ok');
}

async function untilReplication(
  server: PostgresServer,
  changed: Changed,
  isIt: (finding: Finding) => boolean,
): Promise<void> {
  for (let attempt = 1; attempt <= 50; attempt += 1) {
    const findings = await check(server, changed);
    if (findings.some((finding) => finding.check === 'replication' && isIt(finding))) return;
  }
  assert.fail('the server did not read pg_hba.conf anew');
}

const nobody = 65_534;

/** As root becomes somebody whom the files do not belong to, for a while; else nothing. */
async function asNobody<T>({ user }: PostgresServer, run: () => Promise<T>, of?: 'of the group'): Promise<T> {
  if (user === undefined) return await run();
  const groups = process.getgroups?.() ?? [];
  process.setgroups?.([]);
  process.setegid?.(of === undefined ? nobody : user.gid);
  process.seteuid?.(nobody);
  try {
    return await run();
  } finally {
    process.seteuid?.(0);
    process.setegid?.(0);
    process.setgroups?.(groups);
  }
}
