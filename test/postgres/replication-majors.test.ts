import assert from 'node:assert/strict';
import { access, chown, mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { floorLsn, addToLsn, type Lsn } from '../../src/postgres/lsn.ts';
import type { Replication } from '../../src/postgres/replication/replication.ts';
import { segmentName } from '../../src/postgres/wal/names.ts';
import { startPostgres, withoutPostgres, type PostgresServer } from '../../testing/postgres-server.ts';
import { lsnNow, readTo, replicate, startWith, unpack } from '../../testing/replication.ts';
import { failing } from './support.ts';

const segmentBytes = 16 * 1_048_576;

for (const major of [14, 'system', 16, 17, 18] as const) {
  test(`replication from PostgreSQL ${major}`, { skip: withoutPostgres(major) }, async (t) => {
    await using server = await startPostgres({ major, settings: { wal_keep_size: '512MB' } });
    await using replication = await replicate(server.url());
    await t.test('says who the server is', () => identify(server, replication));
    await t.test('makes, reads and drops slots', () => slots(replication));
    await t.test('gives the bytes of the segments', () => streamed(server, replication));
    await t.test('gives a base backup that starts, tablespaces too', (t) => backedUp(t, server, replication));
    await t.test('tells where a timeline ends, and goes on with the next', () => promoted(server));
  });
}

async function identify(server: PostgresServer, replication: Replication): Promise<void> {
  const identity = await replication.identifySystem();
  assert.equal(
    identity.systemIdentifier,
    await server.psql('SELECT system_identifier FROM pg_control_system()'),
  );
  assert.equal(identity.timeline, 1);
  assert.ok(identity.flushedTo <= (await lsnNow(server)));
  assert.equal(replication.serverVersionNumber, Number(await server.psql('SHOW server_version_num')));
  assert.equal(replication.serverVersion, await server.psql('SHOW server_version'));
  assert.equal(await replication.show('wal_segment_size'), '16MB');
  assert.deepEqual(
    [await replication.timelineHistory(1), await replication.timelineHistory(5)],
    [null, null],
  );
}

async function slots(replication: Replication): Promise<void> {
  const tells = replication.serverVersionNumber >= 150_000;
  assert.equal(await replication.readSlot('one'), tells ? null : 'unknown');
  await replication.createSlot('one');
  await replication.createSlot('later', { reserveWal: false });
  if (tells) {
    const found = await replication.readSlot('one');
    assert.ok(typeof found === 'object' && found?.restartTimeline === 1 && (found.restartLsn ?? 0n) > 0n);
    assert.deepEqual(await replication.readSlot('later'), { restartLsn: null, restartTimeline: null });
  }
  await assert.rejects(replication.createSlot('one'), failing('replication_slot_exists'));
  await replication.dropSlot('one', { wait: true });
  await replication.dropSlot('later');
  await assert.rejects(replication.dropSlot('one'), failing('replication_slot_missing'));
}

async function streamed(server: PostgresServer, replication: Replication): Promise<void> {
  const start = floorLsn(await lsnNow(server), segmentBytes);
  await server.psql(
    `CREATE TABLE t AS SELECT g AS id, repeat('x', 500) AS t FROM generate_series(1, 2000) g`,
  );
  await server.psql('SELECT pg_switch_wal()');
  const end = addToLsn(start, segmentBytes);
  const stream = await replication.stream({ start, timeline: 1 });
  const bytes = await readTo(stream, start, end);
  assert.equal(await stream.end(), null);
  assert.ok(bytes.equals(await segment(server, 1, start)), 'streamed WAL is what the server has in its file');
  // The connection is free for other commands.
  assert.equal((await replication.identifySystem()).timeline, 1);
}

function segment(server: PostgresServer, timeline: number, lsn: Lsn): Promise<Buffer> {
  return readFile(join(server.dataDirectory, 'pg_wal', segmentName(timeline, lsn, segmentBytes)));
}

async function backedUp(t: TestContext, server: PostgresServer, replication: Replication): Promise<void> {
  const place = join(server.dataDirectory, '..', 'space');
  await mkdir(place);
  if (server.user !== undefined) await chown(place, server.user.uid, server.user.gid);
  await server.psql(`CREATE TABLESPACE space LOCATION '${place}'`);
  await server.psql(`CREATE TABLE there TABLESPACE space AS SELECT generate_series(1, 5000) AS id`);
  const backup = await replication.baseBackup({ label: "a label's \\ worth", fast: true, progress: true });
  const [space] = backup.tablespaces;
  assert.deepEqual([backup.tablespaces.length, space?.path], [1, place]);
  assert.ok((space?.sizeKib ?? 0) > 100 && (backup.baseSizeKib ?? 0) > 5000);
  await server.psql('INSERT INTO there VALUES (-1)'); // while it goes on
  const unpacked = `${server.dataDirectory}.new`;
  await server.psql('CREATE TABLE afterwards AS SELECT 1 AS id');
  // The files of the tablespace must not be written over those of the running server.
  const saved = `${place}.saved`;
  const end = await unpack(elsewhere(backup, place, saved), unpacked);
  assert.ok(end.lsn > backup.start.lsn && end.timeline === 1);
  assert.match(await readFile(join(unpacked, 'backup_label'), 'utf8'), /LABEL: a label's \\ worth/);
  assert.deepEqual(backup.warnings, []);
  await assert.rejects(access(join(unpacked, 'backup_manifest')));
  await server.stop();
  await rm(place, { recursive: true });
  t.diagnostic(`backup from ${backup.start.lsn} to ${end.lsn}`);
  await rename(saved, place);
  await startWith(server, unpacked, [place]);
  assert.equal(await server.psql('SELECT count(*), min(id) FROM there'), '5001|-1');
  assert.equal(await server.psql('SELECT count(*) FROM t'), '2000');
  assert.equal(await server.psql('SELECT count(*) FROM afterwards'), '1');
}

function elsewhere(
  backup: Awaited<ReturnType<Replication['baseBackup']>>,
  from: string,
  to: string,
): Awaited<ReturnType<Replication['baseBackup']>> {
  return {
    start: backup.start,
    tablespaces: backup.tablespaces,
    baseSizeKib: backup.baseSizeKib,
    warnings: backup.warnings,
    end: backup.end,
    mostBuffered: 0,
    archives: async function* () {
      for await (const archive of backup.archives())
        yield { ...archive, path: archive.path === from ? to : archive.path };
    },
  };
}

async function promoted(server: PostgresServer): Promise<void> {
  await server.stop();
  const signal = join(server.dataDirectory, 'standby.signal');
  await writeFile(signal, '');
  if (server.user !== undefined) await chown(signal, server.user.uid, server.user.gid);
  await server.start();
  await using replication = await replicate(server.url());
  const { flushedTo, timeline } = await replication.identifySystem();
  const start = floorLsn(flushedTo, segmentBytes);
  const stream = await replication.stream({ start, timeline });
  // Under way when the server is promoted.
  const read = readAll(stream.messages());
  await server.psql('SELECT pg_promote()');
  const bytes = await read;
  const next = await stream.end();
  assert.equal(next?.nextTimeline, timeline + 1);
  assert.equal(Number((next?.switchpoint ?? 0n) - start), bytes.length);
  const history = await replication.timelineHistory(timeline + 1);
  assert.equal(history?.name, '00000002.history');
  assert.deepEqual(
    Buffer.from(history.content),
    await readFile(join(server.dataDirectory, 'pg_wal', '00000002.history')),
  );
  await resumed(server, replication, next?.switchpoint ?? start);
}

async function resumed(server: PostgresServer, replication: Replication, at: Lsn): Promise<void> {
  // Where the old timeline ends there is nothing left of it.
  const none = await replication.stream({ start: at, timeline: 1 });
  assert.equal((await readAll(none.messages())).length, 0);
  assert.deepEqual(await none.end(), { nextTimeline: 2, switchpoint: at });
  await server.psql('CREATE TABLE of_two AS SELECT 1 AS id');
  const end = await lsnNow(server);
  const stream = await replication.stream({ start: at, timeline: 2 });
  const bytes = await readTo(stream, at, end);
  assert.equal(await stream.end(), null);
  const first = floorLsn(at, segmentBytes);
  const offset = Number(at - first);
  const file = await segment(server, 2, at);
  assert.ok(bytes.subarray(0, segmentBytes - offset).equals(file.subarray(offset, offset + bytes.length)));
  await assert.rejects(
    replication.stream({ start: addToLsn(at, 1000), timeline: 1 }),
    failing('wal_timeline_unknown'),
  );
}

async function readAll(messages: AsyncIterable<{ kind: string; bytes?: Uint8Array }>): Promise<Buffer> {
  const pieces: Buffer[] = [];
  for await (const { bytes } of messages) if (bytes !== undefined) pieces.push(Buffer.from(bytes));
  return Buffer.concat(pieces);
}
