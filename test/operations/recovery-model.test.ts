import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { isFailure } from '../../src/kernel/errors/failure.ts';
import { ArchiveView } from '../../src/operations/recovery/archive-view.ts';
import type { ClusterBackup } from '../../src/operations/recovery/backups.ts';
import type {
  PostgresTarget,
  RecoveryTarget,
  RecoveryWish,
} from '../../src/operations/recovery/target-model.ts';
import { resolveTarget, type RecoveryPlan } from '../../src/operations/recovery/target.ts';
import { lsnOf, type Lsn } from '../../src/postgres/lsn.ts';
import type { ClusterMetadata } from '../../src/sources/postgres-cluster/metadata.ts';
import {
  archiveTimeline,
  modelStart,
  modelSystem,
  RecoveryModel,
  segmentBytes,
  simulateRecovery,
  type ModelTimeline,
  type Replayed,
} from '../../testing/recovery-model.ts';
import { makeWalArchive } from '../../testing/wal-archive.ts';

type Command =
  | { readonly do: 'commit' | 'abort' | 'switch' }
  | { readonly do: 'point'; readonly name: number }
  | { readonly do: 'fill'; readonly bytes: number }
  | { readonly do: 'backup' }
  /** Goes on from a moment of any timeline on a new one. */
  | { readonly do: 'branch'; readonly of: number; readonly back: number };

const command: fc.Arbitrary<Command> = fc.oneof(
  { weight: 6, arbitrary: fc.constant({ do: 'commit' } as const) },
  { weight: 1, arbitrary: fc.constant({ do: 'abort' } as const) },
  { weight: 1, arbitrary: fc.constant({ do: 'switch' } as const) },
  {
    weight: 2,
    arbitrary: fc.record({ do: fc.constant('point' as const), name: fc.integer({ min: 0, max: 2 }) }),
  },
  {
    weight: 6,
    arbitrary: fc.record({ do: fc.constant('fill' as const), bytes: fc.integer({ min: 1, max: 1_500_000 }) }),
  },
  { weight: 2, arbitrary: fc.constant({ do: 'backup' } as const) },
  {
    weight: 1,
    arbitrary: fc.record({ do: fc.constant('branch' as const), of: fc.nat(3), back: fc.nat(6) }),
  },
);

interface ModelBackup {
  readonly timeline: number;
  /** Operations done when it began and ended. */
  readonly from: number;
  to: number;
  stoppedAtUs: number;
}

interface World {
  readonly model: RecoveryModel;
  readonly backups: ModelBackup[];
}

/** Carries the commands out. A backup lasts for three operations. */
function build(commands: readonly Command[]): World {
  const model = new RecoveryModel();
  const backups: ModelBackup[] = [];
  let now = 1_760_000_000_000_000;
  let xid = 700;
  let current = model.timelines[0];
  for (const one of commands) {
    if (current === undefined) break;
    now += 3000;
    const done = model.ops(current).length;
    if (one.do === 'backup') {
      backups.push({ timeline: current.timeline, from: done, to: Infinity, stoppedAtUs: 0 });
      continue;
    }
    if (one.do === 'branch') {
      const of: ModelTimeline = model.timelines[one.of % model.timelines.length] ?? current;
      if (of.own.length === 0) continue;
      const fork = model.ops(of).length - Math.min(one.back, of.own.length - 1);
      current = model.branch(of, fork);
      continue;
    }
    if (one.do === 'commit' || one.do === 'abort') current.own.push({ do: one.do, xid: xid++, atUs: now });
    else if (one.do === 'point') current.own.push({ do: 'point', name: `point ${one.name}`, atUs: now });
    else if (one.do === 'fill') current.own.push(one);
    else current.own.push({ do: 'switch' });
    for (const backup of backups) {
      if (backup.to !== Infinity || backup.timeline !== current.timeline || done + 1 < backup.from + 3)
        continue;
      // The record that says that a backup has ended.
      current.own.push({ do: 'fill', bytes: 8 });
      Object.assign(backup, { to: model.ops(current).length, stoppedAtUs: now + 1 });
    }
  }
  return { model, backups: backups.filter(({ to }) => to !== Infinity) };
}

function backupOf(world: World, one: ModelBackup, index: number, archive: string): ClusterBackup {
  const timeline = world.model.timelines[one.timeline - 1];
  assert.ok(timeline);
  const { ends } = world.model.write(timeline);
  const start = one.from === 0 ? lsnOf(modelStart + 40n) : ends[one.from - 1];
  const stop = ends[one.to - 1];
  assert.ok(start !== undefined && stop !== undefined);
  const metadata = { wal_archive: archive, system_identifier: modelSystem } as ClusterMetadata;
  return {
    id: String(index).padStart(32, '0'),
    source: 'main',
    sequence: index + 1,
    timeline: one.timeline,
    start,
    stop,
    stoppedAtUs: one.stoppedAtUs,
    incomplete: null,
    metadata,
  };
}

/** Timelines with where each begins, as recovery along the last one goes. */
function stepsOf(
  model: RecoveryModel,
  timeline: number,
): { readonly timeline: number; readonly from: Lsn }[] {
  const of = model.timelines[timeline - 1];
  assert.ok(of);
  const forks = model.forks(of);
  const all = [...forks.map((fork) => fork.timeline), timeline];
  return all.map((number, index) => ({ timeline: number, from: forks[index - 1]?.at ?? lsnOf(0) }));
}

function liesOn(model: RecoveryModel, backup: ClusterBackup, timeline: number): boolean {
  if (backup.timeline === timeline) return true;
  const of = model.timelines[timeline - 1];
  return (
    of !== undefined &&
    model.forks(of).some((fork) => fork.timeline === backup.timeline && fork.at >= backup.stop)
  );
}

/** Independent of the code under test: the timeline that a wish means for a backup. */
function timelineOf(model: RecoveryModel, backup: ClusterBackup, wish: RecoveryWish): number | undefined {
  if (wish.timeline === 'current' || (wish.timeline === 'latest' && wish.target.kind === 'immediate'))
    return backup.timeline;
  const all = model.timelines
    .map(({ timeline }) => timeline)
    .filter((timeline) => liesOn(model, backup, timeline));
  if (wish.timeline === 'latest') return Math.max(...all);
  return all.includes(wish.timeline) ? wish.timeline : undefined;
}

function timesIn(replayed: Replayed): number[] {
  return replayed.events.flatMap(({ event }) =>
    event.kind === 'commit' || event.kind === 'abort' ? [Number(event.atUs)] : [],
  );
}

async function hasGap(
  view: ArchiveView,
  steps: readonly { readonly timeline: number; readonly from: Lsn }[],
  lsn: Lsn,
): Promise<boolean> {
  for (const [index, { timeline, from }] of steps.entries()) {
    const end = steps[index + 1]?.from;
    for (const run of await view.archive.runs(timeline)) {
      const start = run.start > from ? run.start : from;
      if (run.start > lsn && (end === undefined || start < end)) return true;
    }
  }
  return false;
}

/** Whether PostgreSQL would do what was wished with this backup, on the right timeline and with nothing of another. */
async function isPossible(
  world: World,
  view: ArchiveView,
  backup: ClusterBackup,
  wish: RecoveryWish,
): Promise<boolean> {
  const timeline = timelineOf(world.model, backup, wish);
  if (timeline === undefined) return false;
  const steps = stepsOf(world.model, timeline);
  const { target } = wish;
  const raw: PostgresTarget | null = target.kind === 'end' ? null : target;
  const replayed = await simulateRecovery(view.archive, steps, backup, raw, { staysOnPath: true });
  if (replayed.outcome === 'not_consistent') return false;
  const stopped = replayed.outcome === 'stopped';
  switch (target.kind) {
    case 'immediate':
      return true;
    case 'end':
      return !(await hasGap(view, steps, replayed.lsn));
    case 'time':
      return (
        target.value >= backup.stoppedAtUs && (stopped || Math.max(...timesIn(replayed)) === target.value)
      );
    case 'lsn':
      return target.value >= backup.stop && (stopped || replayed.lsn >= target.value);
    case 'xid':
      return stopped;
    case 'name':
      return stopped && replayed.lsn > backup.stop;
  }
}

async function checkPlan(
  world: World,
  view: ArchiveView,
  wish: RecoveryWish,
  plan: RecoveryPlan,
): Promise<void> {
  const timeline = plan.timelineSetting === 'current' ? plan.backup.timeline : Number(plan.timelineSetting);
  assert.equal(timeline, timelineOf(world.model, plan.backup, wish));
  const steps = stepsOf(world.model, timeline);
  const replayed = await simulateRecovery(view.archive, steps, plan.backup, plan.target);
  assert.equal(replayed.outcome, plan.target === null ? 'end' : 'stopped');
  // Between two records there may be the header of a page. A record of which only zeros are missing is whole once its
  // segment is filled up with zeros.
  const isFilledUp = plan.target === null && replayed.lsn > plan.candidate.reach.end.lsn;
  if (plan.lsn !== null && !isFilledUp) assert.ok(plan.lsn >= replayed.lsn && plan.lsn - replayed.lsn <= 40n);
  const of = world.model.timelines[timeline - 1];
  assert.ok(of);
  const { ends } = world.model.write(of);
  const truth = world.model.ops(of).map(({ op }, index) => ({ op, end: ends[index] ?? lsnOf(0) }));
  const due = truth.filter(({ op, end }) => end > plan.backup.start && end <= replayed.lsn && 'atUs' in op);
  assert.deepEqual(
    replayed.events.map(({ event }) => ('atUs' in event ? Number(event.atUs) : 0)),
    due.map(({ op }) => ('atUs' in op ? op.atUs : 0)),
    'what was replayed is the history of the timeline',
  );
  checkMeaning(wish.target, replayed, truth, plan);
}

function checkMeaning(
  target: RecoveryTarget,
  replayed: Replayed,
  truth: readonly { readonly op: ReturnType<RecoveryModel['ops']>[number]['op']; readonly end: Lsn }[],
  plan: RecoveryPlan,
): void {
  const rest = truth.filter(({ end }) => end > replayed.lsn);
  if (target.kind === 'time') {
    const isIn = (us: number): boolean => (target.inclusive ? us <= target.value : us < target.value);
    assert.ok(timesIn(replayed).every(isIn));
    assert.ok(!rest.some(({ op }) => (op.do === 'commit' || op.do === 'abort') && isIn(op.atUs)));
    assert.ok(plan.backup.stoppedAtUs <= target.value);
  }
  if (target.kind === 'lsn')
    assert.ok(replayed.lsn + 40n >= target.value && plan.backup.stop <= target.value);
  if (target.kind === 'xid') {
    const seen = replayed.events.some(({ event }) => 'xid' in event && BigInt(event.xid) === target.value);
    assert.equal(seen, target.inclusive);
  }
  if (target.kind === 'name') {
    const last = replayed.events.at(-1)?.event;
    assert.ok(last?.kind === 'restore_point' && last.name === target.value);
  }
}

function wishes(world: World, seed: number): RecoveryWish[] {
  let state = seed >>> 0;
  const random = (below: number): number => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
  const timelines = world.model.timelines;
  return Array.from({ length: 24 }, () => {
    const of = timelines[random(timelines.length)];
    assert.ok(of);
    const ops = world.model.ops(of);
    const at = random(Math.max(1, ops.length));
    const op = ops[at]?.op;
    const inclusive = random(3) > 0;
    const timeline = (['latest', 'latest', 'current', of.timeline] as const)[random(4)] ?? 'latest';
    const backup =
      random(4) === 0 && world.backups.length > 0
        ? String(random(world.backups.length)).padStart(32, '0')
        : null;
    const targets: RecoveryTarget[] = [{ kind: 'immediate' }, { kind: 'end' }];
    if (op !== undefined && 'atUs' in op) {
      for (const offset of [0, -1, 1, 1500])
        targets.push({ kind: 'time', value: op.atUs + offset, inclusive });
      if ('xid' in op) targets.push({ kind: 'xid', value: BigInt(op.xid), inclusive });
      if ('name' in op) targets.push({ kind: 'name', value: op.name });
    }
    const end = world.model.write(of).ends[at] ?? modelStart;
    for (const offset of [0n, 0n, 8n, -8n])
      targets.push({ kind: 'lsn', value: lsnOf(end + offset), inclusive });
    targets.push({ kind: 'xid', value: 5n, inclusive }, { kind: 'name', value: 'point 1' });
    return { backup, timeline, target: targets[random(targets.length)] ?? { kind: 'end' } };
  });
}

const scenario = fc.record({
  commands: fc.array(command, { minLength: 6, maxLength: 40 }),
  /** Segments that are not in the archive, by timeline and number from the first. */
  missing: fc.array(
    fc.record({ timeline: fc.integer({ min: 1, max: 4 }), segment: fc.nat(12), torn: fc.boolean() }),
    {
      maxLength: 3,
    },
  ),
  /** How much of the last segment of each timeline is there. */
  cuts: fc.array(fc.nat(segmentBytes), { maxLength: 4 }),
  unscanned: fc.boolean(),
  seed: fc.integer(),
});

/** The last record is a switch, and what follows it in its segment is not there. */
const switchAtTheEnd: Scenario = {
  commands: [
    { do: 'commit' },
    { do: 'backup' },
    { do: 'commit' },
    { do: 'fill', bytes: 1_045_276 },
    { do: 'commit' },
    { do: 'switch' },
  ],
  missing: [{ timeline: 1, segment: 1, torn: true }],
  cuts: [],
  unscanned: false,
  seed: 0,
};

/** Of the last record of timeline 2 one byte is missing, which is zero. */
const lastByteMissing: Scenario = {
  commands: [
    { do: 'backup' },
    { do: 'fill', bytes: 1 },
    { do: 'fill', bytes: 340_244 },
    { do: 'point', name: 0 },
    { do: 'switch' },
    { do: 'branch', of: 0, back: 1 },
    { do: 'backup' },
    { do: 'commit' },
    { do: 'commit' },
    { do: 'commit' },
  ],
  missing: [],
  cuts: [0, 341_553],
  unscanned: false,
  seed: 0,
};

type Scenario = typeof scenario extends fc.Arbitrary<infer T> ? T : never;

async function archived(world: World, { missing, cuts, unscanned }: Scenario): Promise<ArchiveView> {
  const { archive } = await makeWalArchive({ segmentBytes });
  const first = modelStart / BigInt(segmentBytes);
  for (const of of world.model.timelines) {
    const own = missing.filter(({ timeline }) => timeline === of.timeline);
    const these = (torn: boolean): Set<bigint> =>
      new Set(own.filter((one) => one.torn === torn).map(({ segment }) => first + BigInt(segment)));
    const cut = cuts[of.timeline - 1];
    const { end } = world.model.write(of);
    const limit = cut === undefined ? undefined : lsnOf(end - (end % BigInt(segmentBytes)) + BigInt(cut));
    await archiveTimeline(archive, world.model, of, {
      without: these(false),
      torn: these(true),
      unscanned,
      ...(limit === undefined ? {} : { end: limit }),
    });
  }
  return await ArchiveView.of(archive);
}

test('every wish is planned as PostgreSQL would carry it out, or refused because it could not', async () => {
  const tally = new Map<string, number>();
  const property = fc.asyncProperty(scenario, async (given) => {
    const world = build(given.commands);
    const view = await archived(world, given);
    const backups = world.backups
      .map((one, index) => backupOf(world, one, index, view.archive.id))
      .toSorted((a, b) => b.stoppedAtUs - a.stoppedAtUs);
    for (const wish of wishes(world, given.seed)) {
      const asked = backups.filter(({ id }) => wish.backup === null || id === wish.backup);
      if (asked.length === 0) continue;
      const outcome = await resolveTarget(wish, backups, async () => await Promise.resolve(view)).catch(
        (error: unknown) => {
          if (!isFailure(error)) throw error;
          return error;
        },
      );
      const key = `${wish.target.kind} ${'code' in outcome ? outcome.errorName : 'planned'}`;
      tally.set(key, (tally.get(key) ?? 0) + 1);
      const tried =
        'code' in outcome
          ? asked
          : asked.slice(
              0,
              asked.findIndex(({ id }) => id === outcome.backup.id),
            );
      if (!('code' in outcome)) await checkPlan(world, view, wish, outcome);
      for (const backup of tried) {
        const said = 'code' in outcome ? outcome.message : `backup ${outcome.backup.id}`;
        const what = JSON.stringify({ wish, backup }, (_, value: unknown) =>
          typeof value === 'bigint' ? `0x${value.toString(16)}` : value,
        );
        assert.equal(
          await isPossible(world, view, backup, wish),
          false,
          `${said}, and yet it is possible: ${what}`,
        );
      }
    }
  });
  const runs = Number(process.env['HOLDFAST_FUZZ_RUNS'] ?? '40');
  const details = await fc.check(property, {
    numRuns: runs,
    examples: [[lastByteMissing], [switchAtTheEnd]],
    interruptAfterTimeLimit: 60_000,
  });
  console.log(
    `seed ${details.seed}, ${runs} runs:`,
    Object.fromEntries([...tally].toSorted(([a], [b]) => (a < b ? -1 : 1))),
  );
  if (details.failed) throw new Error(fc.defaultReportMessage(details), { cause: details.errorInstance });
});
