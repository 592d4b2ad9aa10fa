import { failure } from '../../../../kernel/errors/failure.ts';
import { parseByteSize } from './setting-size.ts';
import type { Replication } from '../../../../postgres/replication/replication.ts';
import { isServerRefusal, newestMajor, oldestMajor, type ServerFacts } from '../facts.ts';

export type StreamFacts = Omit<ServerFacts, 'catalogVersion' | 'startedAt'>;

/** What any role with REPLICATION may ask. `cluster_version`, `cluster_wal_level` where it cannot be backed up. */
export async function readStreamFacts(replication: Replication, server: string): Promise<StreamFacts> {
  const { serverVersion: version, serverVersionNumber: versionNumber } = replication;
  const major = Math.floor(versionNumber / 10_000);
  if (major < oldestMajor || major > newestMajor) throw failure('cluster_version', { server, version });
  const { systemIdentifier } = await replication.identifySystem();
  const pageBytes = Number(await replication.show('block_size'));
  const walLevel = await replication.show('wal_level');
  if (walLevel === 'minimal') throw failure('cluster_wal_level', { server });
  return {
    major,
    version,
    versionNumber,
    inRecovery: (await replication.show('in_hot_standby')) === 'on',
    systemIdentifier,
    pageBytes,
    segmentPages: parseByteSize(await replication.show('segment_size'), pageBytes) / pageBytes,
    walSegmentBytes: parseByteSize(await replication.show('wal_segment_size'), 1),
    dataChecksums: (await replication.show('data_checksums')) !== 'off',
    walLevel,
    port: Number(await replication.show('port')),
  };
}

/** A setting that only some roles may see; null when this one may not. */
export async function showIfAllowed(replication: Replication, name: string): Promise<string | null> {
  try {
    return await replication.show(name);
  } catch (error) {
    if (!isServerRefusal(error)) throw error;
    return null;
  }
}
