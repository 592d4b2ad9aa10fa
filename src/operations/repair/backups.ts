import { isFailure, reasonOf } from '../../kernel/errors/failure.ts';
import { forgottenRecords } from '../../repository/history/forgotten.ts';
import { packObject } from '../../repository/layout.ts';
import { readManifestWithHash } from '../../repository/manifests.ts';
import type { BackupName } from '../../repository/model.ts';
import { indexFromPack } from '../../repository/pack-recovery.ts';
import type { Repository } from '../../repository/repository.ts';
import { copyOne } from '../sync/copy.ts';
import { packsLacking } from '../sync/lacking.ts';
import { stepOf, type RepairContext } from './context.ts';
import { assertAsWritten } from './good-sources.ts';
import type { RepairStep } from './report.ts';

/** Backups that are gone: id → SHA-256 of the sealed manifest, null where that is not known. */
export type MissingBackups = ReadonlyMap<string, string | null>;

const forgottenNote = 'the record of backups that were forgotten';

/** A record of backups that were forgotten, which is gone here. */
interface LostRecord {
  readonly name: string;
  readonly from: string;
  readonly bytes: Uint8Array;
}

interface Found {
  readonly id: string;
  readonly name: BackupName;
  readonly from: string;
  readonly copy: Repository;
}

export async function planBackups(context: RepairContext, missing: MissingBackups): Promise<RepairStep[]> {
  const { records, found, lost } = await findBackups(context, missing);
  return [
    ...records.map(({ name, from }) => stepOf('replace', name, { from, note: forgottenNote })),
    ...found.map(({ id, from }) => stepOf('bring_back', `backup ${id}`, { from })),
    ...lost.map((id) => stepOf('leave', `backup ${id}`, { note: 'it is gone, and no copy has it' })),
  ];
}

/** Brings back backups that are gone and that a copy has, each with all it needs, visible last. */
export async function mendBackups(context: RepairContext, missing: MissingBackups): Promise<void> {
  const { records, found } = await findBackups(context, missing);
  for (const { name, from, bytes } of records) {
    await context.repository.storage.put(name, bytes);
    context.tell({ ...stepOf('replace', name, { from, note: forgottenNote }), quarantined: null });
  }
  for (const one of found) {
    context.signal.throwIfAborted();
    context.progress.phase(`bringing back backup ${one.id.slice(0, 8)}`);
    const { from, id } = one;
    try {
      await bringBack(context, one);
      context.tell({ ...stepOf('bring_back', `backup ${id}`, { from }), quarantined: null });
    } catch (error) {
      context.signal.throwIfAborted();
      if (!isFailure(error) || !['integrity', 'not_found'].includes(error.kind)) throw error;
      const note = `it is not whole in ${from}: ${reasonOf(error)}`;
      context.tell({ ...stepOf('leave', `backup ${id}`, { note }), quarantined: null });
    }
  }
}

async function findBackups(
  context: RepairContext,
  missing: MissingBackups,
): Promise<{
  readonly records: readonly LostRecord[];
  readonly found: readonly Found[];
  readonly lost: readonly string[];
}> {
  const { repository, sources, signal } = context;
  // Forgotten meanwhile, or there again.
  const there = new Set<string>((await repository.names({ signal })).map(({ id }) => id));
  const done = new Set(there);
  for await (const read of forgottenRecords(repository, signal))
    if ('record' in read) for (const { id } of read.record.backups) done.add(id);
  const open = new Map([...missing].filter(([id]) => !done.has(id)));
  for await (const id of onlyInCopies(context)) if (!done.has(id) && !open.has(id)) open.set(id, null);
  const found: Found[] = [];
  if (open.size === 0) return { records: [], found, lost: [] };
  const records = await findRecords(context, open, there);
  for await (const { name: from, copy } of sources.copies()) {
    for (const name of await copy.names({ signal })) {
      const sha256 = open.get(name.id);
      if (sha256 === undefined || !(await isThat(copy, name, sha256, signal))) continue;
      found.push({ id: name.id, name, from, copy });
      open.delete(name.id);
    }
  }
  return {
    records,
    found: found.toSorted((a, b) => a.name.sequence - b.name.sequence),
    lost: [...open.keys()].filter((id) => missing.has(id)),
  };
}

/** Nothing here may tell that the newest backups were there; a copy does. */
async function* onlyInCopies({ sources, signal }: RepairContext): AsyncGenerator<string, void, void> {
  for await (const { copy } of sources.copies()) for (const { id } of await copy.names({ signal })) yield id;
}

/**
 * Records of copies that tell that a missing backup was forgotten: then it is the record that is missing. What they explain
 * is taken out of `open`. One that names backups which are there has been undone here.
 */
async function findRecords(
  { repository, sources, signal }: RepairContext,
  open: Map<string, string | null>,
  there: ReadonlySet<string>,
): Promise<LostRecord[]> {
  const records: LostRecord[] = [];
  for await (const { name: from, copy } of sources.copies()) {
    for await (const read of forgottenRecords(copy, signal)) {
      if (!('record' in read)) continue;
      const { backups } = read.record;
      const explained = backups.filter(
        ({ id, sha256 }) => open.has(id) && [null, sha256].includes(open.get(id) ?? null),
      );
      if (explained.length === 0 || backups.some(({ id }) => there.has(id))) continue;
      const bytes = await copy.storage.get(read.name, { signal });
      assertAsWritten(repository, read.name, bytes);
      records.push({ name: read.name, from, bytes });
      for (const { id } of explained) open.delete(id);
    }
  }
  return records;
}

async function isThat(
  { storage, pipelineKeys }: Repository,
  name: BackupName,
  sha256: string | null,
  signal: AbortSignal,
): Promise<boolean> {
  try {
    const found = await readManifestWithHash(storage, pipelineKeys, name, signal);
    return sha256 === null || found.sha256 === sha256;
  } catch (error) {
    if (isFailure(error, 'object_damaged') || isFailure(error, 'backup_unknown')) return false;
    throw error;
  }
}

async function bringBack(context: RepairContext, { name, copy }: Found): Promise<void> {
  const { repository, signal } = context;
  const { storage, pipelineKeys } = repository;
  const bytes = await copy.storage.get(name.objectName, { signal });
  assertAsWritten(repository, name.objectName, bytes);
  const { manifest } = await readManifestWithHash(copy.storage, pipelineKeys, name, signal);
  const cache = await repository.freshCache(0, signal);
  const reliance = await repository.beginReliance(signal);
  cache.beginWalk();
  const lacking = await packsLacking(copy, reliance, cache, manifest, signal);
  for (const [id, sizeBytes] of lacking) {
    await reliance.tick(signal);
    const problem = (_name: string, error: Error): never => {
      throw error;
    };
    const copying = {
      from: copy.storage,
      to: storage,
      keys: pipelineKeys,
      signal,
      copied: () => {},
      problem,
    };
    await copyOne(copying, { name: packObject(id), sizeBytes, modifiedAtMs: 0 });
    cache.replacePack(await indexFromPack(storage, pipelineKeys, id, sizeBytes, signal));
    cache.stored(id, sizeBytes);
  }
  await reliance.settle(signal);
  await storage.put(name.objectName, bytes);
}
