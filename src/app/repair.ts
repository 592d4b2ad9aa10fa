import { failure, isFailure } from '../kernel/errors/failure.ts';
import type { Findings } from '../operations/verify-findings.ts';
import { GoodSources, type RepairSource } from '../operations/repair/good-sources.ts';
import { isPlaceOf } from '../operations/repair/place.ts';
import { repairRepository } from '../operations/repair/repair.ts';
import type { RepairReport, RepairStep } from '../operations/repair/report.ts';
import { levelOf } from '../operations/verify.ts';
import { listQuarantine } from '../repository/quarantine.ts';
import type { Repository } from '../repository/repository.ts';
import type { Remembered } from '../operations/verify-options.ts';
import {
  historyMemory,
  openAndTell,
  openConfiguredRepository,
  openStorageAt,
  withApp,
  type App,
  type AppContext,
} from './compose.ts';
import { appAt, namedPlace, type Place } from './places.ts';
import { notMended, wouldMend } from './verify-mend.ts';
import { assertWhole, conclude, prepare, type VerifyOptions, type VerifyResult } from './verify.ts';

export interface RepairOptions extends VerifyOptions {
  /** Names or locations of copies to take good objects from; all of the configuration when empty. */
  readonly from?: readonly string[] | undefined;
  readonly dryRun?: boolean | undefined;
  /** Remove what is in the quarantine, once all is whole. */
  readonly emptyQuarantine?: boolean | undefined;
}

export interface RepairResult extends VerifyResult {
  readonly repair: RepairReport & {
    /** Sources whose live data may have what is lost. */
    readonly sources: readonly string[];
    readonly quarantine: { readonly objects: number; readonly bytes: number; readonly emptied: boolean };
  };
}

/** Steps that are told one by one before they are done. */
const shownSteps = 30;

/**
 * Checks the repository and mends what is found. What stays broken makes the result not ok (`repair_incomplete`, in a dry
 * run, for whatever is broken, `repair_planned`); what was done is in it.
 */
export async function repair(options: RepairOptions, context: AppContext): Promise<RepairResult> {
  const dryRun = options.dryRun === true;
  const touched = (result: RepairResult): string[] => result.repair.done.map(({ object }) => object);
  return withApp(options, context, dryRun ? null : { name: 'repair', touched }, async (app) => {
    assertWhole(options.ids, '--repair');
    const named = options.from ?? [];
    const places = named.length > 0 ? named.map((text) => namedPlace(app, text)) : otherPlaces(app);
    await using repository = await openToMend(app, places);
    await using sources = new GoodSources(
      repository,
      places.map((place) => sourceAt(app, place)),
      app.log,
    );
    return await mend(app, repository, sources, options);
  });
}

/** Every place of the configuration but the one that is mended, be it told by a flag. */
function otherPlaces(app: App): readonly Place[] {
  const { repositories, repository } = app.config;
  return Object.keys(repositories)
    .map((name) => namedPlace(app, name))
    .filter(({ location }) => location !== repository);
}

async function mend(
  app: App,
  repository: Repository,
  sources: GoodSources,
  options: RepairOptions,
): Promise<RepairResult> {
  const { signal, log, jobs, machine, compression } = app;
  const { clock, host, user } = machine;
  const dryRun = options.dryRun === true;
  const { examination: wishes, memory } = await prepare(app, repository, options);
  // What only this machine remembers is looked for in copies as well.
  const examination = { ...wishes, remembered: await withOwnMemory(app, repository, memory.remembered) };
  using progress = app.observer.progress('repair');
  const startedAtMs = clock.now();
  const work = { signal, log, jobs, progress };
  const { report, before, after } = await repairRepository({
    ...work,
    repository,
    sources,
    clock,
    compression,
    host,
    user,
    dryRun,
    verify: examination,
    onPlan: (plan) => tellPlan(app, plan, dryRun),
  });
  for (const { name, reason } of sources.unusable)
    app.observer.notice({ level: 'warning', message: `the copy ${name} could not be used: ${reason}` });
  // What was read at first counts as read; what is wrong in the end is what is reported.
  after.read.packs.push(...(after === before ? [] : before.read.packs));
  after.read.wal.push(...(after === before ? [] : before.read.wal));
  const verified = { ...work, ...examination };
  const conclusion = { findings: after, memory, how: verified, startedAtMs, options };
  const name = dryRun ? null : await conclude(app, repository, conclusion);
  const found = after.report(levelOf(verified));
  const hurt = await sourcesOf(repository, after, signal);
  const { location } = repository.storage;
  const error = found.ok
    ? undefined
    : dryRun
      ? wouldMend(found, location, report.plan)
      : notMended(found, location, hurt);
  const quarantine = await quarantineOf(app, repository, options, found.ok);
  return {
    schema: 1,
    ...found,
    ...(error === undefined ? {} : { error: error.toJSON() }),
    repository: { id: repository.info.id, location },
    report: name,
    repair: { ...report, sources: hurt, quarantine },
  };
}

async function withOwnMemory(
  app: App,
  { info, storage }: Repository,
  remembered: Remembered,
): Promise<Remembered> {
  const { points } = await historyMemory(app, info.id, storage.location);
  const known = new Set(remembered.heads.map(({ id }) => id));
  return { ...remembered, heads: [...remembered.heads, ...points.filter(({ id }) => !known.has(id))] };
}

function tellPlan({ observer }: App, plan: readonly RepairStep[], dryRun: boolean): void {
  observer.event({ type: 'plan', plan });
  // It is the answer then.
  if (dryRun) return;
  for (const step of plan.slice(0, shownSteps)) observer.notice({ level: 'info', message: stepWords(step) });
  if (plan.length > shownSteps)
    observer.notice({ level: 'info', message: `and ${plan.length - shownSteps} more` });
}

const actionWords: Readonly<Record<RepairStep['action'], string>> = {
  replace: 'put back',
  rebuild: 'make anew',
  store_anew: 'store anew',
  set_aside: 'set aside',
  bring_back: 'bring back',
  leave: 'leave',
};

/** One line for people. */
export function stepWords({ action, object, from, note }: RepairStep): string {
  const source = from === null || from === 'here' ? '' : ` from ${from}`;
  return `${actionWords[action]} ${object}${source}${note === null ? '' : ` (${note})`}`;
}

/** Sources of the backups that something is wrong with. */
async function sourcesOf(repository: Repository, findings: Findings, signal: AbortSignal): Promise<string[]> {
  const affected = findings.affected();
  const sources = new Set<string>();
  for (const name of await repository.names({ signal })) {
    if (!affected.has(name.id)) continue;
    try {
      sources.add((await repository.manifest(name, { signal })).source.name);
    } catch (error) {
      // Its manifest is what is damaged.
      if (!isFailure(error)) throw error;
    }
  }
  return [...sources];
}

async function quarantineOf(
  { signal }: App,
  repository: Repository,
  { emptyQuarantine, dryRun }: RepairOptions,
  isWhole: boolean,
): Promise<RepairResult['repair']['quarantine']> {
  const { storage } = repository;
  let objects = 0;
  let bytes = 0;
  const emptied = emptyQuarantine === true && isWhole && dryRun !== true;
  const held = await Array.fromAsync(listQuarantine(storage, signal));
  for (const { name, sizeBytes } of held) {
    objects += 1;
    bytes += sizeBytes;
    if (emptied) await storage.delete(name, { signal });
  }
  return { objects, bytes, emptied };
}

function sourceAt(app: App, place: Place): RepairSource {
  return { name: place.name, open: async () => (await openAndTell(appAt(app, place))).repository };
}

/** What opens a repository may itself be what is damaged: then the same of a copy does it. */
const opensElsewhere: readonly string[] = [
  'repository_damaged',
  'repository_missing',
  'key_none',
  'key_damaged',
];

async function openToMend(app: App, places: readonly Place[]): Promise<Repository> {
  try {
    return await openConfiguredRepository(app);
  } catch (error) {
    if (!isFailure(error) || !opensElsewhere.includes(error.errorName)) throw error;
    for (const place of places) {
      const copy = await openAndTell(appAt(app, place)).catch((other: unknown) => {
        app.signal.throwIfAborted();
        if (!isFailure(other)) throw other;
        app.log.warn('a copy cannot be used', { copy: place.name, reason: other.message });
        return undefined;
      });
      if (copy === undefined) continue;
      app.observer.notice({
        level: 'warning',
        message: `${error.message}; it is opened by what ${place.name} has`,
      });
      return await openBy(app, copy.repository);
    }
    throw error;
  }
}

/** The place that is to be mended, opened with the configuration and the keys of a copy. */
async function openBy(app: App, copy: Repository): Promise<Repository> {
  await using opened = copy;
  const storage = await openStorageAt(app, app.config.repository, false);
  const repository = opened.elsewhere(storage);
  if (await isPlaceOf(repository, app.signal)) return repository;
  await repository[Symbol.asyncDispose]();
  throw failure('repair_elsewhere', { location: storage.location, origin: opened.storage.location });
}
