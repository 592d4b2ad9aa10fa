import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { failure, isFailure } from '../../src/kernel/errors/failure.ts';
import { test } from 'node:test';
import { MemoryBackup } from '../../testing/memory-backup.ts';
import { tempDirectory } from '../../testing/temp.ts';
import { withoutPostgres } from '../../testing/postgres-server.ts';
import {
  archiveAll,
  contentsOf,
  copyCluster,
  madeUpMetadata,
  putMadeUp,
  restoreCluster,
  serverDirectory,
  startArchiving,
  startRestored,
  untilOpen,
} from './restore-kit.ts';

async function madeUp(): Promise<MemoryBackup> {
  const memory = new MemoryBackup();
  await putMadeUp(memory.backupContext(), {
    'base/1/1': Buffer.alloc(8192, 1),
    'base/1/2': Buffer.alloc(3_000_000, 2),
    'base/5/1': Buffer.alloc(100, 3),
    'pg_xact/0000': Buffer.alloc(8192, 4),
    'postgresql.auto.conf': "work_mem = '1MB'\n",
  });
  return memory;
}

/** Restores and is stopped when so many pieces have been read; whether it was. */
async function stoppedAt(
  memory: MemoryBackup,
  wish: Parameters<typeof restoreCluster>[0],
  piece: number,
): Promise<boolean> {
  let pieces = 0;
  memory.interrupt = () => {
    pieces += 1;
    if (pieces === piece) throw new Error('the power went out');
  };
  try {
    await restoreCluster(wish, memory.restoreContext(madeUpMetadata));
    return false;
  } catch (error) {
    assert.match(String((error as Error).message), /the power went out.*is not finished/);
    assert.match((error as { hint: string }).hint, /--delta/);
    return true;
  } finally {
    memory.interrupt = undefined;
  }
}

test('stopped at any piece there is nothing to start, and --delta finishes what was begun', async () => {
  const memory = await madeUp();
  await using base = await tempDirectory();
  const whole = join(base.path, 'whole');
  const plain = { owner: null, now: () => 0 };
  await restoreCluster({ ...plain, target: whole }, memory.restoreContext(madeUpMetadata));
  const expected = [...(await contentsOf(whole))];
  let stops = 0;
  for (let piece = 1; ; piece += 7) {
    const target = join(base.path, `new-${piece}`);
    if (!(await stoppedAt(memory, { ...plain, target }, piece))) break;
    stops += 1;
    assert.equal(existsSync(join(target, 'global/pg_control')), false);
    const mark = JSON.parse(readFileSync(join(target, 'holdfast.restore'), 'utf8')) as Record<
      string,
      unknown
    >;
    assert.equal(mark['backup'], 'b'.repeat(32));
    await assert.rejects(
      restoreCluster({ ...plain, target }, memory.restoreContext(madeUpMetadata)),
      /not finished is in it, and goes on with --delta/,
    );
    const { kept } = await restoreCluster(
      { ...plain, target, delta: true },
      memory.restoreContext(madeUpMetadata),
    );
    assert.ok(kept < 10);
    assert.deepEqual([...(await contentsOf(target))], expected);
  }
  assert.ok(stops > 5, `${stops} stops`);
});

test('over a cluster that is there, too: from the first change on it cannot be started', async () => {
  const memory = await madeUp();
  await using base = await tempDirectory();
  const target = join(base.path, 'data');
  const plain = { owner: null, now: () => 0, target };
  await restoreCluster(plain, memory.restoreContext(madeUpMetadata));
  const expected = [...(await contentsOf(target))];
  for (const piece of [1, 4, 6]) {
    assert.equal(await stoppedAt(memory, { ...plain, delta: true }, piece), true);
    assert.equal(existsSync(join(target, 'global/pg_control')), false);
    assert.ok(existsSync(join(target, 'holdfast.restore')));
  }
  await restoreCluster({ ...plain, delta: true }, memory.restoreContext(madeUpMetadata));
  assert.deepEqual([...(await contentsOf(target))], expected);
});

test('an abort ends it with its reason', async () => {
  const memory = await madeUp();
  await using base = await tempDirectory();
  const controller = new AbortController();
  // What a face says of restores that take back what they did.
  const next = 'the target is as it was; run the same command again';
  memory.interrupt = () => controller.abort(failure('interrupted', { what: 'Ctrl-C', next }));
  const context = memory.restoreContext(madeUpMetadata, { signal: controller.signal });
  await assert.rejects(restoreCluster({ target: join(base.path, 'x'), owner: null }, context), (error) => {
    assert.ok(isFailure(error, 'interrupted'));
    assert.match(error.message, /Ctrl-C.*not finished/);
    assert.match(error.hint, /^run the same command with --delta/);
    return true;
  });
  assert.equal(existsSync(join(base.path, 'x/global/pg_control')), false);
});

test(
  'PostgreSQL itself does not start what is not finished, and starts it when it is',
  {
    skip: withoutPostgres(18),
  },
  async () => {
    await using base = serverDirectory();
    const archive = join(base.path, 'archive');
    await using server = await startArchiving(archive, 18);
    await server.psql('CREATE TABLE a AS SELECT generate_series(1, 10000) i');
    const memory = new MemoryBackup();
    const { metadata } = await copyCluster(server, memory.backupContext());
    await archiveAll(server);
    const target = join(base.path, 'restored');
    memory.interrupt = (bytes) => {
      if (bytes > memory.streams.values().reduce((sum, { length }) => sum + length, 0) * 1.5)
        throw new Error('stopped');
    };
    await assert.rejects(restoreCluster({ target, archive }, memory.restoreContext(metadata)), /stopped/);
    memory.interrupt = undefined;
    await assert.rejects(startRestored(server, target));
    await restoreCluster({ target, archive, delta: true }, memory.restoreContext(metadata));
    await using copy = await startRestored(server, target);
    await untilOpen(copy);
    assert.equal(await copy.psql('SELECT sum(i) FROM a'), '50005000');
  },
);
