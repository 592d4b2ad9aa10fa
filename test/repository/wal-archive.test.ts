import assert from 'node:assert/strict';
import { randomInt } from 'node:crypto';
import { test } from 'node:test';
import fc from 'fast-check';
import { unscannedFacts, type WalFacts } from '../../src/contract/wal.ts';
import { systemClock } from '../../src/kernel/clock.ts';
import { silentLogger } from '../../src/kernel/log.ts';
import { verifyRepository } from '../../src/operations/verify.ts';
import type { WalRun, WalStretch } from '../../src/repository/wal/model.ts';
import { MemoryStorage } from '../../src/storage/memory/memory-storage.ts';
import { withLog } from '../../src/storage/wrap/log.ts';
import { openTestRepository, silentProgress } from '../../testing/repository.ts';
import { failureOf, makeWalArchive, mib, putWal, walBytes, walInfo } from '../../testing/wal-archive.ts';

const facts: WalFacts = {
  transactions: 3,
  first_at_us: 1_700_000_000_000_000,
  last_at_us: 1_700_000_000_500_000,
  restore_points: [{ name: 'before the change', lsn: '0/1000F8', at_us: 1_700_000_000_400_000 }],
  scanned: true,
};

const places = ({ start, end, stretches }: WalRun) => ({ start, end, stretches });

for (const encrypted of [true, false]) {
  const how = encrypted ? 'encrypted' : 'plain';
  test(`WAL comes back as it was put, with its facts (${how})`, async () => {
    const { repository, archive } = await makeWalArchive({ encrypted });
    await using _ = repository;
    const unit = walBytes(mib, mib);
    assert.equal(await archive.put({ timeline: 1, start: BigInt(mib), bytes: unit }, facts), 'stored');
    assert.equal(await putWal(archive, 2 * mib, walBytes(2 * mib, 100_000)), 'stored');
    assert.equal(await putWal(archive, 2 * mib + 100_000, walBytes(2 * mib + 100_000, 9)), 'stored');
    assert.equal(await putWal(archive, 7 * mib, walBytes(7 * mib, mib), 0x10), 'stored');
    const [whole, part] = await Array.fromAsync(archive.stretches(1));
    assert.ok(whole !== undefined && part !== undefined);
    assert.deepEqual(await archive.read(whole), unit);
    assert.deepEqual(await archive.facts(whole), facts);
    assert.deepEqual([whole.isWhole, part.isWhole], [true, false]);
    assert.deepEqual(await archive.facts(part), unscannedFacts);
    assert.deepEqual(await archive.readUnit(1, BigInt(mib)), unit);
    assert.deepEqual(await archive.readUnit(1, BigInt(2 * mib)), walBytes(2 * mib, 100_009));
    assert.deepEqual(await archive.readUnit(1, 0n), new Uint8Array(0));
    assert.deepEqual(await archive.timelines(), [1, 0x10]);
    assert.deepEqual((await archive.runs(1)).map(places), [
      { start: BigInt(mib), end: BigInt(2 * mib + 100_009), stretches: 3 },
    ]);
    assert.deepEqual(await archive.runs(3), []);
    const report = await verifyRepository(repository, {
      signal: new AbortController().signal,
      log: silentLogger,
      jobs: 1,
      progress: silentProgress,
      readData: true,
    });
    // That what was put here is no WAL, is all that may be found.
    assert.deepEqual(
      report.problems.map(({ code }) => code),
      ['HF-5422'],
    );
  });
}

test('the same bytes again are there already, whole and in parts', async () => {
  const { repository, archive } = await makeWalArchive();
  await using _ = repository;
  const bytes = walBytes(0, mib);
  assert.equal(await putWal(archive, 100, bytes.subarray(100, 5000)), 'stored');
  assert.equal(await putWal(archive, 100, bytes.subarray(100, 5000)), 'already_there');
  assert.equal(await putWal(archive, 0, bytes), 'stored');
  assert.equal(await putWal(archive, 0, bytes), 'already_there');
  assert.equal(await putWal(archive, 200, bytes.subarray(200, 300)), 'stored');
  assert.equal((await archive.runs(1))[0]?.stretches, 3);
});

test('random stretches: runs and units are what a model says', async () => {
  const seed = randomInt(0x7fff_ffff);
  const start = fc.integer({ min: 0, max: 4 * 4096 - 1 });
  const stretch = fc.oneof(
    fc.record({ start, length: fc.integer({ min: 1, max: 4096 }) }),
    fc.record({ start: start.map((at) => at - (at % 4096)), length: fc.constant(4096) }),
  );
  await fc.assert(
    fc.asyncProperty(fc.array(stretch, { maxLength: 14 }), async (stretches) => {
      await againstModel(stretches);
    }),
    { seed, numRuns: 25 },
  );
});

/** In steps of 256 bytes: a unit of 1 MiB has 4096 of them. */
async function againstModel(stretches: readonly { start: number; length: number }[]): Promise<void> {
  const { repository, archive } = await makeWalArchive();
  await using _ = repository;
  const stored = new Uint8Array(4 * 4096);
  for (const { start, length: wanted } of stretches) {
    const length = Math.min(wanted, 4096 - (start % 4096));
    await putWal(archive, start * 256, wal.subarray(start * 256, (start + length) * 256));
    stored.fill(1, start, start + length);
  }
  const runs = (await archive.runs(1)).map((run) => [Number(run.start) / 256, Number(run.end) / 256]);
  assert.deepEqual(runs, runsOf(stored));
  for (let unit = 0; unit < 4; unit += 1) {
    const gap = stored.subarray(unit * 4096, (unit + 1) * 4096).indexOf(0);
    const expected = wal.subarray(unit * mib, unit * mib + (gap < 0 ? mib : gap * 256));
    const found = await archive.readUnit(1, BigInt(unit * mib));
    assert.equal(Buffer.compare(found, expected), 0, `unit ${unit}: ${found.length} bytes`);
  }
}

const wal = walBytes(0, 4 * mib);

function runsOf(stored: Uint8Array): number[][] {
  const runs: number[][] = [];
  for (let at = 0; at < stored.length; at += 1) {
    if (stored[at] === 0) continue;
    const last = runs.at(-1);
    if (last?.[1] === at) last[1] = at + 1;
    else runs.push([at, at + 1]);
  }
  return runs;
}

test('a range begins with the unit that its start lies in and ends before its end', async () => {
  const { repository, archive } = await makeWalArchive();
  await using _ = repository;
  const high = 0x1_0000_0000;
  for (const start of [0, mib, 2 * mib, high - mib, high]) await putWal(archive, start, walBytes(start, mib));
  await putWal(archive, high + mib + 10, walBytes(high + mib + 10, 20));
  const starts = async (from?: number, to?: number): Promise<number[]> => {
    const range = {
      ...(from === undefined ? {} : { from: BigInt(from) }),
      ...(to === undefined ? {} : { to: BigInt(to) }),
    };
    const found = await Array.fromAsync(archive.stretches(1, range));
    return found.map(({ start }) => Number(start));
  };
  assert.deepEqual(await starts(mib + 1, 2 * mib), [mib]);
  assert.deepEqual(await starts(mib + 1, 2 * mib + 1), [mib, 2 * mib]);
  assert.deepEqual(await starts(undefined, mib), [0]);
  assert.deepEqual(await starts(2 * mib), [2 * mib, high - mib, high, high + mib + 10]);
  assert.deepEqual(await starts(high - 1, high + 1), [high - mib, high]);
  assert.deepEqual(await starts(high + mib + 15), [high + mib + 10]);
  assert.deepEqual(await starts(5, 5), [0]);
  assert.deepEqual(await starts(mib, mib), []);
  assert.deepEqual((await archive.runs(1)).map(places), [
    { start: 0n, end: BigInt(3 * mib), stretches: 3 },
    { start: BigInt(high - mib), end: BigInt(high + mib), stretches: 2 },
    { start: BigInt(high + mib + 10), end: BigInt(high + mib + 30), stretches: 1 },
  ]);
});

test('a long archive is not listed from its beginning for what is at its end', async () => {
  const storage = withLog(new MemoryStorage(systemClock), silentLogger, systemClock);
  const { repository, archive } = await makeWalArchive({ storage });
  await using _ = repository;
  const put = async (timeline: string, position: string): Promise<void> =>
    await storage.put(`wal/${archive.id}/${timeline}/${position}`, new Uint8Array(1));
  for (let unit = 0; unit < 4096 * 3; unit += 1) {
    const high = ['0000000e', '0000000f', '0000002a'][unit >> 12] ?? '';
    await put('00000009', `${high}/${(unit % 4096).toString(16).padStart(3, '0')}00000`);
  }
  await put('0000000a', '0000002a/00200000');
  await put('00000b00', '0000002a/00300000.p00000100');
  await archive.putFile('0000000A.history', Buffer.from('x'));
  const listed = async <T>(call: () => Promise<T>): Promise<[T, number]> => {
    const before = storage.counts.list.objects;
    const result = await call();
    return [result, storage.counts.list.objects - before];
  };
  const [timelines, forTimelines] = await listed(() => archive.timelines());
  assert.deepEqual(timelines, [9, 10, 0xb00]);
  assert.ok(forTimelines < 6000, `${forTimelines} objects`);
  const from = 0x2a_fff0_0000n;
  const [last, forLast] = await listed(() => archive.runs(9, { from }));
  assert.deepEqual(last.map(places), [{ start: from, end: 0x2b_0000_0000n, stretches: 1 }]);
  assert.ok(forLast < 9000, `${forLast} objects`);
  const [across, forAcross] = await listed(() =>
    archive.runs(9, { from: 0xf_fff0_0000n, to: 0x2a_0010_0000n }),
  );
  assert.deepEqual(across.map(places), [
    { start: 0xf_fff0_0000n, end: 0x10_0000_0000n, stretches: 1 },
    { start: 0x2a_0000_0000n, end: 0x2a_0010_0000n, stretches: 1 },
  ]);
  assert.ok(forAcross < 9000, `${forAcross} objects`);
  const [all] = await listed(() => archive.runs(9));
  assert.deepEqual(
    all.map(({ stretches }) => stretches),
    [8192, 4096],
  );
});

test('units are segments, or 16 MiB of larger ones', async () => {
  for (const [segmentBytes, unitBytes] of [
    [mib, mib],
    [2 * mib, 2 * mib],
    [8 * mib, 8 * mib],
    [16 * mib, 16 * mib],
    [64 * mib, 16 * mib],
  ] as const) {
    const { repository, archive } = await makeWalArchive({ segmentBytes });
    await using _ = repository;
    assert.equal(archive.unitBytes, unitBytes);
    const unit = walBytes(unitBytes, unitBytes);
    await putWal(archive, unitBytes, unit);
    await putWal(archive, 2 * unitBytes, walBytes(2 * unitBytes, 10));
    await putWal(archive, 4 * unitBytes - 10, walBytes(4 * unitBytes - 10, 10));
    assert.equal(Buffer.compare(await archive.readUnit(1, BigInt(unitBytes)), unit), 0);
    assert.deepEqual(await archive.readUnit(1, BigInt(2 * unitBytes)), walBytes(2 * unitBytes, 10));
    assert.equal((await archive.readUnit(1, BigInt(3 * unitBytes))).length, 0);
    assert.equal((await archive.runs(1)).length, 2);
    await assert.rejects(putWal(archive, unitBytes - 5, walBytes(0, 10)), RangeError);
    await assert.rejects(archive.readUnit(1, 5n), RangeError);
  }
});

test('facts take one read of the beginning of an object, two where there are many', async () => {
  const storage = withLog(new MemoryStorage(systemClock), silentLogger, systemClock);
  const { repository, archive } = await makeWalArchive({ storage, encrypted: true });
  await using _ = repository;
  const noise = Array.from({ length: 400 }, (_unused, index) => ({
    name: Buffer.from(walBytes(index * 7919, 60)).toString('base64url') + String(Math.sin(index)),
    lsn: '0/1',
    at_us: index,
  }));
  const many = { ...facts, restore_points: noise };
  await archive.put({ timeline: 1, start: 0n, bytes: walBytes(0, mib) }, facts);
  await archive.put({ timeline: 1, start: BigInt(mib), bytes: walBytes(mib, mib) }, many);
  await archive.put({ timeline: 1, start: BigInt(2 * mib), bytes: walBytes(0, 1) }, facts);
  const [few, lots, tiny] = await Array.fromAsync(archive.stretches(1));
  assert.ok(few !== undefined && lots !== undefined && tiny !== undefined);
  const reads = async (stretch: WalStretch, expected: WalFacts): Promise<[number, number]> => {
    const { calls, bytes } = { ...storage.counts.get };
    assert.deepEqual(await archive.facts(stretch), expected);
    return [storage.counts.get.calls - calls, storage.counts.get.bytes - bytes];
  };
  assert.deepEqual(await reads(few, facts), [1, 4096]);
  assert.deepEqual(await reads(tiny, facts), [1, tiny.storedBytes]);
  const [calls, bytes] = await reads(lots, many);
  assert.equal(calls, 2);
  assert.ok(bytes > 8192 && bytes < 65_536, `${bytes} bytes`);
});

test('files are kept under their own names', async () => {
  const { repository, archive } = await makeWalArchive({ encrypted: true });
  await using _ = repository;
  const history = Buffer.from('1\t0/3000000\tno recovery target specified\n');
  const names = [
    '00000002.history',
    '0000000A000000000000000C.00000028.backup',
    '0000000A000000000000000D.partial',
  ];
  for (const name of names) assert.equal(await archive.putFile(name, history), 'stored');
  assert.deepEqual(await Array.fromAsync(archive.files()), names);
  assert.equal(await archive.putFile('00000002.history', history), 'already_there');
  assert.deepEqual(Buffer.from((await archive.getFile('00000002.history')) ?? []), history);
  assert.equal(await archive.getFile('00000003.history'), undefined);
  const error = await failureOf(archive.putFile('00000002.history', Buffer.from('2')));
  assert.equal(error.errorName, 'wal_file_differs');
  assert.match(error.message, /00000002\.history of main/);
  const large = walBytes(0, 3 * mib + 17);
  assert.equal(await archive.putFile('0000000A000000000000000E.partial', large), 'stored');
  const back = (await archive.getFile('0000000A000000000000000E.partial')) ?? new Uint8Array(0);
  assert.equal(Buffer.compare(back, large), 0);
  await assert.rejects(archive.putFile('00000002000000000000000C', history), TypeError);
  await assert.rejects(archive.putFile('../evil.history', history), TypeError);
  assert.deepEqual(await archive.timelines(), []);
});

test('an archive is found again by its cluster and by its id, and by nobody without the keys', async () => {
  const storage = new MemoryStorage(systemClock);
  const { repository, archive } = await makeWalArchive({ storage, encrypted: true });
  await using _ = repository;
  await putWal(archive, 0, walBytes(0, 10));
  await using again = await openTestRepository(storage);
  assert.equal((await again.walArchive(walInfo)).id, archive.id);
  assert.deepEqual((await again.findWalArchive(archive.id))?.info, archive.info);
  assert.equal(await again.findWalArchive('0'.repeat(32)), undefined);
  const other = await again.walArchive({ ...walInfo, system_identifier: '7300000000000000002' });
  assert.notEqual(other.id, archive.id);
  assert.deepEqual(await Array.fromAsync(other.stretches(1)), []);
  const all = await Array.fromAsync(again.walArchives());
  assert.deepEqual(
    all.map(({ id }) => id),
    [archive.id, other.id].toSorted(),
  );
  const { repository: elsewhere, archive: same } = await makeWalArchive({ encrypted: true });
  await elsewhere[Symbol.asyncDispose]();
  assert.notEqual(same.id, archive.id);
});

test('an archive with segments of another size is refused', async () => {
  const { repository } = await makeWalArchive();
  await using _ = repository;
  const error = await failureOf(repository.walArchive({ ...walInfo, segment_bytes: 2 * mib }));
  assert.equal(error.errorName, 'wal_archive_differs');
  assert.equal(error.exitCode, 7);
  assert.match(error.message, /1048576 bytes.*2097152/);
});
