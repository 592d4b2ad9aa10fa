import type { RetentionConfig } from '../contract/config-retention.ts';
import { failure, type HoldfastError } from '../kernel/errors/failure.ts';
import { plural } from '../kernel/plural.ts';
import { forgetBackups, type ToForget } from '../operations/forget.ts';
import type { PruneReport } from '../operations/prune/report.ts';
import { judgeSource } from '../policy/retention/judge.ts';
import type { Judgement, RetentionBackup } from '../policy/retention/model.ts';
import { describePolicy, readRules } from '../policy/retention/rules.ts';
import type { Repository } from '../repository/repository.ts';
import { readInventory, timelinesFor, type Inventory } from './clean-inventory.ts';
import { calendarZone, givenPolicy, policyFor, type ChosenPolicy } from './clean-policy.ts';
import {
  openConfiguredRepository,
  withApp,
  type App,
  type AppContext,
  type CommonOptions,
  type Outcome,
} from './compose.ts';
import type { UnreadableBackup } from './list.ts';
import { tellLocked } from './locked.ts';
import { periodNow } from './period-clock.ts';
import { pruneOpened } from './prune.ts';
import { unknownSource } from './unknown-source.ts';

export interface CleanOptions extends CommonOptions {
  /** Only these; all configured ones when empty. */
  readonly sources?: readonly string[] | undefined;
  /** In the place of every policy of the configuration. */
  readonly retention?: RetentionRules | undefined;
  readonly dryRun?: boolean | undefined;
  /** Answer yes where a question would be asked. */
  readonly yes?: boolean | undefined;
  /** Prune right after it. */
  readonly prune?: boolean | undefined;
  /** Given the plan before anything is asked or done. */
  readonly onPlan?: ((plan: CleanPlan) => void) | undefined;
}

/** As below `retention` in a configuration. */
export type RetentionRules = Omit<RetentionConfig, 'keep_tags'> & {
  readonly keep_tags?: readonly string[] | undefined;
};

export interface PlannedBackup {
  readonly id: string;
  readonly source: string;
  readonly kind: string;
  readonly started_at: string;
  readonly action: 'keep' | 'forget';
  readonly reasons: readonly string[];
}

export interface SourcePolicy {
  readonly source: string;
  /** The rules that count; null when there are none for it, or it was not to be cleaned. */
  readonly retention: RetentionRules | null;
  /** Where they are written. */
  readonly from: string | null;
}

export interface CleanPlan {
  /** The time zone in which days and weeks were counted. */
  readonly timezone: string;
  /** In the order of their names. */
  readonly policies: readonly SourcePolicy[];
  /** By source, the oldest first. */
  readonly plan: readonly PlannedBackup[];
}

export interface CleanResult extends Outcome, CleanPlan {
  readonly dry_run: boolean;
  readonly repository: { readonly id: string; readonly location: string };
  /** How many stay, and how many are forgotten or, in a dry run, would be. */
  readonly kept: number;
  readonly forgotten: number;
  /** Ids of backups that no rule keeps and the storage does: it has them locked. */
  readonly locked: readonly string[];
  /** Backups that are there and whose manifest cannot be read: no policy touches them. */
  readonly unreadable: readonly UnreadableBackup[];
  /** What the prune did that was asked for; null without. */
  readonly prune: PruneReport | null;
}

/**
 * Forgets what no rule keeps, of the sources named or of all that are configured. `retention_empty` when there is no policy
 * at all, `source_unknown`. What is forgotten can be brought back until a prune. Manifests that cannot be read stay, and make
 * the result not ok (`backups_unreadable`).
 */
export async function clean(options: CleanOptions, context: AppContext): Promise<CleanResult> {
  let touched: readonly string[] = [];
  const audited = options.dryRun === true ? null : { name: 'clean', touched: () => touched };
  return withApp(options, context, audited, async (app) => {
    const given = givenPolicy(options.retention);
    await using repository = await openConfiguredRepository(app);
    using progress = app.observer.progress('clean');
    progress.phase('reading the list of backups');
    const inventory = await readInventory(repository, app.signal);
    const chosen = choosePolicies(app, inventory, options.sources ?? [], given);
    const nowMs = await nowFor(app, repository, [...chosen.values()], options);
    const judged = await judgeAll(app, repository, inventory, chosen, {
      nowMs,
      named: options.sources ?? [],
    });
    const plan = planOf(app, judged);
    options.onPlan?.(plan);
    warnOfFuture(app, inventory);
    const going = judged.flatMap(({ judgements }) => judgements.filter(({ action }) => action === 'forget'));
    let locked: readonly string[] = [];
    if (options.dryRun !== true && going.length > 0) {
      await agree(app, options, going.length);
      locked = await forget(app, repository, inventory, judged, progress);
      touched = going.map(({ backup }) => backup.id).filter((id) => !locked.includes(id));
    }
    const { location } = repository.storage;
    const error = damageIn(inventory, location);
    const pruned =
      options.prune === true && error === undefined
        ? await pruneOpened(app, repository, { dryRun: options.dryRun })
        : null;
    return {
      schema: 1,
      ok: error === undefined,
      ...(error === undefined ? {} : { error: error.toJSON() }),
      dry_run: options.dryRun === true,
      repository: { id: repository.info.id, location },
      ...plan,
      kept: plan.plan.length - going.length + locked.length,
      forgotten: going.length - locked.length,
      locked,
      unreadable: inventory.unreadable,
      prune: pruned,
    };
  });
}

/** What was decided for the backups of one source, and by which policy. */
interface JudgedSource {
  readonly source: string;
  readonly chosen: ChosenPolicy | null;
  readonly judgements: readonly Judgement[];
}

/** By source its policy, null when there is none; without those that are not to be cleaned. */
type ChosenPolicies = ReadonlyMap<string, ChosenPolicy | null>;

function choosePolicies(
  app: App,
  { backups }: Inventory,
  named: readonly string[],
  given: RetentionConfig | undefined,
): ChosenPolicies {
  const known = new Set([...backups.map(({ source }) => source), ...Object.keys(app.config.sources)]);
  for (const name of named) if (!known.has(name)) throw unknownSource(name, known);
  const meant = (source: string): boolean =>
    named.length === 0 ? Object.hasOwn(app.config.sources, source) : named.includes(source);
  const chosen = new Map([...known].filter(meant).map((source) => [source, policyFor(app, source, given)]));
  const isNowhere = given === undefined && app.config.retention === undefined;
  if (isNowhere && [...chosen.values()].every((policy) => policy === null))
    throw failure('retention_empty', { where: 'the configuration' });
  for (const policy of chosen.values()) if (policy !== null) readRules(policy.policy, policy.from);
  return chosen;
}

/** A dry run writes nothing, so it goes by the clock of this machine alone. */
async function nowFor(
  app: App,
  repository: Repository,
  chosen: readonly (ChosenPolicy | null)[],
  { dryRun }: CleanOptions,
): Promise<number> {
  const counts = chosen.some((one) => (one?.policy.keep_within ?? one?.policy.keep_wal) !== undefined);
  return counts && dryRun !== true ? await periodNow(app, repository) : app.machine.clock.now();
}

async function judgeAll(
  app: App,
  repository: Repository,
  { backups }: Inventory,
  chosen: ChosenPolicies,
  { nowMs, named }: { readonly nowMs: number; readonly named: readonly string[] },
): Promise<readonly JudgedSource[]> {
  const groups = Map.groupBy(backups, ({ source }) => source);
  const judged: JudgedSource[] = [];
  for (const [source, own] of [...groups].toSorted(([a], [b]) => (a < b ? -1 : 1))) {
    const policy = chosen.get(source) ?? null;
    const judgements =
      policy === null
        ? own.map((backup) => untouched(backup, chosen.has(source), named.length > 0))
        : await judge(app, repository, own, policy, nowMs);
    judged.push({ source, chosen: policy, judgements });
  }
  return judged;
}

async function judge(
  app: App,
  repository: Repository,
  backups: readonly RetentionBackup[],
  { policy, from }: ChosenPolicy,
  nowMs: number,
): Promise<readonly Judgement[]> {
  const timelines =
    policy.keep_wal === undefined ? new Map() : await timelinesFor(repository, backups, app.signal);
  return judgeSource(backups, policy, from, { zone: calendarZone(app), nowMs, timelines });
}

function untouched(backup: RetentionBackup, isMeant: boolean, isNamed: boolean): Judgement {
  const reason = isMeant
    ? 'no retention is set for its source'
    : isNamed
      ? 'its source was not named'
      : `its source is not configured: name it to clean it, --source ${backup.source}`;
  return { backup, action: 'keep', reasons: [reason] };
}

function planOf(app: App, judged: readonly JudgedSource[]): CleanPlan {
  return {
    timezone: calendarZone(app).name,
    policies: judged.map(({ source, chosen }) => ({
      source,
      retention: chosen?.policy ?? null,
      from: chosen?.from ?? null,
    })),
    plan: judged.flatMap(({ judgements }) =>
      judgements.map(({ backup, action, reasons }) => ({
        id: backup.id,
        source: backup.source,
        kind: backup.kind,
        started_at: new Date(backup.startedAtMs).toISOString(),
        action,
        reasons,
      })),
    ),
  };
}

/** They stay; but a clock is wrong, that of this machine or of the one that made them. */
function warnOfFuture({ machine, observer }: App, { backups }: Inventory): void {
  const nowMs = machine.clock.now();
  const ahead = backups.filter(({ startedAtMs }) => startedAtMs > nowMs);
  const [first] = ahead;
  if (first === undefined) return;
  observer.notice({
    level: 'warning',
    message: `${plural(ahead.length, 'backup')} began in the future, for instance ${first.id.slice(0, 8)} of ${first.source} at ${new Date(first.startedAtMs).toISOString()}; here it is ${new Date(nowMs).toISOString()}`,
    hint: 'set the clocks right, of this machine and of the one that makes the backups',
  });
}

/** The policy is what was agreed to: only whoever sits there and sees the plan is asked once more. */
async function agree(app: App, { yes }: CleanOptions, count: number): Promise<void> {
  if (yes === true || app.asker === null) return;
  const question = `Forget ${plural(count, 'backup')}? They can be brought back until a prune.`;
  if (!(await app.asker.confirm(question))) throw failure('declined', { what: 'no backup was forgotten' });
}

async function forget(
  app: App,
  repository: Repository,
  { names }: Inventory,
  judged: readonly JudgedSource[],
  progress: { phase(text: string): void; total(bytes: number): void; advance(bytes: number): void },
): Promise<readonly string[]> {
  const going: ToForget[] = [];
  for (const { backup, action, reasons } of judged.flatMap(({ judgements }) => judgements)) {
    const name = names.get(backup.id);
    if (action === 'forget' && name !== undefined) going.push({ name, source: backup.source, why: reasons });
  }
  const policies = new Set(
    judged.flatMap(({ chosen }) => (chosen === null ? [] : [describePolicy(chosen.policy)])),
  );
  const { signal, log, machine } = app;
  const { locked } = await forgetBackups(repository, going, {
    signal,
    log,
    progress,
    clock: machine.clock,
    host: machine.host,
    user: machine.user,
    reason: `clean: ${[...policies].join(' / ')}`,
    mustStay: staying(judged),
  });
  tellLocked(app, locked);
  return locked.map(({ id }) => id);
}

/** What is kept of the sources that lose something: the plan counts on it. */
function staying(judged: readonly JudgedSource[]): string[] {
  return judged
    .map(({ judgements }) => Map.groupBy(judgements, ({ action }) => action))
    .filter((byAction) => byAction.has('forget'))
    .flatMap((byAction) => (byAction.get('keep') ?? []).map(({ backup }) => backup.id));
}

function damageIn({ unreadable }: Inventory, location: string): HoldfastError | undefined {
  const { length: count } = unreadable;
  return count === 0 ? undefined : failure('backups_unreadable', { count, location });
}
