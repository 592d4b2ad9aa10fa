import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { connectionFromUrl } from '../../src/postgres/connection/connection.ts';
import { backUpCluster, memoryContent, startRestored } from '../../testing/cluster.ts';
import { MemoryBackup } from '../../testing/memory-backup.ts';
import { startPostgres, withoutPostgres } from '../../testing/postgres-server.ts';
import { until } from '../../testing/until.ts';

test('what is no backup of this server is refused', { skip: withoutPostgres('system') }, async (t) => {
  await using server = await startPostgres({ settings: { autovacuum: 'off' } });
  const { dataDirectory } = server;
  const memory = new MemoryBackup();
  const refused = async (message: RegExp, rest: Parameters<typeof backUpCluster>[2] = {}): Promise<void> => {
    await assert.rejects(backUpCluster(memory, server, rest), (error: Error & { code?: string }) => {
      assert.match(`${error.code} ${error.message}`, message);
      return true;
    });
    assert.equal(memory.entries.length, 0);
  };

  await t.test('the directory of another server', async () => {
    await using other = await startPostgres({ settings: { wal_level: 'minimal', max_wal_senders: '0' } });
    await refused(/HF-5304 .* its system identifier is/, { dataDirectory: other.dataDirectory });
    await refused(/HF-5302/, {
      connection: connectionFromUrl(other.url(), {}),
      dataDirectory: other.dataDirectory,
    });
    await other.stop();
    await refused(/HF-5305 .*nowhere/, { dataDirectory: '/nowhere' });
  });

  await t.test('a copy of the directory', async () => {
    const copy = `${dataDirectory}.copy`;
    execFileSync('cp', ['-a', dataDirectory, copy]);
    await refused(/HF-5304 .* its last checkpoint is at/, { dataDirectory: copy });
    rmSync(join(copy, 'postmaster.pid'));
    await refused(/HF-5304 .* no server runs on it/, { dataDirectory: copy });
    rmSync(copy, { recursive: true });
  });

  await t.test('a link in the place of a directory of the server', async () => {
    symlinkSync('/etc', join(dataDirectory, 'base', '99999'));
    await refused(/HF-5306 base\/99999 is a symbolic link to \/etc/);
    rmSync(join(dataDirectory, 'base', '99999'));
    renameSync(join(dataDirectory, 'pg_xact'), `${dataDirectory}.xact`);
    symlinkSync(`${dataDirectory}.xact`, join(dataDirectory, 'pg_xact'));
    await refused(/HF-5306 pg_xact is a symbolic link/);
    rmSync(join(dataDirectory, 'pg_xact'));
    renameSync(`${dataDirectory}.xact`, join(dataDirectory, 'pg_xact'));
  });

  await t.test('a user who may not, until it is granted', async () => {
    await server.psql("CREATE ROLE keeper LOGIN PASSWORD 'secret of keeper'");
    const connection = connectionFromUrl(server.url('postgres', 'keeper', 'secret of keeper'), {});
    let hint = '';
    await assert.rejects(
      backUpCluster(memory, server, { connection }),
      (error: Error & { hint?: string }) => {
        hint = error.hint ?? '';
        return true;
      },
    );
    await server.psql(hint.slice(hint.indexOf('GRANT')));
    const { metadata, warnings } = await backUpCluster(memory, server, { connection });
    assert.deepEqual(warnings, []);
    assert.equal(metadata.from_standby, false);
    memory.entries.splice(0);
  });

  await t.test('but not what the server does without', async () => {
    symlinkSync('/etc/hostname', join(dataDirectory, 'extra'));
    mkdirSync(join(dataDirectory, 'base', 'pgsql_tmp'));
    for (const path of ['base/pgsql_tmp/x', 'base/5/t3_16384', 'pg_stat_tmp/x', 'pg_replslot/x', 'odd %name'])
      writeFileSync(join(dataDirectory, path), 'x');
    const { incomplete, warnings } = await backUpCluster(memory, server);
    assert.match(incomplete ?? '', /1 thing in the data directory/);
    assert.match(warnings.join('\n'), /HF-5312: extra .* symbolic link to \/etc\/hostname/);
    const paths = memory.entries.map(({ path }) => path);
    assert.ok(paths.includes('odd %25name'));
    for (const path of [
      'pg_wal',
      'pg_wal/archive_status',
      'pg_notify',
      'pg_replslot',
      'pg_stat_tmp',
      'pg_tblspc',
    ])
      assert.ok(paths.includes(path), path);
    const never =
      /pgsql_tmp|t3_16384|^pg_(?:wal|stat_tmp|replslot|notify|subtrans)\/(?!archive_status$)|postmaster|pg_internal|extra/;
    assert.deepEqual(
      paths.filter((path) => never.test(path)),
      [],
    );
    const walked = paths.slice(0, paths.indexOf('backup_label'));
    const sorted = walked.toSorted((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
    assert.deepEqual(walked, sorted, 'in the order of their bytes');
    assert.deepEqual(paths.slice(walked.length), ['backup_label', 'global/pg_control']);
  });
});

test(
  'pg_wal and configuration may lie elsewhere, and a standby serves as well',
  { skip: withoutPostgres('system') },
  async () => {
    await using server = await startPostgres({
      // Without slots the WAL is hoped to stay, and looked for.
      settings: { autovacuum: 'off', max_replication_slots: '0' },
    });
    const { dataDirectory } = server;
    await server.psql('CREATE TABLE notes AS SELECT i FROM generate_series(1, 10000) i');
    await server.stop();
    renameSync(join(dataDirectory, 'pg_wal'), `${dataDirectory}.wal`);
    symlinkSync(`${dataDirectory}.wal`, join(dataDirectory, 'pg_wal'));
    renameSync(join(dataDirectory, 'pg_hba.conf'), `${dataDirectory}.hba.conf`);
    execFileSync('sh', [
      '-c',
      `echo "hba_file = '$1.hba.conf'" >> "$1/postgresql.conf"`,
      'sh',
      dataDirectory,
    ]);
    await server.start();
    const memory = new MemoryBackup();
    const first = await backUpCluster(memory, server);
    assert.deepEqual(first.warnings, []);
    const config = memory.entry('holdfast.config/data.hba.conf');
    assert.equal(config.meta['original'], `${dataDirectory}.hba.conf`);
    assert.match(memory.content(config.path).toString(), /scram-sha-256/);

    const settings = {
      hba_file: `${dataDirectory}.hba.conf`,
      primary_conninfo: conninfo(server),
      hot_standby: 'on',
    };
    await using standby = await startRestored(
      memoryContent(memory, first.metadata),
      server,
      settings,
      'standby.signal',
    );
    const replayed = async (): Promise<void> => {
      const lsn = await server.psql('SELECT pg_current_wal_insert_lsn()');
      await until(
        async () => (await standby.psql(`SELECT pg_last_wal_replay_lsn() >= '${lsn}'`)) === 't',
        'the standby',
      );
    };
    await server.psql('INSERT INTO notes SELECT i FROM generate_series(1, 500) i; CHECKPOINT');
    await replayed();
    const of = { connection: standby.connection, dataDirectory: standby.dataDirectory };
    const second = await backUpCluster(new MemoryBackup(), server, of);
    assert.equal(second.metadata.from_standby, true);
    // Over the backup of the primary: it is the same cluster.
    memory.becomePrevious(first.metadata);
    await server.psql('INSERT INTO notes VALUES (0)');
    await replayed();
    const third = await backUpCluster(memory, server, of);
    assert.equal(third.metadata.full_because, null);
    assert.equal(third.metadata.files_kept, 0, 'it is another place');
    assert.ok(third.metadata.pages_changed < third.metadata.pages / 2);
    await using restored = await startRestored(memoryContent(memory, third.metadata), server, {
      hba_file: `${dataDirectory}.hba.conf`,
      primary_conninfo: '',
    });
    assert.equal(await restored.psql('SELECT count(*) FROM notes'), '10501');

    // A promotion begins another history.
    await standby.psql('SELECT pg_promote()');
    memory.becomePrevious(third.metadata);
    const promoted = await backUpCluster(memory, server, of);
    assert.match(promoted.metadata.full_because ?? '', /on timeline 2 now/);
    assert.equal(promoted.metadata.timeline, 2);
    assert.match(memory.walFiles.get('00000002.history')?.toString() ?? '', /^1\t0\//);
    await standby.psql('CREATE TABLE late AS SELECT 1 AS i');
    memory.becomePrevious(promoted.metadata);
    const last = await backUpCluster(memory, server, of);
    assert.equal(last.metadata.full_because, null);
    await using recovered = await startRestored(memoryContent(memory, last.metadata), server, {
      hba_file: `${dataDirectory}.hba.conf`,
      primary_conninfo: '',
    });
    assert.equal(await recovered.psql('SELECT i FROM late'), '1');
  },
);

function conninfo(server: { port: number; superuser: string; password: string }): string {
  return `host=127.0.0.1 port=${server.port} user=${server.superuser} password=${server.password}`;
}
