import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { promisify } from 'node:util';
import { formatLsn } from '../../src/postgres/lsn.ts';
import type { WalRecord } from '../../src/postgres/wal/record.ts';
import { decodeRecord, isDecoded, type WalEvent } from '../../src/postgres/wal/transactions.ts';
import { startPostgres, withoutPostgres, type PostgresServer } from '../../testing/postgres-server.ts';
import { readWal, walOfServer } from '../../testing/wal-files.ts';

const run = promisify(execFile);
const segmentBytes = 1 << 20;

interface Dumped {
  readonly rmgr: string;
  readonly length: number;
  readonly xid: number;
  readonly lsn: string;
  readonly previous: string;
  readonly text: string;
}

test('every record is the one that pg_waldump tells', { skip: withoutPostgres('system') }, async (t) => {
  await using server = await startPostgres({
    major: 'system',
    initdbArgs: ['--wal-segsize=1'],
    settings: {
      max_prepared_transactions: '4',
      wal_level: 'logical',
      max_connections: '23',
      wal_keep_size: '1GB',
    },
  });
  if (!existsSync(join(server.binDirectory, 'pg_waldump'))) return t.skip('pg_waldump is not installed');
  await work(server);
  await server.psql('SELECT pg_switch_wal()');
  await server.stop();

  const { start, bytes } = await walOfServer(server.dataDirectory, { segmentBytes });
  const { records, stopped } = readWal(bytes, { start, segmentBytes, wants: isDecoded }, [77_777, 999_999]);
  const dumped = await dump(server, formatLsn(start));
  assert.ok(dumped.length > 20_000);
  assert.deepEqual(
    records.map((record) => `${plainLsn(record.start)} ${record.xid} ${record.totalLength}`),
    dumped.map((record) => `${record.lsn} ${record.xid} ${record.length}`),
  );
  assert.ok(records.some((record) => record.totalLength > 20_000));
  compareEvents(records, dumped);
  assert.match(stopped?.kind ?? '', /^(zeros|recycled)$/);
});

async function work(server: PostgresServer): Promise<void> {
  await server.psql(`
    CREATE TABLE t (i int PRIMARY KEY, t text);
    ALTER TABLE t ALTER t SET STORAGE plain;
    CREATE TABLE big (t text);
    ALTER TABLE big ALTER t SET STORAGE external;
    INSERT INTO t SELECT g, repeat('x', g % 300) FROM generate_series(1, 9000) g;`);
  await server.psql('SELECT pg_switch_wal()');
  await server.psql(`INSERT INTO big VALUES (repeat('y', 300000))`);
  await server.psql(`SELECT pg_logical_emit_message(true, 'long', repeat('z', 2500000))`);
  await server.psql(`SELECT pg_create_restore_point('before the storm — ä')`);
  await server.psql(`BEGIN; INSERT INTO t VALUES (-1); SAVEPOINT a; INSERT INTO t VALUES (-2); SAVEPOINT b;
    INSERT INTO t VALUES (-3); ROLLBACK TO b; COMMIT`);
  await server.psql(`BEGIN; DROP TABLE big; SAVEPOINT a; CREATE TABLE c (i int); PREPARE TRANSACTION 'one'`);
  await server.psql(`BEGIN; SAVEPOINT a; CREATE TABLE d (i int); PREPARE TRANSACTION 'two'`);
  await server.psql(`COMMIT PREPARED 'one'`);
  await server.psql(`ROLLBACK PREPARED 'two'`);
  await server.psql(`BEGIN; INSERT INTO t VALUES (-9); ROLLBACK`);
  await server.psql('UPDATE t SET t = i; CHECKPOINT; UPDATE t SET t = t || 1');
}

async function dump(server: PostgresServer, start: string): Promise<Dumped[]> {
  // The end of the WAL is an error to it; what it told before is complete.
  const options = { maxBuffer: 1 << 30, cwd: '/', ...server.user, env: { TZ: 'UTC' } };
  const args = ['-p', join(server.dataDirectory, 'pg_wal'), '-s', start];
  const ended = await run(join(server.binDirectory, 'pg_waldump'), args, options).catch(
    (error: Error & { stdout: string }) => error,
  );
  const pattern =
    /^rmgr: (\S+) +len \(rec\/tot\): +\d+\/ *(\d+), tx: +(\d+), lsn: (\S+), prev (\S+), desc: (.*)$/gm;
  return [...ended.stdout.matchAll(pattern)].map(
    ([, rmgr = '', length = '', xid = '', lsn = '', previous = '', text = '']) => {
      return { rmgr, length: Number(length), xid: Number(xid), lsn, previous, text };
    },
  );
}

/** As pg_waldump writes it. */
function plainLsn(lsn: bigint): string {
  const low = (lsn & 0xffff_ffffn).toString(16).toUpperCase().padStart(8, '0');
  return `${(lsn >> 32n).toString(16).toUpperCase()}/${low}`;
}

function compareEvents(records: readonly WalRecord[], dumped: readonly Dumped[]): void {
  const compared = new Set<string>();
  for (const [index, record] of records.entries()) {
    const { rmgr = '', text = '' } = dumped[index] ?? {};
    const event = decodeRecord(record);
    const told = /^(XLOG|Transaction)$/.test(rmgr) ? tell(event) : undefined;
    if (told === undefined) {
      assert.equal(event, undefined, text);
      assert.doesNotMatch(text, /^(COMMIT|ABORT|CHECKPOINT_|RESTORE_POINT|SWITCH|END_OF|PARAMETER)/);
      continue;
    }
    assert.ok(text.trim().startsWith(told), `${text} does not begin with ${told}`);
    compared.add(/^\w+/.exec(text)?.[0] ?? '');
  }
  const commits = ['ABORT', 'ABORT_PREPARED', 'COMMIT', 'COMMIT_PREPARED'];
  const others = ['CHECKPOINT_ONLINE', 'CHECKPOINT_SHUTDOWN', 'PARAMETER_CHANGE', 'RESTORE_POINT', 'SWITCH'];
  assert.deepEqual([...compared].toSorted(), [...commits, ...others].toSorted());
}

/** How pg_waldump begins the same. */
function tell(event: WalEvent | undefined): string | undefined {
  if (event === undefined) return undefined;
  switch (event.kind) {
    case 'commit':
    case 'abort': {
      const time = new Date(Number(event.atUs / 1000n)).toISOString().replace('T', ' ').slice(0, 23);
      const micros = String(event.atUs % 1000n).padStart(3, '0');
      const words = `${event.kind.toUpperCase()}${event.wasPrepared ? `_PREPARED ${event.xid}:` : ''}`;
      return `${words} ${time}${micros} UTC`;
    }
    case 'checkpoint':
      return (
        `CHECKPOINT_${event.isShutdown ? 'SHUTDOWN' : 'ONLINE'} redo ${formatLsn(event.redo)}; ` +
        `tli ${event.timeline}; prev tli ${event.previousTimeline}; fpw ${event.fullPageWrites};`
      );
    case 'parameters':
      return (
        `PARAMETER_CHANGE max_connections=${event.maxConnections} ` +
        `max_worker_processes=${event.maxWorkerProcesses} max_wal_senders=${event.maxWalSenders} ` +
        `max_prepared_xacts=${event.maxPreparedTransactions} ` +
        `max_locks_per_xact=${event.maxLocksPerTransaction} wal_level=${event.walLevel}`
      );
    case 'restore_point':
      return `RESTORE_POINT ${event.name}`;
    case 'switch':
      return 'SWITCH';
    case 'backup_end':
      return `BACKUP_END ${formatLsn(event.backupStart)}`;
    case 'end_of_recovery':
      return `END_OF_RECOVERY tli ${event.timeline}; prev tli ${event.previousTimeline}`;
  }
}
