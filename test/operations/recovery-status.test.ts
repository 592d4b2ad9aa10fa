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
  const plan = await planFor(view, [only], {});
  assert.equal(plan.timelineSetting, '2');
  assert.match(plan.notes.join('\n'), /00000003\.history is damaged[^]*00000004\.history is missing/);
  assert.match(
    plan.notes.join('\n'),
    /timeline 1 went on to 0\/1300000 after it had been left at 0\/1200000/,
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
