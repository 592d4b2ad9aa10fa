import { hash } from 'node:crypto';
import { failure, isFailure } from '../kernel/errors/failure.ts';
import { plural } from '../kernel/plural.ts';
import { forgottenRecords, type ForgottenBackup } from '../repository/history/forgotten.ts';
import { decodeIndex } from '../repository/index-object.ts';
import { readKeys } from '../repository/keyring.ts';
import { authenticateObject } from '../repository/authenticate.ts';
import { pinsPrefix, trashPrefix } from '../repository/history/names.ts';
import { keptConfigPrefix } from '../repository/kept-config.ts';
import { configObject, indexPrefix, keysPrefix } from '../repository/layout.ts';
import { readManifestWithHash } from '../repository/manifests.ts';
import type { Repository } from '../repository/repository.ts';
import type { BackupName } from '../repository/model.ts';
import { reportsPrefix } from '../repository/reports.ts';
import type { Findings } from './verify-findings.ts';
import type { Head } from './verify-options.ts';

/** Backups that are remembered, and of those that are gone. */
const mostHeads = 32;
const mostLost = 512;

/** `holdfast.json` still is what it was when the repository was opened, and every key object is as it was written. */
export async function verifyKeys(
  repository: Repository,
  findings: Findings,
  signal: AbortSignal,
): Promise<void> {
  findings.objectsChecked += 1;
  try {
    repository.assertConfig(await repository.storage.get(configObject, { signal }));
  } catch (error) {
    tellDamage(findings, configObject, error, signal);
  }
  const { keys, damaged } = await readKeys(repository.storage, repository.info.id);
  findings.objectsChecked += keys.length + damaged.length;
  const { location } = repository.storage;
  if (keys.length === 0 && repository.info.encrypted)
    findings.add(keysPrefix, failure('key_none', { location }));
  for (const { name, error } of damaged) findings.add(name, error);
}

/**
 * Every index object hashes to its name and opens. They are caches: damage costs no backup, but it is named; and packs
 * that no index tells of are noted, for they cost every machine a look into each.
 */
export async function verifyIndexes(
  repository: Repository,
  findings: Findings,
  signal: AbortSignal,
): Promise<void> {
  const { storage, pipelineKeys } = repository;
  const cache = await repository.cache(signal);
  cache.beginWalk();
  for await (const { name } of storage.list(indexPrefix, { signal })) {
    findings.objectsChecked += 1;
    try {
      const bytes = await storage.get(name, { signal });
      findings.bytesRead += bytes.length;
      const packs = decodeIndex(pipelineKeys, name, bytes);
      if (`${indexPrefix}${hash('sha256', bytes, 'hex')}` !== name) {
        throw failure('object_damaged', { name, reason: 'its bytes do not hash to its name' });
      }
      for (const { id, sizeBytes } of packs)
        if (cache.listedBytes(id) === sizeBytes) cache.visit(Buffer.from(id, 'hex'));
    } catch (error) {
      tellDamage(findings, name, error, signal);
    }
  }
  let untold = 0;
  for (const { id } of cache.packs('listed')) if (cache.visit(Buffer.from(id, 'hex'))) untold += 1;
  if (untold > 0)
    findings.note(
      `no index tells of ${plural(untold, 'pack')}, which were stored by a backup that runs or was interrupted, or whose index is lost: nothing is lost with it, and holdfast rebuild-index makes it anew`,
    );
}

/**
 * Every manifest opens, and every backup that a manifest names as its predecessor is there and the same, or was forgotten
 * and is named as what it was in a record of that.
 */
export async function verifyHistory(
  repository: Repository,
  names: readonly BackupName[],
  findings: Findings,
  signal: AbortSignal,
  remembered: readonly Head[] = [],
): Promise<void> {
  const { storage, pipelineKeys } = repository;
  const present = new Set<string>(names.map((name) => name.id));
  const hashes = new Map<string, string>();
  const gone = new Map<string, Link>();
  const told = new Set<string>();
  for (const name of names) {
    findings.objectsChecked += 1;
    try {
      const { manifest, sha256 } = await readManifestWithHash(storage, pipelineKeys, name, signal);
      hashes.set(manifest.id, sha256);
      for (const link of manifest.previous) {
        const broken = { ...link, from: name.objectName, by: manifest.id };
        if (!present.has(link.id)) gone.set(`${link.id} ${link.sha256}`, broken);
        else if (link.sha256 !== null && hashes.has(link.id) && hashes.get(link.id) !== link.sha256)
          tellBroken(findings, broken, told, [link.id]);
      }
    } catch (error) {
      tellDamage(findings, name.objectName, error, signal, [name.id]);
    }
  }
  for (const head of remembered) {
    if (present.has(head.id)) continue;
    const link = { ...head, from: `backup ${head.id}`, by: null };
    const isKnown = [...gone.values()].some(({ id }) => id === head.id);
    if (!isKnown) gone.set(`${head.id} ${head.sha256}`, link);
  }
  const numbers = names.map(({ sequence }) => sequence);
  numbers.push(...(await takeOutForgotten(repository, gone, findings, signal)));
  // Where all can be read, each is named by the one after it.
  if (hashes.size < names.length) noteMissingNumbers(numbers, findings);
  const lost = remembered.filter(({ id }) => [...gone.values()].some((link) => link.id === id));
  findings.heads = [...lost.slice(-mostLost), ...headsOf(names, hashes)];
  for (const link of gone.values()) {
    findings.missingBackups.set(link.id, link.sha256);
    tellBroken(findings, link, told, []);
  }
}

/** The newest ones: more than any later manifest can fail to name. */
function headsOf(names: readonly BackupName[], hashes: ReadonlyMap<string, string>): Head[] {
  return names.slice(-mostHeads).flatMap(({ id, sequence }) => {
    const sha256 = hashes.get(id);
    return sha256 === undefined ? [] : [{ id, sequence, sha256 }];
  });
}

/** A predecessor as a manifest names it. */
interface Link {
  readonly id: string;
  /** Null where who names it could not read it. */
  readonly sha256: string | null;
  /** Object and id of the backup that names it; the id is null where an earlier verification has seen it. */
  readonly from: string;
  readonly by: string | null;
}

/** Several later backups may know the one that is gone: it is one gap. */
function tellBroken(findings: Findings, link: Link, told: Set<string>, backups: readonly string[]): void {
  if (told.has(link.id)) return;
  told.add(link.id);
  const missing = link.id;
  const error =
    link.by === null
      ? failure('backup_vanished', { missing })
      : failure('history_broken', { missing, id: link.by });
  findings.add(link.from, error, backups);
}

/** One that could not be read any more when it was forgotten cannot be told from what it had been. */
function takeOut(gone: Map<string, Link>, { id, sha256, source }: ForgottenBackup): void {
  gone.delete(`${id} ${sha256}`);
  gone.delete(`${id} null`);
  if (source !== null) return;
  for (const [key, link] of gone) if (link.id === id) gone.delete(key);
}

/** Backups are numbered without gaps. */
function noteMissingNumbers(numbers: number[], findings: Findings): void {
  numbers.sort((a, b) => a - b);
  const missing: string[] = [];
  let last = 0;
  for (const number of numbers) {
    if (number === last + 2) missing.push(String(last + 1));
    else if (number > last + 2) missing.push(`${last + 1} to ${number - 1}`);
    last = Math.max(last, number);
  }
  if (missing.length === 0) return;
  const those = missing.slice(0, 20).join(', ');
  findings.note(
    `no backup has the number ${those}, and what could tell why cannot be read: they may be gone, or the record that they were forgotten`,
  );
}

/**
 * What was forgotten as just that backup is no gap. Records cannot be forged by who has no key. The numbers of what was
 * forgotten.
 */
async function takeOutForgotten(
  repository: Repository,
  gone: Map<string, Link>,
  findings: Findings,
  signal: AbortSignal,
): Promise<number[]> {
  const numbers: number[] = [];
  for await (const read of forgottenRecords(repository, signal)) {
    findings.objectsChecked += 1;
    if ('damage' in read) tellDamage(findings, read.name, read.damage, signal);
    else
      for (const backup of read.record.backups) {
        takeOut(gone, backup);
        numbers.push(backup.sequence);
      }
  }
  return numbers;
}

/** Records and the manifests of forgotten backups open; those of `forgotten/` are read with the history. */
export async function verifyRecords(
  repository: Repository,
  findings: Findings,
  signal: AbortSignal,
): Promise<void> {
  const { storage, pipelineKeys } = repository;
  for (const prefix of [pinsPrefix, trashPrefix, reportsPrefix, keptConfigPrefix]) {
    for await (const { name } of storage.list(prefix, { signal })) {
      findings.objectsChecked += 1;
      try {
        authenticateObject(pipelineKeys, name, await storage.get(name, { signal }));
      } catch (error) {
        // Unpinned, brought back or merged since it was listed.
        if (isFailure(error, 'object_missing')) continue;
        // It was damaged when it was forgotten, and lies in the trash as it was.
        if (await isAsForgotten(repository, name, signal)) continue;
        tellDamage(findings, name, error, signal);
      }
    }
  }
}

/** Whether an object of the trash has the very bytes that were forgotten. */
async function isAsForgotten(repository: Repository, name: string, signal: AbortSignal): Promise<boolean> {
  if (!name.startsWith(trashPrefix)) return false;
  const sha256 = hash('sha256', await repository.storage.get(name, { signal }), 'hex');
  for await (const read of forgottenRecords(repository, signal))
    if ('record' in read && read.record.backups.some((backup) => backup.sha256 === sha256)) return true;
  return false;
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
