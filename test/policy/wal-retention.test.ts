import assert from 'node:assert/strict';
import { randomInt } from 'node:crypto';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { judgeSource } from '../../src/policy/retention/judge.ts';
import { Zone } from '../../src/policy/retention/zone.ts';
import { walToKeep, type WalInterval, type WalToKeep } from '../../src/policy/wal-retention.ts';
import type { WalBackup } from '../../src/policy/wal-window.ts';
import { backupAt, dayMs } from './backups.ts';
import { isPlainlyKept } from './wal-plain-model.ts';
import { clusterLife, deeds, wayBack, type ClusterLife } from './wal-life.ts';

function isKept(keep: WalToKeep, archive: string, timeline: number, lsn: bigint): boolean {
  const intervals = keep.get(archive)?.get(timeline);
  if (intervals === undefined) return true;
  return intervals.some(({ from, to }) => from <= lsn && (to === null || lsn < to));
}

/** What stays of the backups when only the last one and the window count. */
function keptOf(life: ClusterLife, windowDays: number): readonly WalBackup[] {
  const plan = judgeSource(
    life.backups.map((wal, index) =>
      backupAt(wal.consistentAtMs, index + 1, { kind: 'postgres-cluster', wal, incomplete: wal.incomplete }),
    ),
    { keep_last: 1, keep_wal: `${windowDays}d` },
    'main',
    {
      zone: new Zone('UTC'),
      nowMs: life.endMs,
      timelines: new Map(life.archives.map(({ id, paths }) => [id, paths])),
    },
  );
  return plan.flatMap(({ action, backup }) => (action === 'keep' && backup.wal !== null ? [backup.wal] : []));
}

const windows = fc.integer({ min: 1, max: 30 });

describe('the WAL that is kept', () => {
  const seed = randomInt(0x7fff_ffff);

  it('leads to every moment of the window that could be recovered to before', (test) => {
    test.diagnostic(`seed ${seed}`);
    let asked = 0;
    let forgotten = 0;
    fc.assert(
      fc.property(deeds, windows, (plan, days) => {
        const life = clusterLife(plan);
        const windowStartMs = life.endMs - days * dayMs;
        const kept = keptOf(life, days);
        forgotten += life.backups.length - kept.length;
        const keep = walToKeep(kept, life.archives, windowStartMs);
        // With whole backups alone, and with those that lack something where there was no other.
        for (const counts of [({ incomplete }: WalBackup) => !incomplete, () => true]) {
          for (const moment of life.moments.filter(({ atMs }) => atMs >= windowStartMs)) {
            if (!life.backups.some((one) => counts(one) && wayBack(life, moment, one) !== undefined))
              continue;
            asked += 1;
            const leads = kept.some((backup) => {
              const way = counts(backup) ? wayBack(life, moment, backup) : undefined;
              return way?.every(([timeline, lsn]) => isKept(keep, moment.archive, timeline, lsn)) === true;
            });
            assert.ok(leads, `${moment.archive} ${moment.timeline} ${moment.lsn}`);
          }
        }
      }),
      { seed, numRuns: 600 },
    );
    assert.ok(asked > 1000 && forgotten > 300, `${asked} ${forgotten}`);
  });

  it('lets every kept backup restore, whatever the window', (test) => {
    test.diagnostic(`seed ${seed}`);
    fc.assert(
      fc.property(deeds, fc.option(windows), fc.array(fc.boolean()), (plan, days, chosen) => {
        const life = clusterLife(plan);
        const kept = life.backups.filter((_, index) => chosen[index] !== false);
        const keep = walToKeep(kept, life.archives, days === null ? null : life.endMs - days * dayMs);
        for (const { archive, timeline, start, stop } of kept)
          for (let lsn = start; lsn < stop; lsn += 1n) assert.ok(isKept(keep, archive, timeline, lsn));
      }),
      { seed, numRuns: 300 },
    );
  });

  it('without a window is everything behind any kept backup', (test) => {
    test.diagnostic(`seed ${seed}`);
    fc.assert(
      fc.property(deeds, fc.array(fc.boolean()), (plan, chosen) => {
        const life = clusterLife(plan);
        const kept = life.backups.filter((_, index) => chosen[index] !== false);
        const keep = walToKeep(kept, life.archives, null);
        for (const moment of life.moments)
          for (const backup of kept)
            for (const [timeline, lsn] of wayBack(life, moment, backup) ?? [])
              assert.ok(isKept(keep, moment.archive, timeline, lsn));
      }),
      { seed, numRuns: 200 },
    );
  });

  it('holds what is being written now, for a backup that runs needs it', (test) => {
    test.diagnostic(`seed ${seed}`);
    fc.assert(
      fc.property(deeds, windows, (plan, days) => {
        const life = clusterLife(plan);
        const last = life.moments.at(-1);
        if (last === undefined) return;
        const kept = keptOf(life, days);
        for (const windowStartMs of [null, life.endMs - days * dayMs]) {
          const keep = walToKeep(kept, life.archives, windowStartMs);
          // Of a server that was restored and has no backup on its new timeline, and none on the way there, nothing leads on.
          const isAhead = kept.some(
            (backup) => backup.archive === last.archive && backup.timeline > last.timeline,
          );
          if (!isAhead) assert.ok(isKept(keep, last.archive, last.timeline, last.lsn + 5n));
        }
      }),
      { seed, numRuns: 300 },
    );
  });

  it('is what a plain model says, byte for byte', (test) => {
    test.diagnostic(`seed ${seed}`);
    fc.assert(
      fc.property(deeds, fc.option(windows), fc.array(fc.boolean()), (plan, days, chosen) => {
        const life = clusterLife(plan);
        const kept = life.backups.filter((_, index) => chosen[index] !== false);
        const windowStartMs = days === null ? null : life.endMs - days * dayMs;
        const keep = walToKeep(kept, life.archives, windowStartMs);
        for (const { id, paths } of life.archives)
          for (const timeline of paths.keys())
            for (let lsn = 0n; lsn <= 60n; lsn += 1n)
              assert.equal(
                isKept(keep, id, timeline, lsn),
                isPlainlyKept(life, kept, windowStartMs, { archive: id, timeline, lsn }),
                `${id} ${timeline} ${lsn}`,
              );
      }),
      { seed, numRuns: 200 },
    );
  });

  it('has no interval that touches another, and all of them in order', (test) => {
    test.diagnostic(`seed ${seed}`);
    fc.assert(
      fc.property(deeds, fc.option(windows), (plan, days) => {
        const life = clusterLife(plan);
        const keep = walToKeep(life.backups, life.archives, days === null ? null : life.endMs - days * dayMs);
        for (const intervals of [...keep.values()].flatMap((timelines) => [...timelines.values()]))
          for (const [index, { from }] of intervals.entries()) {
            const before = intervals[index - 1];
            assert.ok(before === undefined || (before.to !== null && before.to < from));
          }
      }),
      { seed, numRuns: 200 },
    );
  });
});

describe('the WAL that may go', () => {
  const at = (day: number): number => Date.UTC(2026, 0, day);
  const backup = (day: number, start: bigint, timeline = 1, archive = 'a'): WalBackup => ({
    archive,
    timeline,
    start,
    stop: start + 10n,
    consistentAtMs: at(day),
    incomplete: false,
  });
  const one = new Map([[1, [{ timeline: 1, from: 0n, to: null }]]]);
  const archive = (id: string, day: number, paths: WalPaths = one) => ({ id, createdAtMs: at(day), paths });
  type WalPaths = ReadonlyMap<number, readonly { timeline: number; from: bigint; to: bigint | null }[]>;
  const shown = (keep: WalToKeep): Record<string, string> =>
    Object.fromEntries(
      [...keep].flatMap(([id, timelines]) =>
        Array.from(timelines, ([timeline, list]) => [`${id}${timeline}`, list.map(text).join(' ')]),
      ),
    );
  const text = ({ from, to }: WalInterval): string => `${from}-${to ?? ''}`;

  it('is that between backups that are older than the window', () => {
    const kept = [backup(1, 100n), backup(5, 500n), backup(10, 1000n), backup(14, 1400n)];
    assert.deepEqual(shown(walToKeep(kept, [archive('a', 1)], at(12))), { a1: '100-110 500-510 1000-' });
    assert.deepEqual(shown(walToKeep(kept, [archive('a', 1)], null)), { a1: '100-' });
  });

  it('is that of a timeline which was left before the window', () => {
    const paths = new Map([
      ...one,
      [
        2,
        [
          { timeline: 1, from: 0n, to: 300n },
          { timeline: 2, from: 300n, to: null },
        ],
      ],
    ]);
    const kept = [backup(1, 100n), backup(3, 400n), backup(5, 350n, 2), backup(9, 700n, 2)];
    const archives = [archive('a', 1, paths)];
    assert.deepEqual(shown(walToKeep(kept, archives, at(10))), { a1: '100-110 400-410', a2: '350-360 700-' });
    assert.deepEqual(shown(walToKeep(kept, archives, at(6))), { a1: '100-110 400-410', a2: '350-' });
    assert.deepEqual(shown(walToKeep(kept, archives, at(4))), { a1: '100-', a2: '300-' });
  });

  it('is that of a cluster that was replaced before the window', () => {
    const kept = [backup(1, 100n), backup(5, 50n, 1, 'b'), backup(9, 90n, 1, 'b')];
    const archives = [archive('a', 1), archive('b', 4)];
    assert.deepEqual(shown(walToKeep(kept, archives, at(7))), { a1: '100-110', b1: '50-' });
    assert.deepEqual(shown(walToKeep(kept, archives, at(3))), { a1: '100-', b1: '50-' });
    assert.deepEqual(shown(walToKeep(kept.slice(1), archives, at(7))), { a1: '', b1: '50-' });
  });

  it('is nothing where a first backup may be running, or a timeline is not known', () => {
    assert.deepEqual(shown(walToKeep([], [archive('a', 1)], at(7))), { a1: '0-' });
    const newer = walToKeep([backup(1, 100n)], [archive('a', 1), archive('b', 4)], at(7));
    assert.deepEqual(shown(newer), { a1: '100-', b1: '0-' });
    assert.equal(
      walToKeep([backup(1, 100n)], [archive('a', 1)], null)
        .get('a')
        ?.get(7),
      undefined,
    );
  });
});
