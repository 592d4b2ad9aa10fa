import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { startPostgres, withoutPostgres } from '../../testing/postgres-server.ts';
import { amiss, check, follow, isFine, restart, slot, statements, stream } from './doctor-kit.ts';

for (const major of ['system', 18] as const) {
  test(
    `settings of a server that stand in the way, and lines that mend them (${major})`,
    {
      skip: withoutPostgres(major),
    },
    async (t) => {
      await using server = await startPostgres({
        major,
        settings: { wal_level: 'minimal', max_wal_senders: '0', full_page_writes: 'off' },
        initdbArgs: server18(major) ? ['--no-data-checksums', '--wal-segsize=1'] : ['--wal-segsize=1'],
      });

      await t.test('wal_level and max_wal_senders, which need a restart', async () => {
        const local = await check(server);
        const level = amiss(local, 'wal_level');
        assert.equal(level.level, 'error');
        assert.equal(level.code, 'HF-5302');
        assert.equal(amiss(local, 'max_wal_senders').level, 'warning');
        isFine(local, 'replication');
        const remote = await check(server, { dataDirectory: undefined });
        const senders = amiss(remote, 'max_wal_senders');
        assert.equal(senders.level, 'error');
        for (const line of statements(level.mend)) await server.psql(line);
        await server.psql('SELECT pg_reload_conf()');
        assert.equal(
          amiss(await check(server), 'wal_level').mend,
          'restart the server: its configuration is changed',
        );
        await follow(server, senders.mend);
        const after = await check(server);
        for (const name of ['wal_level', 'max_wal_senders', 'replication']) isFine(after, name);
      });

      await t.test('full_page_writes, on a standby above all', async () => {
        await server.psql('CHECKPOINT');
        const onPrimary = amiss(await check(server), 'full_page_writes');
        assert.equal(onPrimary.level, 'warning');
        const signal = join(server.dataDirectory, 'standby.signal');
        await server.stop();
        await writeFile(signal, '', { mode: 0o644 });
        await server.start();
        const standby = await check(server);
        assert.match(standby.find(({ check: name }) => name === 'role')?.message ?? '', /a standby/);
        await rename(signal, join(server.dataDirectory, 'recovery.signal'));
        const role = amiss(await check(server), 'role');
        assert.match(role.message, /was restored and is not open yet/);
        await rename(join(server.dataDirectory, 'recovery.signal'), signal);
        const onStandby = amiss(standby, 'full_page_writes');
        assert.equal(onStandby.level, 'error');
        await server.stop();
        await rm(signal);
        await server.start();
        await follow(server, onStandby.mend);
        isFine(await check(server), 'full_page_writes');
        await server.stop();
        await writeFile(signal, '', { mode: 0o644 });
        await server.start();
        isFine(await check(server), 'full_page_writes');
        await follow(server, amiss(await check(server), 'archiving').mend);
        assert.equal(await server.psql('SHOW archive_mode'), 'always');
        isFine(await check(server), 'archiving');
        await server.psql("ALTER SYSTEM SET archive_mode = 'on'");
        await restart(server);
        isFine(await check(server), 'archiving');
        await server.psql("ALTER SYSTEM SET archive_mode = 'off'");
        await server.stop();
        await rm(signal);
        await server.start();
      });

      await t.test('connections for replication that are all taken', async () => {
        await server.psql("ALTER SYSTEM SET max_wal_senders = '1'");
        await restart(server);
        await server.psql(`SELECT pg_create_physical_replication_slot('${slot}', true)`);
        const remote = { dataDirectory: undefined };
        const few = amiss(await check(server, remote), 'max_wal_senders');
        assert.equal(few.level, 'warning');
        {
          await using _streaming = await stream(server);
          const findings = await check(server, remote);
          assert.equal(amiss(findings, 'max_wal_senders').level, 'error');
          assert.equal(amiss(findings, 'replication').code, 'HF-5406');
        }
        await server.psql(`SELECT pg_drop_replication_slot('${slot}')`);
        await follow(server, few.mend);
        for (const name of ['max_wal_senders', 'replication']) isFine(await check(server, remote), name);
      });

      await t.test('slots that are all taken', async () => {
        await server.psql("ALTER SYSTEM SET max_replication_slots = '1'");
        await restart(server);
        await server.psql("SELECT pg_create_physical_replication_slot('one', true)");
        const findings = await check(server);
        assert.match(amiss(findings, 'max_replication_slots').message, /0 of 1 replication slot are free/);
        await follow(server, amiss(findings, 'max_replication_slots').mend);
        await follow(server, amiss(findings, 'other slots').mend);
        const after = await check(server);
        for (const name of ['max_replication_slots', 'other slots']) isFine(after, name);
      });

      await t.test('pages without checksums', async (s) => {
        const mend = amiss(await check(server), 'checksums').mend;
        const command = /: (pg_checksums .*)$/.exec(mend)?.[1] ?? '';
        assert.equal(command, `pg_checksums --enable -D ${server.dataDirectory}`);
        const [program = '', ...args] = command.split(' ');
        const path = join(server.binDirectory, program);
        if (!existsSync(path)) {
          s.skip(`there is no ${path}`);
          return;
        }
        await server.stop();
        execFileSync(path, args, { ...server.user, stdio: 'pipe' });
        await server.start();
        isFine(await check(server), 'checksums');
      });

      await t.test('a clock that goes wrong, and a disk that is too small', async () => {
        const now = (): number => Date.now() + 60_000;
        assert.match(amiss(await check(server, { now }), 'clock').message, /(?:59|60|61) s behind/);
        isFine(await check(server), 'clock');
        const most = 2 ** 60;
        const { mend } = amiss(await check(server, { walWaitingLimitBytes: most }), 'room for WAL');
        const mebibytes = Number(/wal_waiting_limit: (\d+)MiB/.exec(mend)?.[1]);
        isFine(await check(server, { walWaitingLimitBytes: mebibytes * 1_048_576 }), 'room for WAL');
      });

      await t.test('nothing of that is left', async () => {
        const findings = await check(server);
        const left = findings.filter(({ level }) => level !== 'ok').map(({ check: name }) => name);
        assert.deepEqual(
          left.filter((name) => name !== 'checksums'),
          ['archiving'],
        );
      });
    },
  );
}

test('a server that does not answer', async () => {
  const server = await startPostgres();
  await server[Symbol.asyncDispose]();
  const findings = await check(server);
  assert.deepEqual(
    findings.map(({ check: name, level, code }) => ({ name, level, code })),
    [{ name: 'connection', level: 'error', code: 'HF-5001' }],
  );
});

test('an abort is no finding', async () => {
  await using server = await startPostgres();
  await assert.rejects(check(server, {}, AbortSignal.abort(new Error('enough'))), /enough/);
});

/** Since 18 checksums are the default, and can be chosen against. */
function server18(major: unknown): boolean {
  return major === 18;
}
