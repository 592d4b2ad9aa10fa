import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { isFailure } from '../../src/kernel/errors/failure.ts';
import type { WalStore } from '../../src/sources/port.ts';
import { backUpCluster, memoryContent, startRestored, type ClusterBackedUp } from '../../testing/cluster.ts';
import { quietSettings } from '../../testing/cluster-disk.ts';
import { MemoryBackup } from '../../testing/memory-backup.ts';
import { startPostgres, withoutPostgres, type PostgresServer } from '../../testing/postgres-server.ts';
import { until } from '../../testing/until.ts';
import { ownedDirectory, serverDirectory } from './restore-kit.ts';
import { streamCluster } from './stream-kit.ts';

const move = 'ALTER DATABASE mover SET TABLESPACE';

const losing =
  (database: string) =>
  (error: Error): boolean =>
    isFailure(error, 'cluster_database_moved') && error.message.includes(`(${database})`);

// Recovery would make these databases empty: tried with cp as the backup, on 15 and 16.
for (const major of [14, 18] as const)
  describe(`databases of ${major} moved while they are backed up`, { skip: withoutPostgres(major) }, () => {
    const byFiles = major === 14 ? '' : 'STRATEGY file_copy';

    it('refuses what recovery would make empty, and nothing else', async () => {
      await using place = serverDirectory();
      await using server = await startWithMover(major, place.path);
      for (const name of ['original', 'other']) await server.psql(`CREATE DATABASE ${name}`);
      /** Once the backup has begun and before all files are read. */
      const during = async (memory: MemoryBackup, ...statements: string[]): Promise<ClusterBackedUp> => {
        memory.interrupt = async () => {
          memory.interrupt = undefined;
          for (const sql of statements) await server.psql(sql);
        };
        return await backUpCluster(memory, server);
      };
      await assert.rejects(during(new MemoryBackup(), `${move} elsewhere`), losing('mover'));
      await assert.rejects(
        during(new MemoryBackup(), `${move} pg_default`, `${move} elsewhere`),
        losing('mover'),
      );
      await assert.rejects(
        during(
          new MemoryBackup(),
          `CREATE DATABASE copy TEMPLATE original ${byFiles}`,
          'DROP DATABASE original',
        ),
        losing('copy'),
      );
      const memory = new MemoryBackup();
      const made = await during(
        memory,
        'DROP DATABASE other',
        `CREATE DATABASE fresh TEMPLATE template1 ${byFiles}`,
        "ALTER DATABASE mover SET work_mem = '8MB'",
      );
      assert.deepEqual(made.warnings, []);
      await using restored = await startRestored(memoryContent(memory, made.metadata), server);
      for (const name of ['mover', 'fresh']) assert.equal(await restored.psql('SELECT 1', name), '1');
    });

    it('does so over the replication protocol', async () => {
      await using place = serverDirectory();
      await using server = await startWithMover(major, place.path);
      // Enough to be sent when the move is done.
      await server.psql("CREATE TABLE much AS SELECT repeat('x', 1000) FROM generate_series(1, 60000)");
      const places = ['elsewhere', 'pg_default'];
      for (let attempt = 1; ; attempt += 1) {
        const memory = new MemoryBackup();
        let moving: Promise<unknown> = Promise.resolve();
        let isMoved = false;
        // The server has begun by then. From 15 on it waits with the end of the move for whoever sends the backup, and
        // that for us; a move that ends after the backup harms nothing.
        const openWal = async (): Promise<WalStore> => {
          moving = server.psql(`${move} ${places[attempt % 2]}`).then(() => (isMoved = true));
          return memory.wal;
        };
        memory.interrupt = async () => {
          memory.interrupt = undefined;
          const waits = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'ProcSignalBarrier'";
          await until(async () => isMoved || (await server.psql(waits)) !== '0', 'the move');
        };
        const context = { ...memory.backupContext({ jobs: 2 }), openWal };
        const refused = await streamCluster(memory, server, {}, context).then(
          () => undefined,
          (error: Error) => error,
        );
        await moving;
        if (refused === undefined && attempt < 10) continue;
        assert.ok(refused !== undefined && losing('mover')(refused), `${refused?.stack}`);
        break;
      }
    });
  });

async function startWithMover(
  major: Parameters<typeof withoutPostgres>[0],
  directory: string,
): Promise<PostgresServer> {
  const server = await startPostgres({ major, settings: quietSettings });
  await server.psql(`CREATE TABLESPACE elsewhere LOCATION '${ownedDirectory(`${directory}/t`)}'`);
  await server.psql('CREATE DATABASE mover');
  return server;
}
