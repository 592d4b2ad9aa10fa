import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Manifest } from '../../src/contract/manifest.ts';
import { systemClock } from '../../src/kernel/clock.ts';
import { silentLogger } from '../../src/kernel/log.ts';
import type { BackupSource } from '../../src/operations/contract.ts';
import { verifyRepository } from '../../src/operations/verify.ts';
import { lsnOf } from '../../src/postgres/lsn.ts';
import { segmentName } from '../../src/postgres/wal/names.ts';
import type { Repository } from '../../src/repository/repository.ts';
import { backupCluster } from '../../src/sources/postgres-cluster/backup/backup.ts';
import { clusterMetadataSchema, type ClusterMetadata } from '../../src/sources/postgres-cluster/metadata.ts';
import { MemoryStorage } from '../../src/storage/memory/memory-storage.ts';
import { crashAtMutation } from '../../src/storage/wrap/fault-plan.ts';
import { withFaults } from '../../src/storage/wrap/faults.ts';
import { ageFiles, quietSettings } from '../../testing/cluster-disk.ts';
import { clusterOptions, startRestored, type ClusterContent } from '../../testing/cluster.ts';
import { startPostgres, withoutPostgres, type PostgresServer } from '../../testing/postgres-server.ts';
import { backUp, makeRepository, openTestRepository, silentProgress } from '../../testing/repository.ts';

function source(server: PostgresServer): BackupSource {
  const options = clusterOptions(server, { partBytes: 1024 * 1024, guardOneIn: 2 });
  return { name: 'main', kind: 'postgres-cluster', backup: (context) => backupCluster(options, context) };
}

function metadataOf(manifest: Manifest): ClusterMetadata {
  return clusterMetadataSchema.parse(manifest.metadata);
}

async function contentOf(repository: Repository, manifest: Manifest): Promise<ClusterContent> {
  const metadata = metadataOf(manifest);
  const archive = await repository.walArchive({
    source: 'main',
    system_identifier: metadata.system_identifier,
    segment_bytes: metadata.wal_segment_bytes,
    postgres_major: Math.floor(metadata.server_version_num / 10_000),
  });
  assert.equal(archive.id, metadata.wal_archive);
  const wal = new Map<string, Buffer>();
  for await (const stretch of archive.stretches(1)) {
    const name = segmentName(1, lsnOf(stretch.start), metadata.wal_segment_bytes);
    wal.set(name, Buffer.from(await archive.read(stretch)));
  }
  const read: ClusterContent['read'] = async (stream) =>
    Buffer.concat(await Array.fromAsync(repository.open(stream)));
  return { metadata, entries: await Array.fromAsync(repository.entries(manifest)), read, wal };
}

test('a cluster in a repository: interrupted, whole, increments', { skip: withoutPostgres(18) }, async () => {
  await using server = await startPostgres({ major: 18, settings: quietSettings });
  await server.psql(`CREATE TABLE notes AS SELECT i, repeat(md5(i::text), 10) AS text FROM generate_series(1, 30000) i;
    CREATE INDEX ON notes (text)`);
  // Sets the hint bits, which would change every page at the first reading.
  await server.psql('VACUUM FREEZE');
  await server.stop();
  ageFiles(server.dataDirectory);
  await server.start();
  const storage = new MemoryStorage(systemClock);
  {
    await using _made = await makeRepository(storage);
    await using broken = await openTestRepository(withFaults(storage, crashAtMutation(4, true)));
    await assert.rejects(backUp(broken, source(server), { jobs: 2 }));
  }
  await using repository = await openTestRepository(storage);
  const first = await backUp(repository, source(server), { jobs: 2 });
  assert.equal(metadataOf(first).full_because, 'it is the first backup');
  assert.ok(first.stats.bytes_new < metadataOf(first).bytes * 0.9, 'what was stored before is found again');

  await server.psql("UPDATE notes SET text = 'changed' WHERE i % 3000 = 0");
  const second = await backUp(repository, source(server), { jobs: 2 });
  const metadata = metadataOf(second);
  assert.deepEqual([metadata.full_because, second.warnings], [null, []]);
  assert.equal(metadata.parent, first.id);
  assert.ok(metadata.pages_guarded > 500, `${metadata.pages_guarded} guarded`);
  assert.ok(metadata.files_kept > 500, `${metadata.files_kept} kept`);
  assert.ok(second.stats.bytes_read < first.stats.bytes_read - 20_000_000, `${second.stats.bytes_read} read`);
  assert.ok(second.stats.bytes_new < 3_000_000, `${second.stats.bytes_new} new`);
  const third = await backUp(repository, source(server), { jobs: 1 });
  assert.equal(metadataOf(third).full_because, null);
  const report = await verifyRepository(repository, {
    signal: new AbortController().signal,
    log: silentLogger,
    jobs: 2,
    progress: silentProgress,
    readData: true,
  });
  // Nobody archives here: between backups there is no WAL, and that is no damage.
  assert.deepEqual(report.problems, []);
  for (const manifest of [second, third]) {
    await using restored = await startRestored(await contentOf(repository, manifest), server);
    const sum = 'SELECT count(*), sum(hashtext(text)) FROM notes';
    assert.equal(await restored.psql(sum), await server.psql(sum));
  }
  await backsUpWithoutEachPack(storage, server);
});

/** Whatever is lost of the backups before, the next one stores anew what it needs. */
async function backsUpWithoutEachPack(storage: MemoryStorage, server: PostgresServer): Promise<void> {
  const packs = (await Array.fromAsync(storage.list('packs/'))).map(({ name }) => name);
  assert.ok(packs.length >= 6, `${packs.length} packs`);
  // Some of them, by chance: their names, being hashes of what was sealed with random salts, come in any order.
  for (const lost of packs.slice(0, 4)) {
    const rest = new MemoryStorage(systemClock);
    for await (const { name } of storage.list(''))
      if (name !== lost) await rest.put(name, await storage.get(name));
    await using repository = await openTestRepository(rest);
    const manifest = await backUp(repository, source(server), { jobs: 2 });
    const content = await contentOf(repository, manifest);
    for (const { stream } of content.entries) if (stream !== null) await content.read(stream);
  }
}
