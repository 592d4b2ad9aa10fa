import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { isFailure } from '../../src/kernel/errors/failure.ts';
import { ArchiveView } from '../../src/operations/recovery/archive-view.ts';
import type { ClusterBackup } from '../../src/operations/recovery/backups.ts';
import { walStatus } from '../../src/operations/recovery/status.ts';
import type { RecoveryTarget, RecoveryWish } from '../../src/operations/recovery/target-model.ts';
import { resolveTarget, type RecoveryPlan } from '../../src/operations/recovery/target.ts';
import { addToLsn, formatLsn, type Lsn } from '../../src/postgres/lsn.ts';
import { segmentName } from '../../src/postgres/wal/names.ts';
import type { ClusterMetadata } from '../../src/sources/postgres-cluster/metadata.ts';
import { makeRepository } from '../../testing/repository.ts';
import { startPostgres, withoutPostgres } from '../../testing/postgres-server.ts';
import { MemoryStorage } from '../../src/storage/memory/memory-storage.ts';
import { systemClock } from '../../src/kernel/clock.ts';
import { ownedDirectory, serverDirectory } from '../cluster/restore-kit.ts';
import {
  archiveAll,
  commit,
  committed,
  fillArchive,
  recover,
  settingsOf,
  takeBackup,
  targetSettings,
  type Commit,
  type RecoverOptions,
} from './recovery-kit.ts';

const signal = new AbortController().signal;

for (const major of ['system', 18] as const) {
  test(
    `PostgreSQL ${major} recovers to what was planned`,
    { skip: withoutPostgres(major) },
    async (context) => {
      await using place = serverDirectory();
      const wal = ownedDirectory(join(place.path, 'archive'));
      await using server = await startPostgres({
        major,
        initdbArgs: ['--wal-segsize=1'],
        settings: {
          archive_mode: 'on',
          archive_command: `cp %p ${wal}/%f`,
          track_commit_timestamp: 'on',
          max_prepared_transactions: '4',
          autovacuum: 'off',
          min_wal_size: '2MB',
          max_wal_size: '32MB',
        },
      });
      const query = async (sql: string): Promise<string> => await server.psql(sql);
      const commits: Commit[] = [];
      const add = async (): Promise<Commit> => {
        const made = await commit(query, commits.length + 1);
        commits.push(made);
        return made;
      };
      const addSome = async (count: number): Promise<Commit> => {
        for (let left = count; left > 1; left -= 1) await add();
        return await add();
      };

      await query('CREATE TABLE t (n int)');
      await addSome(2);
      let inA: Commit | undefined;
      const first = await takeBackup(server, join(place.path, 'a'), '0a'.padStart(32, '0'), async () => {
        inA = await add();
      });
      const afterA = await addSome(2);
      await query("SELECT pg_create_restore_point('p')");
      const afterPoint = await addSome(2);
      const second = await takeBackup(server, join(place.path, 'b'), '0b'.padStart(32, '0'), async () => {
        await add();
      });
      await addSome(2);
      // A transaction with another one inside, and one that is prepared.
      const inner = (
        await query(
          `BEGIN; INSERT INTO t VALUES (${commits.length + 1}); SAVEPOINT s; DELETE FROM t WHERE n < 0;
         INSERT INTO t SELECT n FROM t WHERE false; CREATE TEMP TABLE inside (x int); COMMIT;
         SELECT min(x::text::bigint) FROM (SELECT xmin AS x FROM pg_class WHERE relname = 'inside') s`,
        )
      ).trim();
      commits.push(await committed(query, commits.length + 1, String(BigInt(inner) - 1n)));
      await query(`BEGIN; INSERT INTO t VALUES (${commits.length + 1}); PREPARE TRANSACTION 'x'`);
      const prepared = await query("SELECT transaction::text FROM pg_prepared_xacts WHERE gid = 'x'");
      await query("COMMIT PREPARED 'x'");
      commits.push(await committed(query, commits.length + 1, prepared));
      await query("SELECT pg_create_restore_point('p')");
      const point = commits.length;
      const last = await addSome(2);
      await archiveAll(query);

      await using repository = await makeRepository(new MemoryStorage(systemClock), { encrypted: false });
      const system = await query('SELECT system_identifier::text FROM pg_control_system()');
      const archive = await repository.walArchive({
        source: 'main',
        system_identifier: system,
        segment_bytes: 1024 * 1024,
        postgres_major: server.major,
      });
      await fillArchive(archive, wal);
      const metadata = { wal_archive: archive.id, system_identifier: system } as ClusterMetadata;
      const a: ClusterBackup = { ...first, metadata };
      const b: ClusterBackup = { ...second, metadata };
      const copies = new Map([
        [a.id, join(place.path, 'a')],
        [b.id, join(place.path, 'b')],
      ]);
      let view = await ArchiveView.of(archive);
      const wish = (target: RecoveryTarget, more: Partial<RecoveryWish> = {}): RecoveryWish => ({
        backup: null,
        target,
        timeline: 'latest',
        ...more,
      });
      const plan = async (wished: RecoveryWish): Promise<RecoveryPlan> =>
        await resolveTarget(wished, [b, a], async () => await Promise.resolve(view), { signal });
      const refused = async (wished: RecoveryWish): Promise<string> => {
        const error: unknown = await plan(wished).then(
          (made) => assert.fail(`it was planned: ${JSON.stringify(settingsOf(made))}`),
          (thrown: unknown) => thrown,
        );
        assert.ok(isFailure(error) && error.exitCode === 4, String(error));
        context.diagnostic(`${error.code} ${error.message} | ${error.hint}`);
        return error.errorName;
      };
      let count = 0;
      const common = (backup: ClusterBackup): Omit<RecoverOptions, 'settings'> => ({
        server,
        backup: copies.get(backup.id) ?? '',
        to: join(place.path, `recovered-${(count += 1)}`),
        archive: wal,
        port: server.port + 1,
      });
      const raw = async (
        backup: ClusterBackup,
        settings: Record<string, string>,
      ): Promise<readonly number[] | string> => await recover({ ...common(backup), settings });
      const upTo = (n: number): number[] => commits.slice(0, n).map((one) => one.n);
      /** The other version is tried with one target of each kind. */
      const tried = new Set<string>();
      const comesTo = async (
        wished: RecoveryWish,
        backup: ClusterBackup,
        n: number,
      ): Promise<RecoveryPlan> => {
        const made = await plan(wished);
        assert.equal(made.backup.id, backup.id);
        if (major !== 'system' && tried.has(wished.target.kind)) return made;
        tried.add(wished.target.kind);
        assert.deepEqual(await raw(backup, settingsOf(made)), upTo(n), JSON.stringify(settingsOf(made)));
        return made;
      };
      const fails = async (
        backup: ClusterBackup,
        settings: Record<string, string>,
        how: RegExp,
      ): Promise<void> => {
        if (major === 'system') assert.match(String(await raw(backup, settings)), how);
      };

      // Times.
      await comesTo(wish({ kind: 'time', value: afterA.atUs, inclusive: true }), a, afterA.n);
      await comesTo(wish({ kind: 'time', value: afterA.atUs, inclusive: false }), a, afterA.n - 1);
      const atLast: RecoveryTarget = { kind: 'time', value: last.atUs, inclusive: true };
      const made = await comesTo(wish(atLast), b, last.n);
      assert.equal(made.target?.kind, 'lsn', 'PostgreSQL would miss a target that nothing comes behind');
      await fails(b, targetSettings(atLast), /recovery ended before configured recovery target was reached/);
      assert.equal(await refused(wish({ ...atLast, value: last.atUs + 1 })), 'recovery_target_in_future');
      assert.ok(inA);
      const tooEarly: RecoveryTarget = { kind: 'time', value: inA.atUs - 1, inclusive: true };
      assert.equal(await refused(wish(tooEarly)), 'recovery_before_first_backup');
      assert.notDeepEqual(
        await raw(a, targetSettings(tooEarly)),
        upTo(inA.n - 1),
        'PostgreSQL does not get it right',
      );

      // Positions.
      await comesTo(wish({ kind: 'lsn', value: afterPoint.lsn, inclusive: true }), a, afterPoint.n);
      const before: RecoveryTarget = { kind: 'lsn', value: addToLsn(a.stop, -8n), inclusive: true };
      assert.equal(await refused(wish(before)), 'recovery_before_first_backup');
      await comesTo(wish({ kind: 'lsn', value: b.stop, inclusive: false }), b, afterPoint.n + 1);
      const [window] = (await walStatus(view, [b, a])).windows;
      assert.ok(window);
      assert.deepEqual(window.backups, [a.id, b.id]);
      const end = view.archive.info.segment_bytes;
      const behind: RecoveryTarget = { kind: 'lsn', value: addToLsn(last.lsn, end * 2), inclusive: true };
      assert.equal(await refused(wish(behind)), 'recovery_target_in_future');

      // Transactions.
      const byXid = (xid: bigint, inclusive = true): RecoveryWish =>
        wish({ kind: 'xid', value: xid, inclusive });
      await comesTo(byXid(afterA.xid, false), a, afterA.n - 1);
      await comesTo(byXid(BigInt(prepared)), b, point);
      assert.equal(await refused(byXid(BigInt(inner))), 'recovery_target_unknown');
      const whole = new RegExp(`a part of transaction ${BigInt(inner) - 1n}`);
      await assert.rejects(plan(byXid(BigInt(inner))), whole);
      await fails(
        b,
        { recovery_target_xid: inner },
        /recovery ended before configured recovery target was reached/,
      );

      // Names.
      await comesTo(wish({ kind: 'name', value: 'p' }), b, point);
      const earlier = await comesTo(wish({ kind: 'name', value: 'p' }, { backup: a.id }), a, afterA.n);
      assert.match(earlier.notes.join(), /2 restore points/);
      assert.equal(await refused(wish({ kind: 'name', value: 'q' })), 'recovery_target_unknown');

      await comesTo(wish({ kind: 'immediate' }), b, afterPoint.n + 1);

      // A gap, which recovery must not ask for.
      const missing = segmentName(1, addToLsn(afterPoint.lsn, 1024 * 1024), 1024 * 1024);
      const torn = await repository.walArchive({
        source: 'torn',
        system_identifier: system,
        segment_bytes: 1024 * 1024,
        postgres_major: server.major,
      });
      await fillArchive(torn, wal, missing);
      const gapped = await ArchiveView.of(torn);
      const inGapped = [{ ...a, metadata: { ...metadata, wal_archive: torn.id } }];
      const near = async (value: Lsn): Promise<RecoveryPlan> =>
        await resolveTarget(
          wish({ kind: 'lsn', value, inclusive: true }),
          inGapped,
          async () => await Promise.resolve(gapped),
        );
      const toCommit = await near(afterA.lsn);
      const toEdge = await near(toCommit.candidate.reach.end.lsn);
      assert.ok(toEdge.mustNotReadAhead);
      assert.equal(toEdge.candidate.reach.gap?.from, toEdge.candidate.reach.end.lsn);
      for (const [made, n] of [
        [toCommit, afterA.n],
        [toEdge, afterPoint.n],
      ] as const) {
        const got = await recover({
          ...common(a),
          settings: settingsOf(made),
          missing,
        });
        assert.deepEqual(got, upTo(n), JSON.stringify(settingsOf(made)));
      }

      // A second timeline that branches off between the two backups.
      const branch = await plan(wish({ kind: 'time', value: afterA.atUs, inclusive: true }));
      let onBranch: Commit | undefined;
      await recover({
        server,
        backup: join(place.path, 'a'),
        to: join(place.path, 'branch'),
        archive: wal,
        settings: settingsOf(branch),
        port: server.port + 1,
        archiveCommand: `cp %p ${wal}/%f`,
        whenOpen: async (ask) => {
          onBranch = await commit(ask, 100);
          await commit(ask, 101);
          await archiveAll(ask);
        },
      });
      assert.ok(onBranch);
      await fillArchive(archive, wal);
      view = await ArchiveView.of(archive);
      const status = await walStatus(view, [b, a]);
      assert.deepEqual(
        status.windows.map(({ timeline, backups }) => [timeline, backups]),
        [
          [1, [a.id, b.id]],
          [2, [a.id]],
        ],
      );
      assert.equal(status.backups.find(({ id }) => id === b.id)?.reaches?.timeline, 1);
      const toBranch = await plan(
        wish({ kind: 'time', value: onBranch.atUs, inclusive: true }, { backup: a.id }),
      );
      assert.equal(toBranch.timelineSetting, '2');
      assert.deepEqual(await raw(a, settingsOf(toBranch)), [...upTo(afterA.n), 100]);
      await comesTo(wish({ kind: 'end' }), b, last.n);
      await fails(
        b,
        { recovery_target_timeline: 'latest' },
        /requested timeline 2 is not a child of this server's history/,
      );
      assert.equal(
        await refused(wish({ kind: 'end' }, { backup: b.id, timeline: 2 })),
        'recovery_target_not_in_timeline',
      );
      assert.ok(status.newest?.lsn !== formatLsn(last.lsn));
    },
  );
}
