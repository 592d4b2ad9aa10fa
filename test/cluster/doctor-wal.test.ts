import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseStandbyNames } from '../../src/sources/postgres-cluster/check/synchronous.ts';
import { startPostgres, withoutPostgres, type PostgresServer } from '../../testing/postgres-server.ts';
import { until } from '../../testing/until.ts';
import { amiss, check, follow, isFine, push, restart, slot, statements, stream } from './doctor-kit.ts';

for (const major of ['system', 18] as const) {
  test(
    `where the WAL goes, and lines that have it go to the repository (${major})`,
    {
      skip: withoutPostgres(major),
    },
    async (t) => {
      await using server = await startPostgres({
        major,
        initdbArgs: ['--wal-segsize=1'],
        // No checkpoint but those that are asked for.
        settings: { max_wal_size: '2GB' },
      });
      const write = async (megabytes: number): Promise<void> => {
        for (let count = 0; count < megabytes; count += 1) {
          await server.psql("SELECT pg_logical_emit_message(false, 'doctor', repeat('x', 1000))");
          await server.psql('SELECT pg_switch_wal()');
        }
      };

      await t.test('nowhere: by archive_command, whose line works', async () => {
        const { level, mend } = amiss(await check(server), 'archiving');
        assert.equal(level, 'warning');
        assert.match(mend, /holdfast wal stream/);
        await follow(server, mend);
        assert.equal(await server.psql('SHOW archive_command'), push);
        assert.equal(await server.psql('SHOW archive_timeout'), '1min');
        isFine(await check(server), 'archiving');
        await server.psql("ALTER SYSTEM SET archive_timeout = '0'");
        await set(server, 'archive_command', 'HOLDFAST_PASSPHRASE_FILE=/no/such.key holdfast wal push %p');
        const message = (await check(server)).find(({ check: name }) => name === 'archiving')?.message ?? '';
        assert.match(message, /ALTER SYSTEM SET archive_timeout = '1min'; SELECT pg_reload_conf\(\);$/);
      });

      await t.test('nowhere, for the command has the files of another machine', async () => {
        const foreign = amiss(await check(server), 'archiver');
        assert.match(foreign.message, /not there on this machine: the key file \/no\/such\.key$/);
        await follow(server, foreign.mend);
        await until(async () => (await server.psql('SHOW archive_command')) === push);
        await server.psql('ALTER SYSTEM RESET archive_timeout');
      });

      await t.test('nowhere, for a command that fails, is empty or throws it away', async () => {
        await set(server, 'archive_command', '/bin/false holdfast wal push %p');
        await write(3);
        await until(async () => (await server.psql('SELECT failed_count > 0 FROM pg_stat_archiver')) === 't');
        const failing = amiss(await check(server), 'archiver');
        assert.equal(failing.level, 'error');
        // It is not the command of this machine, which a server may still have from another one.
        assert.deepEqual(statements(failing.mend), [
          `ALTER SYSTEM SET archive_command = '${push.replaceAll("'", "''")}';`,
          'SELECT pg_reload_conf();',
        ]);
        assert.match(failing.mend, /: \/bin\/false holdfast wal push pg_wal\/[0-9A-F]{24}$/);
        const waiting = amiss(await check(server, { walWaitingLimitBytes: 2_000_000 }), 'archiver files');
        assert.match(waiting.message, /[34] files of WAL \([34]\.0 MiB\) wait to be archived/);
        await set(server, 'archive_command', '/bin/true holdfast wal push %p');
        assert.notEqual((await check(server)).find(({ check: name }) => name === 'archiver')?.level, 'error');
        await until(async () =>
          (await check(server)).every((f) => f.check !== 'archiver' || f.level === 'ok'),
        );
        await set(server, 'archive_command', '');
        const empty = amiss(await check(server), 'archiving');
        assert.equal(empty.level, 'error');
        await follow(server, empty.mend);
        await until(async () => (await server.psql('SHOW archive_command')) === push);
        isFine(await check(server), 'archiving');
        await set(server, 'archive_command', '/bin/true');
        assert.match(amiss(await check(server), 'archiving').message, /throws the WAL away/);
      });

      await t.test('to another program, whose command is not shown', async () => {
        await set(server, 'archive_command', 'SECRET=hush wal-g wal-push %p || true');
        const other = amiss(await check(server), 'archiving');
        assert.match(other.message, /that of wal-g;/);
        assert.doesNotMatch(JSON.stringify(await check(server)), /hush/);
        await server.psql(`SELECT pg_create_physical_replication_slot('${slot}', true)`);
        {
          await using _streaming = await stream(server);
          isFine(await check(server), 'archiving');
        }
        await server.psql(`SELECT pg_drop_replication_slot('${slot}')`);
        await follow(server, other.mend);
        await until(async () => (await server.psql('SHOW archive_command')) === push);
        isFine(await check(server), 'archiving');
        await server.psql("ALTER SYSTEM SET archive_mode = 'off'");
        await restart(server);
      });

      await t.test('to a slot that nobody reads from, that keeps too much, and that is lost', async () => {
        await server.psql(`SELECT pg_create_physical_replication_slot('${slot}', true)`);
        const idle = amiss(await check(server), 'slot');
        assert.match(idle.message, /nothing streams/);
        {
          await using _streaming = await stream(server);
          for (const name of ['slot', 'archiving']) isFine(await check(server), name);
          await write(3);
          const much = amiss(await check(server, { walWaitingLimitBytes: 1_048_576 }), 'slot');
          assert.match(much.message, /MiB of WAL wait for the repository/);
        }
        await set(server, 'max_slot_wal_keep_size', '1MB');
        await follow(server, amiss(await check(server), 'max_slot_wal_keep_size').mend);
        await until(async () => (await server.psql('SHOW max_slot_wal_keep_size')) === '2GB');
        isFine(await check(server), 'max_slot_wal_keep_size');
        await set(server, 'max_slot_wal_keep_size', '1MB');
        await write(3);
        const going = amiss(await check(server), 'slot');
        assert.match(going.message, /about to remove/);
        await follow(server, going.mend);
        await until(async () => (await server.psql('SHOW max_slot_wal_keep_size')) === '-1');
        assert.equal(amiss(await check(server), 'slot').level, 'warning');
        await set(server, 'max_slot_wal_keep_size', '1MB');
        await write(3);
        await server.psql('CHECKPOINT');
        const lost = amiss(await check(server), 'slot');
        assert.match(lost.message, /there is a gap/);
        await follow(server, lost.mend);
        isFine(await check(server), 'slot');
        await set(server, 'max_slot_wal_keep_size', '-1');
      });

      await t.test('to a logical slot of somebody else', async () => {
        await server.psql("ALTER SYSTEM SET wal_level = 'logical'");
        await restart(server);
        await server.psql(`SELECT pg_create_logical_replication_slot('${slot}', 'pgoutput')`);
        assert.match(amiss(await check(server), 'slot').message, /logical one/);
        await server.psql(`SELECT pg_drop_replication_slot('${slot}')`);
      });

      await t.test('to nobody, while commits wait for it', async () => {
        await set(server, 'synchronous_standby_names', 'FIRST 1 (holdfast)');
        const hanging = amiss(await check(server), 'synchronous commit');
        assert.equal(hanging.level, 'error');
        assert.match(hanging.message, /nothing streams/);
        await server.psql(`SELECT pg_create_physical_replication_slot('${slot}', true)`);
        {
          await using _streaming = await stream(server);
          await until(async () => await fine(server, 'synchronous commit'));
          await set(server, 'synchronous_commit', 'remote_apply');
          const applying = amiss(await check(server), 'synchronous commit');
          assert.match(applying.message, /remote_apply/);
          await follow(server, applying.mend);
          await until(async () => await fine(server, 'synchronous commit'));
        }
        await until(async () => !(await fine(server, 'synchronous commit')));
        await follow(server, hanging.mend);
        await until(async () => await fine(server, 'synchronous commit'));
      });
    },
  );
}

test('synchronous_standby_names in each of its forms', () => {
  assert.deepEqual(parseStandbyNames(' '), undefined);
  assert.deepEqual(parseStandbyNames('a, B'), { count: 1, names: ['a', 'b'] });
  assert.deepEqual(parseStandbyNames('*'), { count: 1, names: ['*'] });
  assert.deepEqual(parseStandbyNames('2 (a,b , c)'), { count: 2, names: ['a', 'b', 'c'] });
  assert.deepEqual(parseStandbyNames('first 1 ("a ""b, c", d)'), { count: 1, names: ['a "b, c', 'd'] });
  assert.deepEqual(parseStandbyNames('ANY 2(x,y)'), { count: 2, names: ['x', 'y'] });
});

async function fine(server: PostgresServer, name: string): Promise<boolean> {
  return (await check(server)).every((finding) => finding.check !== name || finding.level === 'ok');
}

/** Resolves when new connections see it. */
async function set(server: PostgresServer, name: string, value: string): Promise<void> {
  await server.psql(`ALTER SYSTEM SET ${name} = '${value}'`);
  await server.psql('SELECT pg_reload_conf()');
  await until(async () => {
    const now = await server.psql(`SELECT reset_val FROM pg_settings WHERE name = '${name}'`);
    return now === value || (value === '' && now === '(disabled)') || (value === '1MB' && now === '1');
  });
}
