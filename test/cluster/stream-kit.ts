import { tmpdir } from 'node:os';
import { connectionFromUrl } from '../../src/postgres/connection/connection.ts';
import { backupClusterByStream } from '../../src/sources/postgres-cluster/backup/stream/backup.ts';
import type { ClusterStreamOptions } from '../../src/sources/postgres-cluster/backup/stream/options.ts';
import { clusterMetadataSchema } from '../../src/sources/postgres-cluster/metadata.ts';
import type { BackupContext } from '../../src/sources/port.ts';
import type { ClusterBackedUp } from '../../testing/cluster.ts';
import type { MemoryBackup } from '../../testing/memory-backup.ts';
import type { PostgresServer } from '../../testing/postgres-server.ts';

export function streamOptions(
  server: PostgresServer,
  rest: Partial<ClusterStreamOptions> = {},
): ClusterStreamOptions {
  return {
    connection: connectionFromUrl(server.url(), {}),
    label: 'holdfast test',
    fastCheckpoint: true,
    tempDirectory: tmpdir(),
    now: () => Date.now(),
    ...rest,
  };
}

/** Backs a cluster up over the replication protocol. */
export async function streamCluster(
  memory: MemoryBackup,
  server: PostgresServer,
  rest: Partial<ClusterStreamOptions> = {},
  context: BackupContext = memory.backupContext({ jobs: 2 }),
): Promise<ClusterBackedUp> {
  const outcome = await backupClusterByStream(streamOptions(server, rest), context);
  return { ...outcome, metadata: clusterMetadataSchema.parse(outcome.metadata) };
}

/** Bytes that are stored, each blob once. */
export function storedBytes(memory: MemoryBackup): number {
  return memory.blobs.values().reduce((sum, { length }) => sum + length, 0);
}
