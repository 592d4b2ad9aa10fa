import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { formatLsn, lsnOf, parseLsn } from '../../src/postgres/lsn.ts';
import { segmentName } from '../../src/postgres/wal/names.ts';
import { decodeRecord, isDecoded } from '../../src/postgres/wal/transactions.ts';
import { startPostgres, withoutPostgres, type PostgresServer } from '../../testing/postgres-server.ts';
import { readWal, walOfServer } from '../../testing/wal-files.ts';

const segmentBytes = 1 << 24;

test(
  'after a power cut WAL ends where recovery ends it, and goes on from there',
  { skip: withoutPostgres('system') },
  async () => {
    await using server = await startPostgres({ major: 'system', settings: { wal_keep_size: '1GB' } });
    await server.psql('CREATE TABLE t (i serial, t text)');
    for (let round = 0; round < 2; round += 1) {
      // Busy when the power goes.
      const busy = Array.from({ length: 3 }, () =>
        server
          .psql(`INSERT INTO t (t) SELECT repeat('x', g % 700) FROM generate_series(1, 100000) g`)
          .catch(() => ''),
      );
      const confirmed = parseLsn(await server.psql(`SELECT pg_create_restore_point('sure')`)) ?? lsnOf(0);
      await server.psql(`INSERT INTO t (t) SELECT repeat('y', 1000) FROM generate_series(1, 2000)`);
      await server.kill();
      await Promise.all(busy);
      const before = await readAll(server);
      assert.ok((before.lastEnd ?? 0n) >= confirmed, before.stopped?.reason);
      await server.start();
      const redone = /redo done at ([0-9A-F/]+)/.exec(
        (await server.log()).split('redo starts').at(-1) ?? '',
      )?.[1];
      assert.equal(formatLsn(before.records.at(-1)?.start ?? lsnOf(0)), redone);
      const after = await readAll(server);
      const common = after.records.slice(0, before.records.length);
      assert.deepEqual(common, before.records);
      const next = after.records[before.records.length];
      // A record that was not finished is taken note of first.
      const isNote = next?.rmid === 0 && next.info === 0xd0;
      const then = isNote ? after.records[before.records.length + 1] : next;
      assert.ok(then !== undefined && decodeRecord(then)?.kind === 'checkpoint');
    }
  },
);

async function readAll(server: PostgresServer): Promise<ReturnType<typeof readWal>> {
  const { start, bytes } = await walOfServer(server.dataDirectory);
  return readWal(bytes, { start, segmentBytes, wants: isDecoded }, [3_333_333]);
}

for (const major of ['system', 18] as const) {
  test(
    `a record that PostgreSQL ${major} could not finish is passed over`,
    { skip: withoutPostgres(major) },
    async () => {
      await using server = await startPostgres({
        major,
        settings: { wal_keep_size: '1GB', autovacuum: 'off' },
      });
      // A record over many pages; then all of it is lost but its beginning.
      await server.psql('CREATE TABLE t (i int)');
      const begin = parseLsn(await server.psql('SELECT pg_current_wal_flush_lsn()')) ?? lsnOf(0);
      await server.psql(`SELECT pg_logical_emit_message(true, 'long', repeat('z', 200000))`);
      await server.kill();
      const start = lsnOf(begin - (begin % BigInt(segmentBytes)));
      const path = join(server.dataDirectory, 'pg_wal', segmentName(1, start, segmentBytes));
      const bytes = await readFile(path);
      const kept = (Math.ceil(Number(begin - start) / 8192) + 3) * 8192;
      await writeFile(path, bytes.fill(0, kept));
      const lost = readWal(bytes, { start, segmentBytes });
      assert.equal(lost.stopped?.kind, 'zeros');
      const lostFrom = lost.stopped.at;

      await server.start();
      const point = await server.psql(`SELECT pg_create_restore_point('behind it')`);
      await server.psql('INSERT INTO t VALUES (1)');
      await server.stop();
      const { records, stopped } = readWal(await readFile(path), { start, segmentBytes, wants: isDecoded });
      assert.equal(stopped?.kind, 'zeros');
      const behind = records.filter((record) => record.start >= lostFrom);
      assert.equal(behind[0]?.start, lsnOf(start + BigInt(kept + 24)));
      assert.equal(behind[0]?.info, 0xd0);
      assert.deepEqual(
        records
          .filter((record) => decodeRecord(record)?.kind === 'restore_point')
          .map(({ end }) => formatLsn(end)),
        [point],
      );
    },
  );
}
