import assert from 'node:assert/strict';
import { appendFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import type { RecoverySettings } from '../../src/sources/postgres-cluster/restore/options.ts';
import { MemoryBackup } from '../../testing/memory-backup.ts';
import { withoutPostgres } from '../../testing/postgres-server.ts';
import {
  archiveAll,
  copyCluster,
  restoreCluster,
  serverDirectory,
  startArchiving,
  startRestored,
  untilOpen,
} from './restore-kit.ts';

for (const major of ['system', 18] as const) {
  test(`recovery stops where it was asked to (${major})`, { skip: withoutPostgres(major) }, async () => {
    await using base = serverDirectory();
    const archive = join(base.path, 'an archive');
    await using server = await startArchiving(archive, major);
    await server.psql('CREATE TABLE a (i int)');
    // A target that somebody has left in the file: two of them at once stop PostgreSQL from starting.
    appendFileSync(join(server.dataDirectory, 'postgresql.conf'), "recovery_target_name = 'old'\n");
    await server.psql("ALTER SYSTEM SET recovery_target_xid = '3'");
    const memory = new MemoryBackup();
    const { metadata } = await copyCluster(server, memory.backupContext());
    await server.psql('INSERT INTO a VALUES (1)');
    const xid = await server.psql(
      'WITH x AS (INSERT INTO a VALUES (2) RETURNING 1) SELECT pg_current_xact_id() FROM x',
    );
    await server.psql("SELECT pg_create_restore_point('after two')");
    await server.psql('SELECT pg_sleep(0.01)');
    const time = await server.psql('SELECT clock_timestamp()');
    const lsn = await server.psql('SELECT pg_current_wal_insert_lsn()');
    await server.psql('INSERT INTO a VALUES (3)');
    await archiveAll(server);
    const cases: [NonNullable<RecoverySettings['target']>, string][] = [
      [{ kind: 'immediate', value: '', inclusive: true }, ''],
      [{ kind: 'time', value: time, inclusive: true }, '1,2'],
      [{ kind: 'lsn', value: lsn, inclusive: false }, '1,2'],
      [{ kind: 'xid', value: xid, inclusive: true }, '1,2'],
      [{ kind: 'xid', value: xid, inclusive: false }, '1'],
      [{ kind: 'name', value: 'after two', inclusive: true }, '1,2'],
    ];
    const target = join(base.path, 'restored');
    for (const [wanted, expected] of major === 18 ? cases.slice(2, 5) : cases) {
      // Over what the last one has made of it, which is promoted and on a timeline of its own.
      await restoreCluster(
        { target, archive, delta: true, recovery: { target: wanted } },
        memory.restoreContext(metadata),
      );
      await using copy = await startRestored(server, target);
      await untilOpen(copy);
      const found = await copy.psql("SELECT coalesce(string_agg(i::text, ',' ORDER BY i), '') FROM a");
      assert.equal(found, expected, `${wanted.kind} ${wanted.inclusive ? 'in' : 'ex'}clusive`);
    }
    if (major === 18) return;
    await restoreCluster(
      {
        target,
        archive,
        delta: true,
        recovery: { target: { kind: 'name', value: 'never', inclusive: true } },
      },
      memory.restoreContext(metadata),
    );
    await assert.rejects(
      startRestored(server, target),
      /recovery ended before configured recovery target was reached/,
    );
  });
}
