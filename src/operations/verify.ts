import type { Manifest } from '../contract/manifest.ts';
import { failure, isFailure } from '../kernel/errors/failure.ts';
import { packsPrefix } from '../repository/layout.ts';
import type { Repository } from '../repository/repository.ts';
import type { BackupName } from '../repository/model.ts';
import { clusterBackup, type ClusterBackup } from './recovery/backups.ts';
import { attributeDamage } from './verify-attribution.ts';
import { Findings } from './verify-findings.ts';
import { BackupAges } from './verify-age.ts';
import { verifyHistory, verifyIndexes, verifyKeys, verifyRecords } from './verify-objects.ts';
import { verifyPacks, verifySuspects } from './verify-packs.ts';
import type { VerifyReport } from './verify-report.ts';
import { verifyStructure } from './verify-structure.ts';
import type { VerifyOptions } from './verify-options.ts';
import { verifyWalData } from './wal/verify-data.ts';
import { verifyOrphans } from './wal/verify-orphans.ts';
import { verifyWalEnds } from './wal/verify-ends.ts';
import { verifyWal } from './wal/verify.ts';

/**
 * Checks a repository: that every manifest, key and index object is as it was written, that everything the backups
 * need is there, that no backup is missing from the history, that the WAL of clusters is there without a gap, and with `readData` every byte of the packs and of the WAL.
 * Problems are in the report, not thrown.
 */
export async function verifyRepository(
  repository: Repository,
  options: VerifyOptions,
): Promise<VerifyReport> {
  return (await examine(repository, options)).report(levelOf(options));
}

/** The same for those who go on with what is found. */
export async function examine(repository: Repository, options: VerifyOptions): Promise<Findings> {
  const { signal, progress } = options;
  const findings = new Findings();
  progress.phase('checking keys, indexes and history');
  const names = await repository.names({ signal });
  await verifyKeys(repository, findings, signal);
  await verifyIndexes(repository, findings, signal);
  await verifyHistory(repository, names, findings, signal, options.remembered?.heads);
  await verifyRecords(repository, findings, signal);
  const cache = await repository.cache(signal);
  findings.addIndexProblems(repository.indexProblems);
  const chosen = names.filter((name) => options.backups?.includes(name.id) !== false);
  cache.beginWalk();
  const ages = new BackupAges();
  const clusters: ClusterBackup[] = [];
  const manifests = readableManifests(repository, chosen, signal);
  for await (const manifest of manifests) {
    progress.phase(`checking backup ${manifest.id.slice(0, 8)}`);
    await verifyStructure(repository, manifest, findings, signal);
    findings.backupsChecked += 1;
    ages.add(manifest);
    const cluster = clusterBackup(manifest);
    if (cluster !== undefined) clusters.push(cluster);
  }
  const archives = await verifyWal(repository, clusters, findings, options);
  if (options.readData) {
    progress.phase('reading the packs');
    const which = options.backups === undefined ? 'listed' : 'needed';
    await verifyPacks(repository, which, findings, options);
    await verifyWalData(archives, options);
    const opened = new Set(archives.map(({ archive }) => archive.id));
    if (options.backups === undefined) await verifyOrphans(repository, opened, findings, signal);
  }
  if (!isEverythingRead(options) && options.backups === undefined) {
    await verifySuspects(repository, options.suspects ?? [], findings, signal);
    if (options.suspectsUnlisted === true) findings.add(packsPrefix, failure('damage_unlisted', {}));
  }
  if (findings.damagedBlobs.size > 0) {
    progress.phase('finding out which backups are affected');
    await attributeDamage(repository, names, findings, signal);
  }
  if (options.backups === undefined) {
    ages.tell(findings, options);
    await verifyWalEnds(archives, findings, options);
  }
  return findings;
}

/** Whether every pack and all WAL are read. */
export function isEverythingRead({ readData, subset, backups }: VerifyOptions): boolean {
  return readData && subset === undefined && backups === undefined;
}

export function levelOf({ readData, subset }: VerifyOptions): VerifyReport['level'] {
  if (!readData) return 'structure';
  return subset === undefined ? 'read-data' : 'read-data-subset';
}

async function* readableManifests(
  repository: Repository,
  names: readonly BackupName[],
  signal: AbortSignal,
): AsyncGenerator<Manifest, void, void> {
  for (const name of names) {
    try {
      yield await repository.manifest(name, { signal });
    } catch (error) {
      signal.throwIfAborted();
      if (!isFailure(error) || error.kind === 'unreachable') throw error;
      // Named once already by the history check, which reads every manifest.
    }
  }
}
