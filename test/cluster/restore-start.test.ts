import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { test } from 'node:test';
import type { RecoverySettings } from '../../src/sources/postgres-cluster/restore/options.ts';
import { startRestoredCluster, type Started } from '../../src/sources/postgres-cluster/restore/start.ts';
import { MemoryBackup } from '../../testing/memory-backup.ts';
import { withoutPostgres } from '../../testing/postgres-server.ts';
import {
  archiveAll,
  copyCluster,
  restoreCluster,
  serverDirectory,
  startArchiving,
  wishOf,
} from './restore-kit.ts';

test(
  'a restored cluster is started, and it is told how far recovery came',
  {
    skip: withoutPostgres('system'),
  },
  async () => {
    await using base = serverDirectory();
    const archive = join(base.path, 'archive');
    await using server = await startArchiving(archive, 'system');
    await server.psql('CREATE TABLE a (i int)');
    const memory = new MemoryBackup();
    const { metadata } = await copyCluster(server, memory.backupContext());
    await server.psql('INSERT INTO a VALUES (1)');
    await server.psql("SELECT pg_create_restore_point('here')");
    await server.psql('INSERT INTO a VALUES (2)');
    await archiveAll(server);
    const directory = join(base.path, 'restored');
    const log = join(base.path, 'start.log');
    const start = async (
      recovery: Partial<RecoverySettings>,
      settings: Record<string, string> = {},
      timeoutMs = 30_000,
      signal = AbortSignal.timeout(60_000),
    ): Promise<Started> => {
      await restoreCluster(
        { target: directory, archive, delta: true, recovery },
        memory.restoreContext(metadata),
      );
      return await startRestoredCluster({
        binDirectory: server.binDirectory,
        directory,
        log,
        owner: server.user ?? null,
        recovery: { ...wishOf({ target: directory, archive }).recovery, ...recovery },
        settings: { listen_addresses: '', fsync: 'off', ...settings },
        connection: null,
        environment: { PATH: process.env['PATH'] ?? '', LC_ALL: 'C' },
        timeoutMs,
        signal,
        now: () => Date.now(),
      });
    };
    const here = { kind: 'name', value: 'here', inclusive: true } as const;

    const open = await start({});
    assert.equal(open.state, 'open');
    assert.equal(open.timeline, 2);
    assert.match(open.last_lsn ?? '', /^0\/[0-9A-F]+$/);
    assert.match(open.last_transaction_at ?? '', /^\d{4}-\d\d-\d\d /);
    await end(open);

    const paused = await start({ target: here, action: 'pause' }, { logging_collector: 'on' });
    assert.equal(paused.state, 'paused');
    assert.match(paused.stopped ?? '', /restore point "here"/);
    await end(paused);

    const ended = await start({ target: here, action: 'shutdown' });
    assert.deepEqual([ended.state, ended.pid], ['ended', null]);

    // It waits for WAL for as long as it is let.
    const restoreCommand = 'sleep 1; false';
    const pid = async (): Promise<number> =>
      Number.parseInt(await readFile(join(directory, 'postmaster.pid'), 'utf8'), 10);
    await assert.rejects(start({ restoreCommand }, {}, 100), { errorName: 'cluster_start_timeout' });
    await end({ ...ended, pid: await pid() });
    const stop = new AbortController();
    const reason = new Error('Ctrl-C');
    const stopped = start({ restoreCommand }, {}, 30_000, stop.signal);
    const known = stopped.catch((error: unknown) => error);
    while (!existsSync(join(directory, 'postmaster.pid'))) await delay(5);
    stop.abort(reason);
    assert.equal(await known, reason);
    assert.equal(existsSync(join(directory, 'postmaster.pid')), false);

    const missed = { ...here, value: 'nowhere' };
    await assert.rejects(start({ target: missed }), { errorName: 'cluster_recovery_target_missed' });
    await assert.rejects(start({}, { shared_preload_libraries: 'no_such_library' }), (error: Error) => {
      assert.equal((error as { errorName?: string }).errorName, 'cluster_start_failed');
      assert.match(error.message, /could not access file "no_such_library"/);
      return true;
    });
  },
);

async function end({ pid }: Started): Promise<void> {
  if (pid === null) return;
  process.kill(pid, 'SIGINT');
  for (;;) {
    try {
      process.kill(pid, 0);
    } catch {
      return;
    }
    await delay(5);
  }
}
