import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { describe, it } from 'node:test';
import { systemClock } from '../../src/kernel/clock.ts';
import { lsnOf } from '../../src/postgres/lsn.ts';
import { openStorage } from '../../src/storage/open.ts';
import { defaultStorageSettings } from '../../testing/storage-settings.ts';
import { ClusterWorld } from '../operations/cluster-world.ts';
import { runInProcess } from './in-process.ts';
import { assertFailed } from './shop.ts';
import { sandbox, type Ran, type Sandbox } from './program-runner.ts';
import { day, planOf } from './retention-kit.ts';

/** Backups of a cluster that were consistent so many days ago; of one timeline, unless more is said. */
interface Made {
  readonly daysAgo: number;
  readonly timeline?: number;
  readonly start: number;
}

async function clusterBackups(box: Sandbox, made: readonly Made[], history?: string) {
  const storage = await openStorage(box.at('store'), {
    cwd: box.path,
    home: box.home,
    clock: systemClock,
    env: {},
    settings: defaultStorageSettings,
    create: true,
  });
  const world = await ClusterWorld.make({ storage });
  if (history !== undefined) await world.archive.putFile('00000002.history', Buffer.from(history));
  const ids: string[] = [];
  for (const { daysAgo, timeline = 1, start } of made) {
    const stopped_at = new Date(Date.now() - daysAgo * day).toISOString();
    const manifest = await world.backUp(timeline, lsnOf(start), lsnOf(start + 100), { stopped_at });
    ids.push(manifest.id);
  }
  await writeFile(
    box.at('holdfast.yaml'),
    [
      'repository: ./store',
      'sources: { main: { type: postgres-cluster, url: "postgres://localhost:1/x" } }',
      'retention: { keep_last: 1, keep_wal: 7d }',
      '',
    ].join('\n'),
  );
  return ids;
}

const line = (...daysAgo: number[]): Made[] =>
  daysAgo.map((days, index) => ({ daysAgo: days, start: 16_777_216 + index * 10_000 }));

function keptOf(ran: Ran, ids: readonly string[]): unknown[] {
  return planOf(ran)
    .filter(([, action]) => action === 'keep')
    .map(([id, , reasons]) => [
      ids.indexOf(id),
      reasons.filter((text) => /PITR|histories/.test(text)).length,
    ]);
}

describe('retention of a cluster', () => {
  it('keeps the backup that recovery within keep_wal begins with, whatever rules the command has', async () => {
    await using box = await sandbox();
    const ids = await clusterBackups(box, line(20, 10, 5, 1));
    const run = async (...args: string[]): Promise<Ran> => await runInProcess(box, args);
    const plan = async (...args: string[]): Promise<unknown[]> =>
      keptOf(await run('clean', '--dry-run', '--json', ...args), ids);
    assert.deepEqual(await plan(), [
      [1, 1],
      [3, 0],
    ]);
    assert.deepEqual(await plan('--keep', '2'), [
      [1, 1],
      [2, 0],
      [3, 0],
    ]);
    assert.deepEqual(await plan('--keep', '1', '--keep-wal', '3d'), [
      [2, 1],
      [3, 0],
    ]);
    assert.deepEqual(await plan('--keep', '1', '--keep-wal', '1y'), [
      [0, 1],
      [3, 0],
    ]);
    assertFailed(await run('forget', ids[1] ?? ''), 4, 'HF-6004');
    assert.equal((await run('forget', ids[0] ?? '', ids[2] ?? '')).code, 0);
    assert.equal((await run('forget', '--force', ids[1] ?? '')).code, 0);
  });

  it('follows the histories of timelines: each needs a backup that leads to it', async () => {
    await using box = await sandbox();
    const fork = 16_777_216 + 5000;
    // The server was brought back to a moment before its second backup, and went on as timeline 2.
    const made = [
      ...line(20, 10),
      { daysAgo: 3, timeline: 2, start: fork + 1000 },
      { daysAgo: 1, timeline: 2, start: fork + 5000 },
    ];
    const ids = await clusterBackups(box, made, `1\t0/${fork.toString(16).toUpperCase()}\tbefore\n`);
    const shown = await runInProcess(box, ['clean', '--dry-run', '--json']);
    assert.deepEqual(keptOf(shown, ids), [
      [0, 1],
      [1, 1],
      [3, 0],
    ]);
  });

  it('keeps all of them where a history cannot be read', async () => {
    await using box = await sandbox();
    const made = [...line(20, 10, 1), { daysAgo: 0, timeline: 2, start: 20_000_000 }];
    const ids = await clusterBackups(box, made, 'this is no history\n');
    const shown = await runInProcess(box, ['clean', '--dry-run', '--json']);
    assert.deepEqual(keptOf(shown, ids), [
      [0, 1],
      [1, 1],
      [2, 1],
      [3, 1],
    ]);
  });
});
