import { reasonOf } from '../../kernel/errors/failure.ts';
import { plural } from '../../kernel/plural.ts';
import { packObject } from '../../repository/layout.ts';
import { indexFromPack } from '../../repository/pack-recovery.ts';
import type { WriteSession } from '../../repository/write-session.ts';
import { examinePack, hasChunk, secureChunk, storeGood } from './chunks.ts';
import { shun } from './shun.ts';
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
  const replaced = new Set<string>();
  for (const id of damage.packs) {
    const name = packObject(id);
    const from = await context.sources.likely(name, context.signal);
    if (from === undefined) steps.push(...(await planWreck(context, id, name)));
    else {
      replaced.add(id);
      steps.push(stepOf('replace', name, { from }));
    }
  }
  const cache = await context.repository.cache(context.signal);
  const others = damage.chunks.filter((chunk) => {
    const found = cache.locate(Buffer.from(chunk, 'hex'));
    return found === undefined || !replaced.has(found.packId);
  });
  for (const chunk of others.slice(0, namedChunks)) {
    const from = await hasChunk(context, Buffer.from(chunk, 'hex'));
    const object = `chunk ${chunk.slice(0, 16)}`;
    if (from === undefined) steps.push(stepOf('leave', object, { note: nobodyHas }));
    else steps.push(stepOf('store_anew', object, { from }));
  }
  const more = others.length - namedChunks;
  if (more > 0)
    steps.push(stepOf('store_anew', plural(more, 'more chunk'), { note: 'as far as somebody has them' }));
  return steps;
}

const nobodyHas = 'no copy has it';

async function planWreck(context: RepairContext, id: string, name: string): Promise<RepairStep[]> {
  const found = await stateOf(context, name);
  // What is missing is told chunk by chunk.
  if (found.state === 'missing') return [];
  if (found.state === 'good') return [stepOf('rebuild', name, { note: 'what the local index tells of it' })];
  const salvage = await examinePack(context, id, found.bytes);
  if (salvage === undefined)
    return [
      stepOf('set_aside', name, { note: 'nothing of it can be read; it stays if something is lost with it' }),
    ];
  let note = `${plural(salvage.good.length, 'chunk')} of it can be read, ${salvage.bad.length} cannot`;
  let lost = 0;
  for (const { id: bad } of salvage.bad.slice(0, namedChunks))
    if ((await hasChunk(context, bad)) === undefined) lost += 1;
  if (lost > 0) note += '; as nobody else has all of these, it stays as well';
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
    const done = await exchange(context, name, damaged, good.bytes);
    // What is good now shows when it is examined again; what reads differently each time is no pack to rely on.
    if ('stays' in done) return wreck;
    await learn(context, id, good.bytes.length);
    tell({ ...stepOf('replace', name, { from: good.from }), ...done });
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
  // What is to go is nothing to rely on.
  cache.doom(ids, clock.now(), Number.MAX_SAFE_INTEGER);
  const saved = await saveGood(context, session, wrecks);
  // Only what is durable can be asked for.
  await session.settle();
  const wanted = new Set([...chunks, ...saved.flatMap(({ bad }) => bad ?? [])]);
  const secured = new Map<string, string | undefined>();
  for (const chunk of wanted) {
    signal.throwIfAborted();
    secured.set(chunk, await secureChunk(context, session, Buffer.from(chunk, 'hex')));
  }
  await session.settle();
  for (const [chunk, from] of secured) {
    const object = `chunk ${chunk.slice(0, 16)}`;
    if (from === undefined) tell({ ...stepOf('leave', object, { note: nobodyHas }), quarantined: null });
    else if (from !== 'here') tell({ ...stepOf('store_anew', object, { from }), quarantined: null });
  }
  const lost = new Set([...secured.keys()].filter((chunk) => secured.get(chunk) === undefined));
  for (const { id, bad, note } of saved) {
    // Of a pack that tells nothing of itself anybody's loss may be in it.
    const isNeeded = bad === null ? lost.size > 0 : bad.some((chunk) => lost.has(chunk));
    if (isNeeded)
      await leaveWreck(
        context,
        id,
        `${note}; as nobody else has the others, it stays in case they can be read once`,
      );
    else await setAside(context, id, note);
  }
}

/** What became of a damaged pack. */
interface Saved {
  readonly id: string;
  /** Chunks of it that cannot be read; null where nothing is known of what it holds. */
  readonly bad: readonly string[] | null;
  readonly note: string;
}

async function saveGood(
  context: RepairContext,
  session: WriteSession,
  wrecks: readonly Wreck[],
): Promise<Saved[]> {
  const cache = await context.repository.cache(context.signal);
  const saved: Saved[] = [];
  for (const { id, isThere } of wrecks) {
    if (!isThere) continue;
    context.progress.phase(`saving what is good of pack ${id.slice(0, 8)}`);
    const found = await stateOf(context, packObject(id));
    if (found.state === 'good') await learn(context, id, found.bytes.length);
    if (found.state !== 'damaged') continue;
    const salvage = await examinePack(context, id, found.bytes);
    if (salvage === undefined) {
      saved.push({ id, bad: null, note: 'nothing of it can be read' });
      continue;
    }
    await storeGood(session, found.bytes, salvage);
    for (const { id: bad } of salvage.bad) cache.markDamaged(bad, id);
    const bad = salvage.bad.map((blob) => Buffer.from(blob.id).toString('hex'));
    saved.push({ id, bad, note: `${plural(salvage.good.length, 'good chunk')} stored anew` });
  }
  return saved;
}

/** Behind the point where all that it held is durable somewhere else. */
async function setAside(context: RepairContext, id: string, note: string): Promise<void> {
  const name = packObject(id);
  const found = await stateOf(context, name);
  if (found.state !== 'damaged') return;
  try {
    const done = await exchange(context, name, found.bytes, undefined);
    if ('stays' in done) await leaveWreck(context, id, `${note}; ${done.stays}`);
    else context.tell({ ...stepOf('set_aside', name, { note }), ...done });
  } catch (error) {
    const stays = cannotBeRemoved(error);
    if (stays === undefined) throw error;
    await leaveWreck(context, id, `${note}; ${stays.message}`);
  }
}

/** It stays, and no backup is to rely on what is in it: each stores anew what it needs. */
async function leaveWreck(context: RepairContext, id: string, note: string): Promise<void> {
  context.tell({ ...stepOf('leave', packObject(id), { note }), quarantined: null });
  await shun(context, id).catch((error: unknown) => {
    if (cannotBeRemoved(error) === undefined) throw error;
    context.log.warn('other machines cannot be told of a damaged pack', {
      pack: id,
      reason: reasonOf(error),
    });
  });
}
