import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ArchiveView } from '../../src/operations/recovery/archive-view.ts';
import type { ClusterBackup } from '../../src/operations/recovery/backups.ts';
import { walStatus } from '../../src/operations/recovery/status.ts';
import type { RecoveryWish } from '../../src/operations/recovery/target-model.ts';
import { resolveTarget, type RecoveryPlan } from '../../src/operations/recovery/target.ts';
import { missingOfBackup } from '../../src/operations/recovery/reach.ts';
import { formatLsn, lsnOf } from '../../src/postgres/lsn.ts';
import type { WalArchive } from '../../src/repository/wal/model.ts';
import type { ClusterMetadata } from '../../src/sources/postgres-cluster/metadata.ts';
import {
  archiveTimeline,
  modelStart,
  modelSystem,
  RecoveryModel,
  segmentBytes,
} from '../../testing/recovery-model.ts';
import { failureOf, makeWalArchive } from '../../testing/wal-archive.ts';

const first = modelStart / BigInt(segmentBytes);
const at = 1_760_000_000_000_000;

function backup(
  archive: WalArchive,
  id: string,
  start: bigint,
  stop: bigint,
  more: Partial<ClusterBackup> = {},
): ClusterBackup {
  return {
    id: id.padStart(32, '0'),
    source: 'main',
    sequence: 1,
    timeline: 1,
    start: lsnOf(start),
    stop: lsnOf(stop),
    stoppedAtUs: at,
    incomplete: null,
    metadata: { wal_archive: archive.id, system_identifier: modelSystem } as ClusterMetadata,
    ...more,
  };
}

/** A commit in each of so many segments. */
function segments(
  count: number,
  startXid = 700,
): Parameters<RecoveryModel['timelines'][0]['own']['push']>[0][] {
  return Array.from({ length: count }, (_, index) => [
    { do: 'commit', xid: startXid + index, atUs: at + (startXid + index) * 1_000_000 } as const,
    { do: 'switch' } as const,
  ]).flat();
}

function makeModel(count: number): RecoveryModel {
  const model = new RecoveryModel();
  model.timelines[0]?.own.push(...segments(count));
  return model;
}

async function planFor(
  view: ArchiveView,
  backups: readonly ClusterBackup[],
  wish: Partial<RecoveryWish>,
): Promise<RecoveryPlan> {
  const whole: RecoveryWish = { backup: null, target: { kind: 'end' }, timeline: 'latest', ...wish };
  return await resolveTarget(whole, backups, async () => await Promise.resolve(view));
}

test('a gap ends what can be recovered to, and begins anew with the next backup', async () => {
  const { archive } = await makeWalArchive();
  const model = makeModel(8);
  const [own] = model.timelines;
  assert.ok(own);
  await archiveTimeline(archive, model, own, { without: new Set([first + 4n]) });
  const view = await ArchiveView.of(archive);
  const position = (segment: number): bigint => modelStart + BigInt(segment * segmentBytes);
  const early = backup(archive, 'a', position(1) + 40n, position(2) + 40n);
  const torn = backup(archive, 'b', position(3) + 40n, position(5) + 40n, { stoppedAtUs: at + 1 });
  const late = backup(archive, 'c', position(6) + 40n, position(6) + 80n, { stoppedAtUs: at + 2 });
  const status = await walStatus(view, [late, torn, early]);
  const gap = { from: formatLsn(lsnOf(position(4))), to: formatLsn(lsnOf(position(5))) };
  assert.deepEqual(status.timelines[0]?.gaps, [gap]);
  assert.deepEqual(status.timelines[0]?.useless, { from: '0/1000000', to: '0/1100000' });
  assert.deepEqual(
    status.windows.map(({ backups, to }) => [backups, to]),
    [
      [[early.id], { lsn: gap.from, at: '2025-10-09T09:05:03Z' }],
      [[late.id], { lsn: formatLsn(lsnOf(position(8))), at: '2025-10-09T09:05:07Z' }],
    ],
  );
  assert.deepEqual(
    status.backups.map(({ missing, gap: behind }) => [missing, behind]),
    [
      [null, null],
      [{ timeline: 1, ...gap }, null],
      [null, { timeline: 1, ...gap }],
    ],
  );
  assert.equal(status.newest?.at, '2025-10-09T09:05:07Z');
  assert.deepEqual(await missingOfBackup(view, torn), { timeline: 1, from: position(4), to: position(5) });
  const refused = await failureOf(planFor(view, [late, torn, early], { backup: early.id }));
  assert.equal(refused.errorName, 'recovery_target_in_gap');
  const inGap = {
    target: { kind: 'time', value: at + 704_000_000, inclusive: true },
    backup: early.id,
  } as const;
  assert.equal(
    (await failureOf(planFor(view, [late, torn, early], inGap))).errorName,
    'recovery_target_in_gap',
  );
  const unusable = await failureOf(planFor(view, [late, torn, early], { backup: torn.id }));
  assert.equal(unusable.errorName, 'recovery_backup_unusable');
  assert.match(unusable.message, /timeline 1 from 0\/1400000 to 0\/1500000/);
  // What is shown as the way out is one.
  const [, lsn = ''] = /--at-lsn (\S+);/.exec(refused.hint) ?? [];
  assert.equal(lsn, gap.from);
  const way = await planFor(view, [early], {
    backup: early.id,
    target: { kind: 'lsn', value: lsnOf(position(4)), inclusive: true },
  });
  assert.equal(way.target?.kind, 'lsn');
  assert.ok(way.lsn !== null && way.lsn <= position(4));
});

test('histories that are missing or damaged are named, and no guess is made', async () => {
  const { archive } = await makeWalArchive();
  const model = makeModel(3);
  const [own] = model.timelines;
  assert.ok(own);
  await archiveTimeline(archive, model, own);
  const second = model.branch(own, 4);
  second.own.push(...segments(2, 800));
  await archiveTimeline(archive, model, second);
  await archive.putFile('00000003.history', Buffer.from('2\tnowhere\tlost\n'));
  await archive.put(
    { timeline: 4, start: modelStart, bytes: new Uint8Array(segmentBytes) },
    {
      transactions: 0,
      first_at_us: null,
      last_at_us: null,
      restore_points: [],
      scanned: true,
    },
  );
  const view = await ArchiveView.of(archive);
  assert.deepEqual(
    view.tree.problems.map(({ file, damage }) => [file, damage === null]),
    [
      ['00000003.history', false],
      ['00000004.history', true],
    ],
  );
  const only = backup(archive, 'a', modelStart + 40n, modelStart + 80n);
  const refused = await failureOf(planFor(view, [only], {}));
  assert.equal(refused.errorName, 'recovery_history_missing');
  assert.match(refused.hint, /holdfast wal push PGDATA\/pg_wal\/00000004\.history; or .*: --timeline 2;/);
  // A target that is found is one that recovery does not go beyond.
  const [fork] = model.forks(second);
  const found = { kind: 'lsn', value: fork?.at ?? modelStart, inclusive: true } as const;
  assert.equal((await planFor(view, [only], { target: found })).timeline, 2);
  assert.equal((await planFor(view, [only], { timeline: 'current' })).timeline, 1);
  const plan = await planFor(view, [only], { timeline: 2 });
  assert.equal(plan.timelineSetting, '2');
  assert.match(plan.notes.join('\n'), /00000003\.history is damaged[^]*00000004\.history is missing/);
  assert.match(
    plan.notes.join('\n'),
    /timeline 1 went on after it had been left at 0\/1200000: .* from 2025-10-09 09:05:02 UTC on/,
  );
  const onDamaged = await failureOf(planFor(view, [only], { timeline: 3 }));
  assert.equal(onDamaged.errorName, 'recovery_target_not_in_timeline');
  assert.match(onDamaged.message, /00000003\.history is damaged/);
  // PostgreSQL does without the history of the timeline that the backup itself is on, when it is not named.
  const lone = backup(archive, 'd', modelStart, modelStart + 80n, { timeline: 4 });
  const current = await planFor(view, [lone], { target: { kind: 'immediate' } });
  assert.equal(current.timelineSetting, 'current');
  assert.equal((await walStatus(view, [only])).damaged_histories.length, 2);
});

test('what was committed on a timeline after it was left is told to whoever wants a moment behind it', async () => {
  const { archive } = await makeWalArchive();
  const model = makeModel(0);
  const [own] = model.timelines;
  assert.ok(own);
  const commitAt = (xid: number, seconds: number) =>
    ({ do: 'commit', xid, atUs: at + seconds * 1e6 }) as const;
  own.own.push(commitAt(900, 10));
  const second = model.branch(own, 1);
  // All in one segment, of which nobody has seen the end.
  own.own.push(commitAt(901, 20), commitAt(902, 30));
  second.own.push(commitAt(910, 100), ...segments(2, 911));
  await archiveTimeline(archive, model, own);
  await archiveTimeline(archive, model, second);
  const view = await ArchiveView.of(archive);
  const only = backup(archive, 'a', modelStart + 40n, modelStart + 80n);
  const notesAt = async (seconds: number): Promise<string> => {
    const target = { kind: 'time', value: at + seconds * 1e6, inclusive: true } as const;
    const plan = await planFor(view, [only], { target });
    assert.equal(plan.timeline, 2);
    return plan.notes.join('\n');
  };
  const warning = /timeline 1 went on [^\n]* from 2025-10-09 08:53:40 UTC on is not part of timeline 2/;
  assert.equal(await notesAt(15), '');
  assert.match(await notesAt(50), warning);
  assert.match(await notesAt(100), warning);
  assert.match((await planFor(view, [only], {})).notes.join('\n'), warning);
  assert.deepEqual((await planFor(view, [only], { timeline: 1 })).notes, []);
});

test('a new timeline without WAL of its own does not lead astray onto the one it left', async () => {
  const { archive } = await makeWalArchive();
  const model = makeModel(1);
  const [own] = model.timelines;
  assert.ok(own);
  own.own.push({ do: 'commit', xid: 900, atUs: at + 1e9 }, { do: 'commit', xid: 901, atUs: at + 2e9 });
  const second = model.branch(own, 3);
  own.own.push(...segments(2, 902));
  await archiveTimeline(archive, model, own);
  await archive.putFile('00000002.history', Buffer.from(model.history(second)));
  const view = await ArchiveView.of(archive);
  const only = backup(archive, 'a', modelStart + 40n, modelStart + 80n);
  const plan = await planFor(view, [only], {});
  const [fork] = model.forks(second);
  assert.equal(plan.lsn, fork?.at);
  assert.equal(plan.target?.kind, 'lsn');
  assert.equal(plan.timelineSetting, '2');
  assert.match(plan.notes.join('\n'), /recovery stops there/);
});

test('a position inside a long record that is not whole is not promised', async () => {
  const { archive } = await makeWalArchive();
  const model = new RecoveryModel();
  const [own] = model.timelines;
  assert.ok(own);
  own.own.push(
    { do: 'commit', xid: 1000, atUs: at + 5 },
    { do: 'fill', bytes: 20 },
    { do: 'fill', bytes: 3_000_000 },
  );
  const { ends } = model.write(own);
  await archiveTimeline(archive, model, own, { end: lsnOf(modelStart + 2_500_000n) });
  const view = await ArchiveView.of(archive);
  const only = backup(archive, 'a', modelStart + 40n, modelStart + 48n);
  const to = async (value: bigint): Promise<RecoveryPlan> =>
    await planFor(view, [only], { target: { kind: 'lsn', value: lsnOf(value), inclusive: true } });
  // Behind the last whole record there is nothing to stop at.
  assert.deepEqual((await to(ends[1] ?? 0n)).target, { kind: 'lsn', value: ends[0], inclusive: true });
  assert.equal((await failureOf(to(modelStart + 2_000_000n))).errorName, 'recovery_target_in_future');
});

/** Timeline 1 with 8 segments, left behind the third for timeline 2, which has as many in all, and no history stored. */
async function withoutHistory(without?: ReadonlySet<bigint>) {
  const { archive } = await makeWalArchive();
  const model = makeModel(8);
  const [own] = model.timelines;
  assert.ok(own);
  await archiveTimeline(archive, model, own);
  const second = model.branch(own, 6);
  second.own.push(...segments(5, 800));
  await archiveTimeline(archive, model, second, {
    withoutHistory: true,
    ...(without === undefined ? {} : { without }),
  });
  const storeHistory = async (): Promise<void> => {
    await archive.putFile('00000002.history', Buffer.from(model.history(second)));
  };
  return { archive, storeHistory };
}
const position = (segment: number): bigint => modelStart + BigInt(segment * segmentBytes);

test('WAL that nothing tells the way to is lost for the newest backup, unless it began before that had ended', async () => {
  const { archive, storeHistory } = await withoutHistory();
  const view = await ArchiveView.of(archive);
  const early = backup(archive, 'a', position(1) + 40n, position(2) + 40n);
  const late = backup(archive, 'b', position(5) + 40n, position(6) + 40n, { stoppedAtUs: at + 2 });
  const lostOf = async (...backups: ClusterBackup[]): Promise<unknown> =>
    (await walStatus(view, backups)).lost_timelines;
  const range = { from: formatLsn(lsnOf(position(3))), to: formatLsn(lsnOf(position(8))) };
  const lost = { timeline: 2, file: '00000002.history', ...range };
  assert.deepEqual(await lostOf(early), [{ ...lost, backups: [early.id] }]);
  assert.deepEqual(await lostOf(late, early), [{ ...lost, backups: [early.id] }]);
  const own = backup(archive, 'c', position(5) + 40n, position(6) + 40n, { timeline: 2 });
  assert.deepEqual(await lostOf(own), []);

  assert.equal((await failureOf(planFor(view, [early], {}))).errorName, 'recovery_history_missing');
  assert.equal((await planFor(view, [late, early], {})).timeline, 1);
  assert.equal((await planFor(view, [own, early], {})).timeline, 2);
  assert.equal((await planFor(view, [early], { target: { kind: 'immediate' } })).timeline, 1);
  const point = { kind: 'name', value: 'nowhere' } as const;
  const unknown = await failureOf(planFor(view, [early], { target: point }));
  assert.equal(unknown.errorName, 'recovery_target_unknown');
  assert.match(
    unknown.hint,
    /^on the server that has it: holdfast wal push PGDATA\/pg_wal\/00000002\.history;/,
  );

  await storeHistory();
  const whole = await ArchiveView.of(archive);
  assert.deepEqual((await walStatus(whole, [early])).lost_timelines, []);
  assert.equal((await planFor(whole, [early], {})).timeline, 2);
});

test('the history of a timeline that came from it tells where a timeline comes from', async () => {
  const { archive } = await withoutHistory();
  const fork = formatLsn(lsnOf(position(3)));
  await archive.putFile(
    '00000003.history',
    Buffer.from(`1\t${fork}\tx\n2\t${formatLsn(lsnOf(position(5)))}\tx\n`),
  );
  const view = await ArchiveView.of(archive);
  const early = backup(archive, 'a', position(1) + 40n, position(2) + 40n);
  assert.deepEqual((await walStatus(view, [early])).lost_timelines, []);
});

test('what is missing at the beginning of a timeline is a gap, and what no backup needs is none', async () => {
  const { archive, storeHistory } = await withoutHistory(new Set([first + 3n, first + 4n]));
  await storeHistory();
  const view = await ArchiveView.of(archive);
  const gapsOf = async (...backups: ClusterBackup[]): Promise<unknown> =>
    (await walStatus(view, backups)).timelines[1]?.gaps;
  const early = backup(archive, 'a', position(1) + 40n, position(2) + 40n);
  const gap = { from: formatLsn(lsnOf(position(3))), to: formatLsn(lsnOf(position(5))) };
  assert.deepEqual(await gapsOf(early), [gap]);
  const own = backup(archive, 'c', position(5) + 40n, position(6) + 40n, { timeline: 2 });
  assert.deepEqual(await gapsOf(own), []);
  assert.deepEqual(await gapsOf(own, early), [gap]);
});

test('a target that another timeline has is refused with the way to it', async () => {
  const { archive, storeHistory } = await withoutHistory();
  await storeHistory();
  const view = await ArchiveView.of(archive);
  const early = backup(archive, 'a', position(1) + 40n, position(2) + 40n);
  const next = async (wish: Partial<RecoveryWish>): Promise<[string, string | undefined]> => {
    const { errorName, hint } = await failureOf(planFor(view, [early], wish));
    return [errorName, /^add (--timeline \d+), which leads to it; what can/.exec(hint)?.[1]];
  };
  const on1 = { kind: 'xid', value: 705n, inclusive: true } as const;
  const on2 = { kind: 'xid', value: 803n, inclusive: true } as const;
  assert.deepEqual(await next({ target: on1 }), ['recovery_target_unknown', '--timeline 1']);
  assert.deepEqual(await next({ target: on2, timeline: 1 }), ['recovery_target_unknown', '--timeline 2']);
  const late = { kind: 'time', value: at + 802_500_000, inclusive: true } as const;
  assert.deepEqual(await next({ target: late, timeline: 1 }), ['recovery_target_in_future', '--timeline 2']);
  assert.deepEqual(await next({ target: { ...late, value: at + 999_000_000 } }), [
    'recovery_target_in_future',
    undefined,
  ]);
  for (const [wish, timeline] of [
    [on1, 1],
    [on2, 2],
    [late, 2],
  ] as const)
    assert.equal((await planFor(view, [early], { target: wish, timeline })).timeline, timeline);
  const elsewhere = await failureOf(planFor(view, [early], { target: on1, timeline: 7 }));
  assert.equal(elsewhere.errorName, 'recovery_target_not_in_timeline');
  assert.match(elsewhere.hint, /^add --timeline 1,/);
});
