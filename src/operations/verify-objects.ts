import { hash } from 'node:crypto';
import { failure, isFailure } from '../kernel/errors/failure.ts';
import { decodeIndex } from '../repository/index-object.ts';
import { readKeys } from '../repository/keyring.ts';
import { indexPrefix } from '../repository/layout.ts';
import { readManifestWithHash } from '../repository/manifests.ts';
import type { Repository } from '../repository/repository.ts';
import type { BackupName } from '../repository/model.ts';
import type { Findings } from './verify-findings.ts';

/** Every key object is as it was written. (`holdfast.json` was checked when the repository was opened.) */
export async function verifyKeys(repository: Repository, findings: Findings): Promise<void> {
  findings.objectsChecked += 1;
  const { keys, damaged } = await readKeys(repository.storage, repository.info.id);
  findings.objectsChecked += keys.length + damaged.length;
  for (const { name, error } of damaged) findings.add(name, error);
}

/** Every index object hashes to its name and opens. They are caches: damage costs no backup, but it is named. */
export async function verifyIndexes(
  repository: Repository,
  findings: Findings,
  signal: AbortSignal,
): Promise<void> {
  const { storage, pipelineKeys } = repository;
  for await (const { name } of storage.list(indexPrefix, { signal })) {
    findings.objectsChecked += 1;
    try {
      const bytes = await storage.get(name, { signal });
      findings.bytesRead += bytes.length;
      decodeIndex(pipelineKeys, name, bytes);
      if (`${indexPrefix}${hash('sha256', bytes, 'hex')}` !== name) {
        throw failure('object_damaged', { name, reason: 'its bytes do not hash to its name' });
      }
    } catch (error) {
      tellDamage(findings, name, error, signal);
    }
  }
}

/** Every manifest opens, and every backup that a manifest names as its predecessor is there and the same. */
export async function verifyHistory(
  repository: Repository,
  names: readonly BackupName[],
  findings: Findings,
  signal: AbortSignal,
): Promise<void> {
  const { storage, pipelineKeys } = repository;
  const present = new Set<string>(names.map((name) => name.id));
  const hashes = new Map<string, string>();
  const told = new Set<string>();
  for (const name of names) {
    findings.objectsChecked += 1;
    try {
      const { manifest, sha256 } = await readManifestWithHash(storage, pipelineKeys, name, signal);
      hashes.set(manifest.id, sha256);
      for (const link of manifest.previous) {
        const changed = hashes.has(link.id) && hashes.get(link.id) !== link.sha256;
        // Several later backups may know the one that is gone: it is one gap.
        if ((present.has(link.id) && !changed) || told.has(link.id)) continue;
        told.add(link.id);
        const error = failure('history_broken', { missing: link.id, id: manifest.id });
        findings.add(name.objectName, error, changed ? [link.id] : []);
      }
    } catch (error) {
      tellDamage(findings, name.objectName, error, signal, [name.id]);
    }
  }
}

/** What is damaged or gone goes into the report; what keeps us from looking is thrown. */
export function tellDamage(
  findings: Findings,
  object: string,
  error: unknown,
  signal: AbortSignal,
  backups: readonly string[] = [],
): void {
  signal.throwIfAborted();
  if (!isFailure(error) || !['integrity', 'not_found'].includes(error.kind)) throw error;
  findings.add(object, error, backups);
}
