import assert from 'node:assert/strict';
import { copyFileSync, existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { Client } from 'pg';
import type { Manifest } from '../../src/contract/manifest.ts';
import { systemClock } from '../../src/kernel/clock.ts';
import { silentLogger } from '../../src/kernel/log.ts';
import type { BackupSource } from '../../src/operations/contract.ts';
import { restoreContext } from '../../src/operations/restore.ts';
import { lsnOf } from '../../src/postgres/lsn.ts';
import { segmentName } from '../../src/postgres/wal/names.ts';
import type { Repository } from '../../src/repository/repository.ts';
import { backupCluster } from '../../src/sources/postgres-cluster/backup/backup.ts';
import { backupClusterByStream } from '../../src/sources/postgres-cluster/backup/stream/backup.ts';
import { clusterMetadataSchema, type ClusterMetadata } from '../../src/sources/postgres-cluster/metadata.ts';
import { MemoryStorage } from '../../src/storage/memory/memory-storage.ts';
import { clusterTruth } from '../../testing/cluster-truth.ts';
import { clusterOptions } from '../../testing/cluster.ts';
import { withoutPostgres, type PostgresServer } from '../../testing/postgres-server.ts';
import { backUp, makeRepository, silentProgress } from '../../testing/repository.ts';
import {
  archiveAll,
  ownedDirectory,
  restoreCluster,
  serverDirectory,
  startArchiving,
  startRestored,
  untilOpen,
} from './restore-kit.ts';
import { streamOptions } from './stream-kit.ts';

function source(backup: BackupSource['backup']): BackupSource {
  return { name: 'main', kind: 'postgres-cluster', backup };
}

function metadataOf(manifest: Manifest): ClusterMetadata {
  return clusterMetadataSchema.parse(manifest.metadata);
}

/** Changes, makes, empties and drops tables until it is disposed of. */
async function startWriter(server: PostgresServer): Promise<AsyncDisposable> {
  const client = new Client({ connectionString: server.url(), ssl: false });
  await client.connect();
  let ended = false;
  const loop = (async () => {
    for (let count = 0; !ended; count += 1) {
      const id = (count * 7919) % 20_000;
      await client.query(
        `UPDATE accounts SET filler = md5(random()::text) WHERE id BETWEEN ${id} AND ${id + 20}`,
      );
      if (count % 20 === 0)
        await client.query(`CREATE TABLE brief AS SELECT * FROM accounts LIMIT 100; DROP TABLE brief;
          TRUNCATE refilled; INSERT INTO refilled SELECT i FROM generate_series(1, 100) i`);
      if (count % 50 === 0) await client.query('VACUUM accounts');
    }
  })();
  return {
    [Symbol.asyncDispose]: async () => {
      ended = true;
      await loop;
      await client.end();
    },
  };
}

/** Writes the WAL that the repository has into a directory, and behind it what the server has archived since. */
async function collectWal(
  repository: Repository,
  metadata: ClusterMetadata,
  archive: string,
  into: string,
): Promise<void> {
  const stored = await repository.walArchive({
    source: 'main',
    system_identifier: metadata.system_identifier,
    segment_bytes: metadata.wal_segment_bytes,
    postgres_major: Math.floor(metadata.server_version_num / 10_000),
  });
  let last = '';
  for await (const stretch of stored.stretches(1)) {
    last = segmentName(1, lsnOf(stretch.start), metadata.wal_segment_bytes);
    const bytes = Buffer.from(await stored.read(stretch));
    // Whole, and what the server archives: or its archiving into the repository would fail.
    assert.ok(bytes.equals(readFileSync(join(archive, last))), last);
    writeFileSync(join(into, last), bytes);
  }
  assert.ok(last !== '');
  for (const name of readdirSync(archive))
    if (name > last && !existsSync(join(into, name))) copyFileSync(join(archive, name), join(into, name));
}

for (const major of ['system', 17] as const) {
  test(
    `streams of ${major} while it writes come back as they were`,
    { skip: withoutPostgres(major) },
    async () => {
      await using base = serverDirectory();
      const archive = join(base.path, 'archive');
      // Small shared buffers: pages are written while they are read.
      await using server = await startArchiving(archive, major, { shared_buffers: '1MB' });
      await server.psql(`CREATE TABLE accounts AS SELECT i AS id, repeat('x', 400) AS filler FROM generate_series(0, 20000) i;
        CREATE INDEX ON accounts (id); CREATE TABLE refilled (i int)`);
      await server.psql('VACUUM FREEZE');
      await using repository = await makeRepository(new MemoryStorage(systemClock));
      const read = source((context) => backupCluster(clusterOptions(server), context));
      const streamed = source((context) =>
        backupClusterByStream(streamOptions(server, { guardOneIn: 2 }), context),
      );
      const manifests: Manifest[] = [];
      {
        await using _writer = await startWriter(server);
        for (const one of [streamed, read, streamed])
          manifests.push(await backUp(repository, one, { jobs: 2 }));
      }
      const parents = [null, ...manifests.map(({ id }) => id)];
      for (const [index, manifest] of manifests.entries()) {
        const { parent, bad_page_count: bad } = metadataOf(manifest);
        assert.deepEqual([parent, bad, manifest.warnings], [parents[index], 0, []]);
      }
      await archiveAll(server);
      const last = manifests.at(-1);
      if (last === undefined) throw new Error('no backup');
      const wal = ownedDirectory(join(base.path, 'wal'));
      await collectWal(repository, metadataOf(last), archive, wal);
      const context = restoreContext(repository, last, {
        signal: new AbortController().signal,
        log: silentLogger,
        jobs: 2,
        progress: silentProgress,
      });
      const target = join(base.path, 'restored');
      await restoreCluster({ target, archive: wal }, context);
      await using restored = await startRestored(server, target);
      await untilOpen(restored);
      const truth = await clusterTruth((sql, database) => server.psql(sql, database));
      assert.deepEqual(await clusterTruth((sql, database) => restored.psql(sql, database)), truth);
    },
  );
}
