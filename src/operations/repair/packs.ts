import { plural } from '../../kernel/plural.ts';
import { shortId } from '../../repository/blob-reader.ts';
import { packObject } from '../../repository/layout.ts';
import { indexFromPack } from '../../repository/pack-recovery.ts';
import { examinePack, hasChunk, secureChunk, storeGood } from './chunks.ts';
import { cannotBeRemoved, exchange, stateOf, stepOf, type RepairContext } from './context.ts';
import type { RepairStep } from './report.ts';

export interface DamagedPacks {
  /** Hex ids. */
  readonly packs: readonly string[];
  /** Hex ids of chunks that cannot be had, in whatever pack. */
  readonly chunks: readonly string[];
}

/** A damaged pack of which no copy is whole. */
interface Wreck {
  readonly id: string;
  readonly isThere: boolean;
}

/** Chunks that no plan names singly. */
const namedChunks = 100;

/** What would be done about packs. Pack by pack, nothing is written. */
export async function planPacks(context: RepairContext, damage: DamagedPacks): Promise<RepairStep[]> {
  const steps: RepairStep[] = [];
  const covered = new Set<string>();
  const cache = await context.repository.cache(context.signal);
  for (const id of damage.packs) {
    const name = packObject(id);
    const from = await context.sources.likely(name, context.signal);
    if (from !== undefined) {
      steps.push(stepOf('replace', name, { from }));
      for (const chunk of damage.chunks)
        if (cache.locate(Buffer.from(chunk, 'hex'))?.packId === id) covered.add(chunk);
    } else steps.push(...(await planWreck(context, id, name)));
  }
  const others = damage.chunks.filter((chunk) => !covered.has(chunk));
  for (const chunk of others.slice(0, namedChunks)) {
    const id = Buffer.from(chunk, 'hex');
    const from = await hasChunk(context, id);
    const note = from === undefined ? 'no copy has it' : null;
    steps.push(
      stepOf(from === undefined ? 'leave' : 'store_anew', `chunk ${shortId(id)}`, {
        from: from ?? null,
        note,
      }),
    );
  }
  return steps;
}

async function planWreck(context: RepairContext, id: string, name: string): Promise<RepairStep[]> {
  const found = await stateOf(context, name);
  // What is missing is told chunk by chunk.
  if (found.state === 'missing') return [];
  if (found.state === 'good') return [stepOf('rebuild', name, { note: 'what the local index tells of it' })];
  const salvage = await examinePack(context, id, found.bytes);
  if (salvage === undefined) return [stepOf('set_aside', name, { note: 'nothing of it can be read' })];
  const note = `${plural(salvage.good.length, 'chunk')} of it can be read, ${salvage.bad.length} cannot`;
  return [stepOf('store_anew', name, { from: 'here', note })];
}

/** Mends packs: whole from a copy where one has them, else chunk by chunk. Resolves when all of it is durable. */
export async function mendPacks(context: RepairContext, damage: DamagedPacks): Promise<void> {
  const { repository, signal, progress } = context;
  const wrecks: Wreck[] = [];
  for (const id of damage.packs) {
    signal.throwIfAborted();
    progress.phase(`mending pack ${id.slice(0, 8)}`);
    const wreck = await replacePack(context, id);
    if (wreck !== undefined) wrecks.push(wreck);
  }
  const cache = await repository.freshCache(0, signal);
  const open = damage.chunks.filter((chunk) => {
    const found = cache.locate(Buffer.from(chunk, 'hex'));
    return found?.present !== true || found.damaged;
  });
  if (wrecks.length > 0 || open.length > 0) await mendChunks(context, wrecks, open);
}

/** Puts a good pack in the place of a damaged one; the wreck when no copy has one. */
async function replacePack(context: RepairContext, id: string): Promise<Wreck | undefined> {
  const { sources, signal, tell } = context;
  const name = packObject(id);
  const found = await stateOf(context, name);
  if (found.state === 'good') {
    // Only what this machine knew of it was wrong, or it was read wrongly.
    await learn(context, id, found.bytes.length);
    return undefined;
  }
  const good = await sources.find(name, signal);
  const wreck = { id, isThere: found.state === 'damaged' };
  if (good === undefined) return wreck;
  try {
    const damaged = found.state === 'damaged' ? found.bytes : undefined;
    const quarantined = await exchange(context, name, damaged, good.bytes);
    await learn(context, id, good.bytes.length);
    tell({ ...stepOf('replace', name, { from: good.from }), quarantined });
    return undefined;
  } catch (error) {
    if (cannotBeRemoved(error) === undefined) throw error;
    // It stays in the way; what it holds is stored anew beside it.
    return wreck;
  }
}

/** Takes what a whole pack tells of itself for the truth about it. */
async function learn({ repository, signal }: RepairContext, id: string, sizeBytes: number): Promise<void> {
  const { storage, pipelineKeys } = repository;
  const cache = await repository.cache(signal);
  cache.replacePack(await indexFromPack(storage, pipelineKeys, id, sizeBytes, signal));
}

async function mendChunks(
  context: RepairContext,
  wrecks: readonly Wreck[],
  chunks: readonly string[],
): Promise<void> {
  const { repository, signal, jobs, compression, clock, tell } = context;
  await using session = await repository.beginSession({ signal, jobs, compression });
  const cache = await repository.cache(signal);
  const ids = wrecks.map(({ id }) => id);
  // What is about to go is nothing to rely on.
  cache.doom(ids, clock.now(), Number.MAX_SAFE_INTEGER);
  const wanted = new Set(chunks);
  const notes = new Map<string, string>();
  for (const { id, isThere } of wrecks) {
    if (!isThere) continue;
    context.progress.phase(`saving what is good of pack ${id.slice(0, 8)}`);
    const found = await stateOf(context, packObject(id));
    const salvage = found.state === 'damaged' ? await examinePack(context, id, found.bytes) : undefined;
    if (salvage === undefined || found.state !== 'damaged') continue;
    await storeGood(session, found.bytes, salvage);
    for (const { id: bad } of salvage.bad) wanted.add(Buffer.from(bad).toString('hex'));
    for (const { id: bad } of salvage.bad) cache.markDamaged(bad, id);
    notes.set(id, `${plural(salvage.good.length, 'good chunk')} stored anew`);
  }
  const secured: { readonly chunk: string; readonly from: string | undefined }[] = [];
  for (const chunk of wanted) {
    signal.throwIfAborted();
    secured.push({ chunk, from: await secureChunk(context, session, Buffer.from(chunk, 'hex')) });
  }
  await session.settle();
  for (const { chunk, from } of secured) {
    const object = `chunk ${chunk.slice(0, 16)}`;
    if (from === undefined)
      tell({ ...stepOf('leave', object, { note: 'no copy has it' }), quarantined: null });
    else if (from !== 'here') tell({ ...stepOf('store_anew', object, { from }), quarantined: null });
  }
  for (const wreck of wrecks) if (wreck.isThere) await setAside(context, wreck.id, notes.get(wreck.id));
}

/** Behind the point where all that was good of it is durable somewhere else. */
async function setAside(context: RepairContext, id: string, note = 'nothing of it can be read') {
  const name = packObject(id);
  const found = await stateOf(context, name);
  if (found.state !== 'damaged') return;
  try {
    const quarantined = await exchange(context, name, found.bytes, undefined);
    context.tell({ ...stepOf('set_aside', name, { note }), quarantined });
  } catch (error) {
    const stays = cannotBeRemoved(error);
    if (stays === undefined) throw error;
    context.tell({ ...stepOf('leave', name, { note: `${note}; ${stays.message}` }), quarantined: null });
  }
}
