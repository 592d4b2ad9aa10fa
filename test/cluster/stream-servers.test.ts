import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { copyFileSync, chmodSync, chownSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { connectionFromUrl } from '../../src/postgres/connection/connection.ts';
import { isFailure } from '../../src/kernel/errors/failure.ts';
import { memoryContent, startRestored } from '../../testing/cluster.ts';
import { quietSettings } from '../../testing/cluster-disk.ts';
import { MemoryBackup } from '../../testing/memory-backup.ts';
import { startPostgres, withoutPostgres, type PostgresServer } from '../../testing/postgres-server.ts';
import { tempDirectory } from '../../testing/temp.ts';
import { until } from '../../testing/until.ts';
import { streamCluster } from './stream-kit.ts';

const notes = `CREATE TABLE notes AS SELECT i, repeat(md5(i::text), 10) AS text FROM generate_series(1, 20000) i`;

test('a standby is streamed, over a backup of its primary', { skip: withoutPostgres('system') }, async () => {
  // Without slots the WAL is hoped to stay; a server that waits for standbys must not wait for a backup.
  await using server = await startPostgres({ settings: { ...quietSettings, max_replication_slots: '0' } });
  const { dataDirectory } = server;
  await server.psql(notes);
  await server.stop();
  renameSync(join(dataDirectory, 'pg_hba.conf'), `${dataDirectory}.hba.conf`);
  execFileSync('sh', [
    '-c',
    `echo "hba_file = '$1.hba.conf'\nsynchronous_standby_names = '*'\nsynchronous_commit = local" >> "$1/postgresql.conf"`,
    'sh',
    dataDirectory,
  ]);
  await server.start();
  const memory = new MemoryBackup();
  const first = await streamCluster(memory, server);
  assert.deepEqual(first.warnings, [
    `HF-5315: configuration files outside the data directory are not in the backup: ${dataDirectory}.hba.conf`,
  ]);
  assert.equal(first.incomplete, undefined);
  const settings = {
    hba_file: `${dataDirectory}.hba.conf`,
    primary_conninfo: `host=127.0.0.1 port=${server.port} user=${server.superuser} password=${server.password}`,
    hot_standby: 'on',
  };
  await using standby = await startRestored(
    memoryContent(memory, first.metadata),
    server,
    settings,
    'standby.signal',
  );
  memory.becomePrevious(first.metadata);
  await server.psql("UPDATE notes SET text = 'changed' WHERE i % 1000 = 0; CHECKPOINT");
  const lsn = await server.psql('SELECT pg_current_wal_insert_lsn()');
  const replayed = `SELECT pg_last_wal_replay_lsn() >= '${lsn}'`;
  await until(async () => (await standby.psql(replayed)) === 't', 'the standby');
  const second = await streamCluster(memory, server, { connection: standby.connection });
  assert.equal(second.metadata.from_standby, true);
  assert.equal(second.metadata.full_because, null);
  assert.ok(second.metadata.pages_changed < second.metadata.pages / 2);
  await using restored = await startRestored(memoryContent(memory, second.metadata), server, {
    ...settings,
    primary_conninfo: '',
  });
  assert.equal(await restored.psql("SELECT count(*) FROM notes WHERE text = 'changed'"), '20');

  // A promotion in the middle of a backup, and one before.
  memory.becomePrevious(second.metadata);
  memory.interrupt = async () => {
    memory.interrupt = undefined;
    await standby.psql('SELECT pg_promote()');
  };
  await assert.rejects(streamCluster(memory, server, { connection: standby.connection }), (error) =>
    isFailure(error, 'cluster_promoted'),
  );
  memory.entries.splice(0);
  const promoted = await streamCluster(memory, server, { connection: standby.connection });
  assert.match(promoted.metadata.full_because ?? '', /on timeline 2 now/);
  assert.ok(memory.walFiles.has('00000002.history'));
});

test('a role with nothing but REPLICATION, over TLS', { skip: withoutPostgres(17) }, async (t) => {
  await using directory = await tempDirectory();
  await using server = await startPostgres({ major: 17, settings: quietSettings });
  await server.psql(notes);
  await server.psql("CREATE ROLE backup LOGIN REPLICATION PASSWORD 'a secret'");
  await certify(server, directory.path);
  const root = encodeURIComponent(join(directory.path, 'server.crt'));
  const url = `${server.url('postgres', 'backup', 'a secret')}?sslmode=verify-full&sslrootcert=${root}`;
  const connection = connectionFromUrl(url, {});
  const memory = new MemoryBackup();

  await t.test('makes increments', async () => {
    const full = await streamCluster(memory, server, { connection });
    assert.deepEqual(full.warnings, []);
    assert.equal(full.metadata.data_directory, '', 'which it may not know');
    memory.becomePrevious(full.metadata);
    await server.psql("UPDATE notes SET text = 'changed' WHERE i = 7");
    const { metadata } = await streamCluster(memory, server, { connection });
    assert.equal(metadata.full_because, null);
    assert.ok(metadata.pages_changed < metadata.pages / 2);
    assert.equal(await server.psql('SELECT count(*) FROM pg_stat_ssl WHERE ssl'), '0', 'nobody is left');
    await using restored = await startRestored(memoryContent(memory, metadata), server, { ssl: 'off' });
    assert.equal(await restored.psql("SELECT count(*) FROM notes WHERE text = 'changed'"), '1');
    memory.becomePrevious(metadata);
  });

  await t.test('makes full backups where SQL is refused', async () => {
    const path = join(server.dataDirectory, 'pg_hba.conf');
    writeFileSync(path, `host all backup all reject\n${readFileSync(path, 'utf8')}`);
    await server.psql('SELECT pg_reload_conf()');
    const { metadata, warnings, incomplete } = await streamCluster(memory, server, { connection });
    assert.equal(incomplete, undefined);
    assert.match(warnings.join('\n'), /^HF-5314: .* lets backup replicate, but not ask in SQL .*rejects/);
    assert.match(metadata.full_because ?? '', /^the databases could not be listed/);
    assert.deepEqual(metadata.databases, []);
    assert.ok(metadata.started_at <= metadata.stopped_at);
    // Over such a backup only what all databases share is compared.
    memory.becomePrevious(metadata);
    const next = await streamCluster(memory, server);
    assert.equal(next.metadata.full_because, null);
    assert.ok(next.metadata.pages_changed > next.metadata.pages * 0.9);
    assert.ok(next.metadata.pages_changed < next.metadata.pages);
  });
});

async function certify(server: PostgresServer, directory: string): Promise<void> {
  const [key, certificate] = ['server.key', 'server.crt'].map((name) => join(directory, name));
  const curve = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2'];
  const names = ['-subj', '/CN=holdfast', '-addext', 'subjectAltName=IP:127.0.0.1'];
  execFileSync(
    'openssl',
    ['req', '-x509', ...curve, ...names, '-keyout', key ?? '', '-out', certificate ?? ''],
    {
      stdio: 'ignore',
    },
  );
  for (const path of [key, certificate]) {
    const target = join(server.dataDirectory, (path ?? '').slice(directory.length + 1));
    copyFileSync(path ?? '', target);
    chmodSync(target, 0o600);
    if (server.user !== undefined) chownSync(target, server.user.uid, server.user.gid);
  }
  await server.psql('ALTER SYSTEM SET ssl = on');
  await server.psql('SELECT pg_reload_conf()');
  await until(async () => (await server.psql('SHOW ssl')) === 'on', 'TLS');
}
