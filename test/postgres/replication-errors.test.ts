import assert from 'node:assert/strict';
import { execFile, spawnSync } from 'node:child_process';
import { appendFile, chmod, chown, copyFile, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { promisify } from 'node:util';
import { addToLsn, lsnOf } from '../../src/postgres/lsn.ts';
import type { StreamRequest } from '../../src/postgres/replication/wal-stream.ts';
import { startPostgres, withoutPostgres, type PostgresServer } from '../../testing/postgres-server.ts';
import { lsnNow, replicate } from '../../testing/replication.ts';
import { tempDirectory, type TempDirectory } from '../../testing/temp.ts';
import { until } from '../../testing/until.ts';
import { failing } from './support.ts';

const run = promisify(execFile);

for (const major of ['system', 14, 18] as const)
  describe(
    `what goes wrong with replication from PostgreSQL ${major}`,
    { skip: withoutPostgres(major) },
    () => {
      let server: PostgresServer;
      before(async () => {
        server = await startPostgres({
          major,
          settings: {
            max_wal_senders: '2',
            max_replication_slots: '2',
            wal_level: 'logical',
            wal_keep_size: '0',
            min_wal_size: '32MB',
          },
        });
        await server.psql(
          `CREATE ROLE plain LOGIN PASSWORD 'pw'; CREATE ROLE "Odd One" LOGIN REPLICATION PASSWORD 'pw'`,
        );
      });
      after(() => server[Symbol.asyncDispose]());

      const fails = async (request: StreamRequest): Promise<void> => {
        await using replication = await replicate(server.url());
        await using stream = await replication.stream(request);
        for await (const message of stream.messages()) assert.equal(message.kind, 'keepalive');
      };

      it('the role may not', async () => {
        await assert.rejects(
          replicate(server.url('postgres', 'plain', 'pw')),
          failing('replication_role', ({ hint, kind }) => {
            assert.equal(kind, 'refused');
            assert.ok(hint.endsWith('ALTER ROLE "plain" REPLICATION;'), hint);
          }),
        );
      });

      it('the password is wrong', async () => {
        await assert.rejects(
          replicate(server.url('postgres', 'plain', 'other')),
          failing('postgres_password'),
        );
      });

      it('pg_hba.conf has no line, and the hint is one that works', async () => {
        const file = join(server.dataDirectory, 'pg_hba.conf');
        await writeFile(file, (await readFile(file, 'utf8')).replaceAll(/^.*\sreplication\s.*$/gm, ''));
        await server.psql('SELECT pg_reload_conf()');
        let line = '';
        const url = server.url('postgres', 'Odd One', 'pw');
        await until(async () => {
          const failed = await replicate(url).then(
            (open) => open.close(),
            (error: unknown) =>
              failing('replication_hba', ({ hint }) => (line = hint.split(': ').at(-1) ?? ''))(error),
          );
          return failed === true;
        });
        assert.equal(line, 'host replication "Odd One" 127.0.0.1/32 scram-sha-256');
        await appendFile(file, `\n${line}\nhost replication all 127.0.0.1/32 scram-sha-256\n`);
        await server.psql('SELECT pg_reload_conf()');
        await until(async () => {
          const opened = await replicate(url).catch(() => undefined);
          await opened?.close();
          return opened !== undefined;
        });
      });

      it('all senders are taken', async () => {
        const free = async (): Promise<boolean> =>
          (await server.psql(`SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'walsender'`)) ===
          '0';
        await until(free, 'no other sender');
        await using _one = await replicate(server.url());
        await using _two = await replicate(server.url());
        await assert.rejects(
          replicate(server.url()),
          failing('replication_full', ({ message, retryable }) => {
            assert.match(message, /all 2 connections/);
            assert.ok(retryable);
          }),
        );
      });

      it('slots are taken, in use, missing or of another kind', async () => {
        await using replication = await replicate(server.url());
        await replication.createSlot('one');
        const start = await lsnNow(server);
        await using other = await replicate(server.url());
        await using stream = await other.stream({ slot: 'one', start, timeline: 1 });
        await assert.rejects(
          replication.stream({ slot: 'one', start, timeline: 1 }),
          failing('replication_slot_active', ({ message }) => assert.match(message, /slot one at/)),
        );
        await assert.rejects(replication.dropSlot('one'), failing('replication_slot_active'));
        await server
          .psql(`SELECT pg_create_logical_replication_slot('logical', 'test_decoding')`)
          .catch(() => server.psql(`SELECT pg_create_logical_replication_slot('logical', 'pgoutput')`));
        await assert.rejects(replication.createSlot('three'), failing('replication_slots_full'));
        await assert.rejects(
          replication.stream({ slot: 'logical', start, timeline: 1 }),
          failing('replication_slot_unfit', ({ message }) => assert.match(message, /slot logical .*logical/)),
        );
        if (replication.serverVersionNumber >= 150_000)
          await assert.rejects(replication.readSlot('logical'), failing('replication_slot_unfit'));
        await assert.rejects(replication.createSlot('No Name'), failing('replication_slot_unfit'));
        await assert.rejects(
          replication.stream({ slot: 'gone', start, timeline: 1 }),
          failing('replication_slot_missing'),
        );
        await stream.end();
        await replication.dropSlot('logical');
        await replication.dropSlot('one');
      });

      it('the WAL is gone, not there yet, or of another timeline', async () => {
        const start = await lsnNow(server);
        for (let count = 0; count < 4; count += 1)
          await server.psql(
            'CREATE TABLE IF NOT EXISTS t (a int); INSERT INTO t VALUES (1); SELECT pg_switch_wal()',
          );
        await server.psql('CHECKPOINT');
        await server.psql('CHECKPOINT');
        await assert.rejects(fails({ start, timeline: 1 }), failing('wal_removed_on_server'));
        const ahead = addToLsn(await lsnNow(server), 32 * 1_048_576);
        await assert.rejects(fails({ start: ahead, timeline: 1 }), failing('wal_start_ahead'));
        await assert.rejects(
          fails({ start: lsnOf(0x1000_0000), timeline: 7 }),
          failing('wal_timeline_unknown', ({ message }) =>
            assert.match(message, /timeline 7 at 0\/10000000/),
          ),
        );
      });

      it('the first host that fits is taken', async () => {
        const { port } = server;
        const url = server.url().replace(`127.0.0.1:${port}`, `127.0.0.1:1,127.0.0.1:${port}`);
        await using replication = await replicate(`${url}?target_session_attrs=primary`);
        assert.equal(replication.host.port, port);
        await assert.rejects(
          replicate(`${url}?target_session_attrs=standby`),
          failing('postgres_refused', ({ message }) => assert.match(message, /it is not standby/)),
        );
      });

      it('wal_level is minimal', async () => {
        await server.psql(`ALTER SYSTEM SET wal_level = 'minimal'`);
        await server.psql(`ALTER SYSTEM SET max_wal_senders = 0`);
        await server.stop();
        await server.start();
        await assert.rejects(
          replicate(server.url()),
          failing('replication_off', ({ hint }) => assert.match(hint, /wal_level = replica/)),
        );
      });
    },
  );

const withoutOpenssl =
  spawnSync('openssl', ['version']).status === 0
    ? false
    : 'skipped: there is no openssl to make a certificate';

describe('replication over TLS', { skip: withoutOpenssl }, () => {
  let server: PostgresServer;
  let directory: TempDirectory;
  before(async () => {
    directory = await tempDirectory();
    server = await startPostgres();
    await certify(server, directory.path);
  });
  after(async () => {
    await server[Symbol.asyncDispose]();
    await directory[Symbol.asyncDispose]();
  });

  it('is verified, host name too, with SCRAM', async () => {
    const root = encodeURIComponent(join(directory.path, 'server.crt'));
    const url = `${server.url()}?sslmode=verify-full&sslrootcert=${root}`;
    await using replication = await replicate(url);
    assert.equal(await server.psql('SELECT ssl FROM pg_stat_ssl JOIN pg_stat_replication USING (pid)'), 't');
    const backup = await replication.baseBackup({ label: 'tls', fast: true });
    let bytes = 0;
    for await (const { data } of backup.archives()) for await (const piece of data) bytes += piece.length;
    assert.ok((await backup.end).lsn > backup.start.lsn && bytes > 10_000_000);
  });

  it('is refused when the certificate is of nobody known', async () => {
    await assert.rejects(
      replicate(`${server.url()}?sslmode=verify-full`),
      failing('postgres_tls', ({ message }) => assert.match(message, /self.signed/)),
    );
  });
});

async function certify(server: PostgresServer, directory: string): Promise<void> {
  const [key, certificate] = ['server.key', 'server.crt'].map((name) => join(directory, name));
  const words = [
    'req',
    '-x509',
    '-newkey',
    'ec',
    '-pkeyopt',
    'ec_paramgen_curve:prime256v1',
    '-nodes',
    '-days',
    '2',
  ];
  words.push('-subj', '/CN=holdfast', '-addext', 'subjectAltName=IP:127.0.0.1');
  await run('openssl', [...words, '-keyout', key ?? '', '-out', certificate ?? '']);
  for (const path of [key, certificate]) {
    const target = join(server.dataDirectory, (path ?? '').slice(directory.length + 1));
    await copyFile(path ?? '', target);
    await chmod(target, 0o600);
    if (server.user !== undefined) await chown(target, server.user.uid, server.user.gid);
  }
  await server.psql('ALTER SYSTEM SET ssl = on');
  await server.psql('SELECT pg_reload_conf()');
  await until(async () => (await server.psql('SHOW ssl')) === 'on', 'TLS');
}
