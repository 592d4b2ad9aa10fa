import assert from 'node:assert/strict';
import { chown, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { floorLsn, formatLsn, lsnOf, parseLsn, zeroLsn, type Lsn } from '../../src/postgres/lsn.ts';
import { checkSegmentHeader, parseSegmentHeader } from '../../src/postgres/wal/header.ts';
import { leftAt, parseTimelineHistory, timelinesOfSegment } from '../../src/postgres/wal/history.ts';
import { segmentName } from '../../src/postgres/wal/names.ts';
import type { WalRecord } from '../../src/postgres/wal/record.ts';
import { scanWal, WalScanner } from '../../src/postgres/wal/scan.ts';
import { decodeRecord, isDecoded, type WalEvent } from '../../src/postgres/wal/transactions.ts';
import { startPostgres, withoutPostgres, type PostgresServer } from '../../testing/postgres-server.ts';
import { readWal, walOfServer, type WalOfServer } from '../../testing/wal-files.ts';

const segmentBytes = 1 << 24;

interface Made {
  /** Transactions by number, with their time of commit as the server knows it: microseconds since 1970. */
  readonly commits: ReadonlyMap<number, bigint>;
  readonly points: readonly string[];
  readonly prepared: { readonly committed: number; readonly rolledBack: number };
  /** Up to where all was written at the end. */
  readonly end: Lsn;
}

for (const major of ['system', 16, 17, 18] as const) {
  test(
    `the WAL of PostgreSQL ${major} tells what the server tells`,
    { skip: withoutPostgres(major) },
    async () => {
      await using server = await startPostgres({
        major,
        settings: {
          track_commit_timestamp: 'on',
          max_prepared_transactions: '4',
          wal_keep_size: '1GB',
          // So that the end is where we left it.
          autovacuum: 'off',
          wal_compression: 'on',
          bgwriter_delay: '10s',
        },
      });
      const made = await work(server);
      await server.stop('immediate');
      const wal = await walOfServer(server.dataDirectory);
      await compareHeaders(server, wal);
      compareRecords(server, wal, made);
      compareFacts(wal, made);
    },
  );
}

async function work(server: PostgresServer): Promise<Made> {
  await server.psql(`
    CREATE TABLE t (i int PRIMARY KEY, t text);
    INSERT INTO t SELECT g, repeat('x', g % 100) FROM generate_series(1, 3000) g`);
  const points = [await server.psql(`SELECT pg_create_restore_point('first — ä')`)];
  await server.psql(`SELECT pg_logical_emit_message(true, 'long', repeat('z', 17000000))`);
  await server.psql('BEGIN; INSERT INTO t VALUES (-1); SAVEPOINT a; DELETE FROM t WHERE i < 90; COMMIT');
  const prepare = async (name: string): Promise<number> => {
    const sql = `BEGIN; CREATE TABLE ${name} (i int); SAVEPOINT a; CREATE TABLE ${name}_2 (i int); DROP TABLE ${name}`;
    await server.psql(`${sql}; PREPARE TRANSACTION '${name}'`);
    return Number(await server.psql(`SELECT transaction FROM pg_prepared_xacts WHERE gid = '${name}'`));
  };
  const prepared = { committed: await prepare('one'), rolledBack: await prepare('two') };
  await server.psql(`ANALYZE; CREATE TABLE dropped (i int)`);
  await server.psql(`COMMIT PREPARED 'one'`);
  await server.psql(`ROLLBACK PREPARED 'two'`);
  await server.psql('SELECT pg_switch_wal()');
  for (let round = 0; round < 5; round += 1)
    await server.psql(`UPDATE t SET t = ${round} WHERE i % 50 = ${round}`);
  await server.psql('CHECKPOINT; DROP TABLE dropped');
  points.push(await server.psql(`SELECT pg_create_restore_point('last')`));
  const rows = await server.psql(`
    SELECT g, (extract(epoch FROM pg_xact_commit_timestamp(g::text::xid)) * 1000000)::bigint
    FROM generate_series(3, (txid_current() % (2^32)::bigint)::int - 1) g
    WHERE pg_xact_commit_timestamp(g::text::xid) IS NOT NULL`);
  const commits = rows.split('\n').map((row): [number, bigint] => {
    const [xid = '', time = ''] = row.split('|');
    return [Number(xid), BigInt(time)];
  });
  await server.psql('CREATE TABLE last (i int)');
  const end = lsnOf(parseLsn(await server.psql('SELECT pg_current_wal_flush_lsn()')) ?? 0n);
  return { commits: new Map(commits), points, prepared, end };
}

async function compareHeaders(server: PostgresServer, wal: WalOfServer): Promise<void> {
  const header = parseSegmentHeader(wal.bytes);
  assert.equal(header?.major, server.major);
  const control = await readFile(join(server.dataDirectory, 'global/pg_control'));
  const systemIdentifier = String(control.readBigUInt64LE(0));
  const expected = { start: wal.start, timeline: 1, segmentBytes, systemIdentifier };
  assert.equal(checkSegmentHeader(wal.bytes, expected), null);
  assert.match(
    checkSegmentHeader(wal.bytes, { ...expected, systemIdentifier: '1' }) ?? '',
    /another cluster/,
  );
}

function compareRecords(server: PostgresServer, wal: WalOfServer, made: Made): void {
  const read = readWal(
    wal.bytes,
    { start: wal.start, segmentBytes, wants: isDecoded },
    [100_001, 20_000_000],
  );
  assert.match(read.stopped?.kind ?? '', /^(zeros|recycled)$/);
  assert.ok((read.lastEnd ?? 0n) >= made.end, `${read.stopped?.reason}`);
  assert.ok(read.records.some(({ end }) => end === made.end));
  assert.ok(read.records.some(({ totalLength }) => totalLength > segmentBytes));
  for (const { major } of read.records) assert.equal(major, server.major);
  const events = read.records.flatMap((record): [WalRecord, WalEvent][] => {
    const event = decodeRecord(record);
    assert.equal(event === undefined, record.data === undefined);
    return event === undefined ? [] : [[record, event]];
  });
  const commits = new Map(
    events.flatMap(([, event]) =>
      event.kind === 'commit' && event.xid !== 0 ? [[event.xid, event.atUs]] : [],
    ),
  );
  const times = new Set(commits.values());
  for (const [xid, time] of made.commits) {
    // A subtransaction has the time of its transaction, and no record of its own.
    if (commits.has(xid)) assert.equal(commits.get(xid), time, `transaction ${xid}`);
    else assert.ok(times.has(time), `transaction ${xid}`);
  }
  assert.ok([...made.commits.keys()].filter((xid) => commits.has(xid)).length > 10);
  const points = events.filter(([, event]) => event.kind === 'restore_point');
  assert.deepEqual(
    points.map(([record]) => formatLsn(record.end)),
    made.points,
  );
  const ended = events.flatMap(([, event]) => ('wasPrepared' in event && event.wasPrepared ? [event] : []));
  assert.deepEqual(
    ended.map(({ kind, xid }) => [kind, xid]),
    [
      ['commit', made.prepared.committed],
      ['abort', made.prepared.rolledBack],
    ],
  );
}

function compareFacts(wal: WalOfServer, made: Made): void {
  const whole = scanWal(wal.bytes, wal.start);
  assert.equal(whole.scanned, true);
  assert.deepEqual(
    whole.restore_points.map(({ name, lsn }) => [name, lsn]),
    [
      ['first — ä', made.points[0]],
      ['last', made.points[1]],
    ],
  );
  const last = [...made.commits.values()].reduce((a, b) => (a > b ? a : b));
  assert.ok(BigInt(whole.last_at_us ?? 0) >= last);
  const scanner = new WalScanner();
  let transactions = 0;
  let points = 0;
  for (let at = 0; at < wal.bytes.length; at += 1_000_003) {
    const piece = wal.bytes.subarray(at, at + 1_000_003);
    const facts = scanner.scan(piece, lsnOf(wal.start + BigInt(at)));
    transactions += facts.transactions;
    points += facts.restore_points.length;
  }
  assert.equal(transactions, whole.transactions);
  assert.equal(points, 2);
}

test('a promoted server goes on in a new timeline', { skip: withoutPostgres('system') }, async () => {
  await using server = await startPostgres({ major: 'system', settings: { wal_keep_size: '1GB' } });
  await server.psql('CREATE TABLE t AS SELECT g FROM generate_series(1, 1000) g');
  await server.stop();
  const signal = join(server.dataDirectory, 'standby.signal');
  await writeFile(signal, '');
  if (server.user !== undefined) await chown(signal, server.user.uid, server.user.gid);
  await server.start();
  assert.equal(await server.psql('SELECT pg_promote()'), 't');
  await server.psql('INSERT INTO t SELECT g FROM generate_series(1, 1000) g');
  await server.stop();

  const directory = join(server.dataDirectory, 'pg_wal');
  const history = parseTimelineHistory(2, await readFile(join(directory, '00000002.history')));
  const left = leftAt(history, 1) ?? zeroLsn;
  const start = floorLsn(left, segmentBytes);
  assert.deepEqual(timelinesOfSegment(history, start, segmentBytes), [2, 1]);
  const bytes = await readFile(join(directory, segmentName(2, start, segmentBytes)));
  assert.equal(parseSegmentHeader(bytes)?.timeline, 1);
  assert.equal(checkSegmentHeader(bytes, { start, timeline: 2 }), null);
  const { records, stopped } = readWal(bytes, { start, timeline: 2, wants: isDecoded });
  assert.equal(stopped?.kind, 'zeros');
  const first = records.find((record) => record.start >= left);
  const event = first && decodeRecord(first);
  assert.ok(event?.kind === 'end_of_recovery');
  assert.deepEqual([event.timeline, event.previousTimeline], [2, 1]);
  assert.equal(readWal(bytes, { start, timeline: 1 }).stopped?.kind, 'foreign');
});
