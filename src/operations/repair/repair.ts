import { completeIndex, untold } from '../../repository/rebuild-index.ts';
import type { Findings } from '../verify-findings.ts';
import type { VerifyOptions } from '../verify-options.ts';
import { examine, isEverythingRead } from '../verify.ts';
import { mendBackups, planBackups } from './backups.ts';
import { stepOf, type RepairContext } from './context.ts';
import { damageOf, isNothing, type Damage } from './damage.ts';
import { mendKeys, planKeys } from './keys.ts';
import { mendObject, planObject } from './objects.ts';
import { mendPacks, planPacks } from './packs.ts';
import type { DoneStep, RepairReport, RepairStep } from './report.ts';
import { mendWal, planWal } from './wal.ts';

/** What is mended may show what could not be seen before it: a manifest, and then a pack that only it needs. */
const mostRounds = 6;

export interface RepairOptions extends Omit<RepairContext, 'tell'> {
  readonly verify: Omit<VerifyOptions, 'signal' | 'log' | 'jobs' | 'progress'>;
  /** Told what will be done, before anything is. */
  readonly onPlan?: ((plan: readonly RepairStep[]) => void) | undefined;
}

export interface Repaired {
  readonly report: RepairReport;
  /** What was found at first. */
  readonly before: Findings;
  /** What is still wrong in the end. */
  readonly after: Findings;
}

/**
 * Verifies, mends what is found out of copies and of what is left here, and verifies again. Nothing that is good is
 * removed, nor a pack that may hold what nobody else has; what is damaged goes to the quarantine before it makes way. Takes no lock: backups may run meanwhile.
 */
export async function repairRepository(options: RepairOptions): Promise<Repaired> {
  const { repository, sources, signal, log, jobs, progress, dryRun } = options;
  repository.assertMay('read', 'check');
  if (!dryRun) repository.assertMay('write', 'delete');
  const verifying = { signal, log, jobs, progress, ...options.verify };
  const before = await examine(repository, verifying);
  const done: DoneStep[] = [];
  const context: RepairContext = { ...options, tell: (step) => void done.push(step) };
  let damage = damageOf(before);
  progress.phase('planning the repair');
  const plan = await planOf(context, damage);
  options.onPlan?.(plan);
  // What was found by reading it is read again.
  const suspects = [...new Set([...(options.verify.suspects ?? []), ...before.subjects()])];
  // Of a verification that has read everything nothing is unlisted any more.
  const suspectsUnlisted = options.verify.suspectsUnlisted === true && !isEverythingRead(verifying);
  const afterwards = { ...verifying, readData: false, suspects, suspectsUnlisted };
  let after = before;
  const rounds = dryRun || plan.length === 0 ? 0 : mostRounds;
  for (let round = 1; round <= rounds; round += 1) {
    const doneBefore = done.filter(isChange).length;
    await mend(context, damage);
    await repository.freshCache(0, signal);
    after = await examine(repository, afterwards);
    damage = damageOf(after);
    if (isNothing(damage) || done.filter(isChange).length === doneBefore) break;
  }
  return { report: { dry_run: dryRun, plan, done, unusable: sources.unusable }, before, after };
}

function isChange({ action }: RepairStep): boolean {
  return action !== 'leave';
}

async function planOf(context: RepairContext, damage: Damage): Promise<RepairStep[]> {
  const steps: RepairStep[] = [];
  const backups = await planBackups(context, damage.missingBackups);
  const isExplained = backups.every(({ action }) => action !== 'leave');
  for (const name of damage.objects) {
    const step = await planObject(context, name, isExplained);
    if (step !== undefined) steps.push(step);
  }
  if (damage.noKey) steps.push(...(await planKeys(context)));
  steps.push(...backups);
  steps.push(...(await planPacks(context, damage)));
  steps.push(...(await planWal(context, damage.wal)));
  const { repository, signal } = context;
  const silent = (await untold(repository, signal)).length;
  if (silent > 0 && !damage.objects.some((name) => name.startsWith('index/')))
    steps.push(stepOf('rebuild', 'index/', { from: 'here', note: `no index tells of ${silent} packs` }));
  return steps;
}

/** Keys and manifests first: what they lead to can then be found. Indexes last, when the packs are as they will be. */
async function mend(context: RepairContext, damage: Damage): Promise<void> {
  const { repository, signal, tell, progress } = context;
  for (const name of damage.objects) {
    signal.throwIfAborted();
    progress.phase(`mending ${name}`);
    await mendObject(context, name, damage.missingBackups.size === 0);
  }
  if (damage.noKey) await mendKeys(context);
  await mendPacks(context, damage);
  await mendBackups(context, damage.missingBackups);
  await mendWal(context, damage.wal);
  progress.phase('completing the indexes');
  const { written, packs } = await completeIndex(repository, signal);
  for (const name of written)
    tell({
      ...stepOf('rebuild', name, { from: 'here', note: `tells of ${packs} packs` }),
      quarantined: null,
    });
}
