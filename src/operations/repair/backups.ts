import { isFailure, reasonOf } from '../../kernel/errors/failure.ts';
import { forgottenRecords, putForgotten, type ForgottenRecord } from '../../repository/history/forgotten.ts';
import { trashObject } from '../../repository/history/names.ts';
import { readTrashed, trashed } from '../../repository/history/trash.ts';
import { packObject } from '../../repository/layout.ts';
import { readManifestWithHash } from '../../repository/manifests.ts';
import type { BackupName } from '../../repository/model.ts';
import { indexFromPack } from '../../repository/pack-recovery.ts';
import type { Repository } from '../../repository/repository.ts';
import { undoForget } from '../forget-undo.ts';
import { copyOne } from '../sync/copy.ts';
import { packsLacking } from '../sync/lacking.ts';
import { stepOf, type RepairContext } from './context.ts';
import { assertAsWritten } from './good-sources.ts';
import type { RepairStep } from './report.ts';

/** Backups that are gone: id → SHA-256 of the sealed manifest, null where that is not known. */
export type MissingBackups = ReadonlyMap<string, string | null>;

/** A record that backups were forgotten, of which a copy tells and which is not here. */
interface LostRecord {
  /** Of the copy that has it. */
  readonly from: string;
  readonly name: string;
  readonly record: ForgottenRecord;
  readonly bytes: Uint8Array;
  /** Of its backups those that are missing here. */
  readonly explained: readonly string[];
}

/** A place that has the manifest of a missing backup. */
interface Candidate {
  readonly name: BackupName;
  readonly from: string;
  readonly copy: Repository;
  readonly lies: 'in snapshots' | 'in trash' | 'in own trash';
}

interface Search {
  readonly records: readonly LostRecord[];
  /** By id, the oldest backup first: who has it, the best first. */
  readonly found: ReadonlyMap<string, readonly Candidate[]>;
  readonly lost: readonly string[];
}

export async function planBackups(context: RepairContext, missing: MissingBackups): Promise<RepairStep[]> {
  const { records, found, lost } = await findBackups(context, missing);
  return [
    ...records.map(recordStep),
    ...[...found].map(([id, [first]]) => backStep(id, first)),
    ...lost.map((id) => stepOf('leave', `backup ${id}`, { note: 'it is gone, and no copy has it' })),
  ];
}

function recordStep({ from, name, explained }: LostRecord): RepairStep {
  const those = explained.map((id) => id.slice(0, 8)).join(', ');
  return stepOf('replace', name, {
    from,
    note: `backup ${those}: told by ${from} to have been forgotten there`,
  });
}

function backStep(id: string, candidate: Candidate | undefined): RepairStep {
  const note = candidate?.lies === 'in trash' ? 'it was forgotten there' : null;
  return stepOf('bring_back', `backup ${id}`, { from: candidate?.from ?? null, note });
}

/** Brings back backups that are gone and that somebody has, each with all it needs, visible last. */
export async function mendBackups(context: RepairContext, missing: MissingBackups): Promise<void> {
  const { records, found } = await findBackups(context, missing);
  for (const record of records) {
    await takeOver(context, record);
    context.tell({ ...recordStep(record), quarantined: null });
  }
  for (const [id, candidates] of found) {
    context.progress.phase(`bringing back backup ${id.slice(0, 8)}`);
    const notes: string[] = [];
    for (const candidate of candidates) {
      context.signal.throwIfAborted();
      const obstacle = await tryToBringBack(context, candidate);
      if (obstacle === undefined) {
        context.tell({ ...backStep(id, candidate), quarantined: null });
        notes.length = 0;
        break;
      }
      notes.push(`it is not whole in ${candidate.from}: ${obstacle}`);
    }
    if (notes.length > 0)
      context.tell({ ...stepOf('leave', `backup ${id}`, { note: notes.join('; ') }), quarantined: null });
  }
}

/** Why it cannot be brought back from there; undefined when it is back. */
async function tryToBringBack(context: RepairContext, candidate: Candidate): Promise<string | undefined> {
  const { repository, signal, log, progress } = context;
  try {
    if (candidate.lies === 'in own trash')
      await undoForget(repository, candidate.name, { signal, log, progress, dryRun: false });
    else await bringBack(context, candidate);
    return undefined;
  } catch (error) {
    signal.throwIfAborted();
    const isItsOwn = isFailure(error) && ['integrity', 'not_found'].includes(error.kind);
    if (!isItsOwn && !isFailure(error, 'forget_gone')) throw error;
    return reasonOf(error);
  }
}

/** As it is there, unless it tells of backups, too, that are not missing here. */
async function takeOver(
  { repository }: RepairContext,
  { name, record, bytes, explained }: LostRecord,
): Promise<void> {
  const backups = record.backups.filter(({ id }) => explained.includes(id));
  if (backups.length === record.backups.length) await repository.storage.put(name, bytes);
  else await putForgotten(repository, { ...record, backups });
}

/**
 * That a copy was told to forget a backup says nothing about this place: it may have a policy of its own. So first comes
 * who has the backup; only of one that nobody has, or that lies in the trash of this very place, a copy's record is taken
 * for the one that is missing here.
 */
async function findBackups(context: RepairContext, missing: MissingBackups): Promise<Search> {
  const { repository, sources, signal } = context;
  // Forgotten meanwhile, or there again.
  const there = new Set<string>((await repository.names({ signal })).map(({ id }) => id));
  const done = new Set(there);
  for await (const read of forgottenRecords(repository, signal))
    if ('record' in read) for (const { id } of read.record.backups) done.add(id);
  const open = new Map([...missing].filter(([id]) => !done.has(id)));
  for await (const id of onlyInCopies(context)) if (!done.has(id) && !open.has(id)) open.set(id, null);
  if (open.size === 0) return { records: [], found: new Map(), lost: [] };
  const found = new Map<string, Candidate[]>();
  const note = async (candidate: Candidate): Promise<void> => {
    const { id } = candidate.name;
    const sha256 = open.get(id);
    if (sha256 === undefined || !(await isThat(candidate, sha256, signal))) return;
    found.set(id, [...(found.get(id) ?? []), candidate]);
  };
  for await (const { name: from, copy } of sources.copies())
    for (const name of await copy.names({ signal })) await note({ name, from, copy, lies: 'in snapshots' });
  for (const name of await trashed(repository, signal))
    await note({ name, from: 'here', copy: repository, lies: 'in own trash' });
  for await (const { name: from, copy } of sources.copies())
    for (const name of await trashed(copy, signal)) await note({ name, from, copy, lies: 'in trash' });
  const records = await findRecords(context, open, there, found);
  for (const id of records.flatMap(({ explained }) => explained)) {
    open.delete(id);
    found.delete(id);
  }
  const sequenceOf = (candidates: readonly Candidate[]): number => candidates[0]?.name.sequence ?? 0;
  return {
    records,
    found: new Map([...found].toSorted(([, a], [, b]) => sequenceOf(a) - sequenceOf(b))),
    lost: [...open.keys()].filter((id) => missing.has(id) && !found.has(id)),
  };
}

/** Nothing here may tell that the newest backups were there; a copy does. */
async function* onlyInCopies({ sources, signal }: RepairContext): AsyncGenerator<string, void, void> {
  for await (const { copy } of sources.copies()) for (const { id } of await copy.names({ signal })) yield id;
}

/** Records that tell of missing backups which nobody has, or which lie in the trash here. */
async function findRecords(
  { repository, sources, signal }: RepairContext,
  open: ReadonlyMap<string, string | null>,
  there: ReadonlySet<string>,
  found: ReadonlyMap<string, readonly Candidate[]>,
): Promise<LostRecord[]> {
  const records: LostRecord[] = [];
  const told = new Set<string>();
  const mayBeTold = (id: string): boolean =>
    !told.has(id) && (!found.has(id) || found.get(id)?.some(({ lies }) => lies === 'in own trash') === true);
  for await (const { name: from, copy } of sources.copies()) {
    for await (const read of forgottenRecords(copy, signal)) {
      if (!('record' in read)) continue;
      const { name, record } = read;
      const explained = record.backups
        .filter(({ id, sha256 }) => open.has(id) && [null, sha256].includes(open.get(id) ?? null))
        .map(({ id }) => id)
        .filter(mayBeTold);
      // One that names backups which are there has been undone here.
      if (explained.length === 0 || record.backups.some(({ id }) => there.has(id))) continue;
      const bytes = await copy.storage.get(name, { signal });
      assertAsWritten(repository, name, bytes);
      records.push({ from, name, record, bytes, explained });
      for (const id of explained) told.add(id);
    }
  }
  return records;
}

async function isThat(
  { copy, name, lies }: Candidate,
  sha256: string | null,
  signal: AbortSignal,
): Promise<boolean> {
  try {
    const found =
      lies === 'in snapshots'
        ? await readManifestWithHash(copy.storage, copy.pipelineKeys, name, signal)
        : await readTrashed(copy, name, signal);
    return sha256 === null || found.sha256 === sha256;
  } catch (error) {
    const isGone = isFailure(error, 'object_missing') || isFailure(error, 'backup_unknown');
    if (isGone || isFailure(error, 'object_damaged')) return false;
    throw error;
  }
}

async function bringBack(context: RepairContext, { name, copy, lies }: Candidate): Promise<void> {
  const { repository, signal } = context;
  const { storage, pipelineKeys } = repository;
  const object = lies === 'in trash' ? trashObject(name) : name.objectName;
  const bytes = await copy.storage.get(object, { signal });
  assertAsWritten(repository, name.objectName, bytes);
  const { manifest } =
    lies === 'in trash'
      ? await readTrashed(copy, name, signal)
      : await readManifestWithHash(copy.storage, pipelineKeys, name, signal);
  const cache = await repository.freshCache(0, signal);
  const reliance = await repository.beginReliance(signal);
  cache.beginWalk();
  const lacking = await packsLacking(
    { from: copy, rely: (ids) => reliance.rely(ids), visited: cache, unusable: new Map(), signal },
    manifest,
  );
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
