import assert from 'node:assert/strict';
import { test } from 'node:test';
import { verifyRepository } from '../../src/operations/verify.ts';
import type { VerifyReport } from '../../src/operations/verify-report.ts';
import type { VerifyOptions } from '../../src/operations/verify-options.ts';
import { formatLsn, lsnOf } from '../../src/postgres/lsn.ts';
import { segmentName } from '../../src/postgres/wal/names.ts';
import { unscannedFacts } from '../../src/contract/wal.ts';
import { encodeWalObject } from '../../src/repository/wal/object.ts';
import { silentLogger } from '../../src/kernel/log.ts';
import { archiveTimeline, segmentBytes } from '../../testing/recovery-model.ts';
import { silentProgress } from '../../testing/repository.ts';
import { ClusterWorld, modelBegin } from './cluster-world.ts';

const { signal } = new AbortController();

async function verify(world: ClusterWorld, rest: Partial<VerifyOptions> = {}): Promise<VerifyReport> {
  const base = {
    signal,
    log: silentLogger,
    jobs: 2,
    progress: silentProgress,
    overtakenMs: 0,
    readData: false,
  };
  return await verifyRepository(world.repository, { ...base, ...rest });
}

/** The segments of timeline 1 count from the model's first one. */
const segment = (index: number, timeline = 1): string =>
  segmentName(timeline, lsnOf(modelBegin + BigInt(index * segmentBytes)), segmentBytes);
const numbers = (...indexes: number[]): ReadonlySet<bigint> =>
  new Set(indexes.map((index) => modelBegin / BigInt(segmentBytes) + BigInt(index)));

/** A backup within the first 3 segments, 5 segments of WAL behind it. */
async function oneBackup(without: ReadonlySet<bigint> | null = new Set(), encrypted = false) {
  const world = await ClusterWorld.make({ encrypted });
  const on = world.first;
  world.write(on, 500_000);
  const start = world.position(on);
  world.write(on, 2_000_000);
  const backup = await world.backUp(1, start, world.position(on));
  world.write(on, 5_000_000);
  if (without !== null) await archiveTimeline(world.archive, world.model, on, { without });
  return { world, backup };
}

test('a backup with all its WAL recovers to the end of the archive', async () => {
  const { world, backup } = await oneBackup();
  const report = await verify(world);
  assert.deepEqual([report.ok, report.problems, report.notes], [true, [], []]);
  const [recovery] = report.recovery;
  assert.equal(report.recovery.length, 1);
  assert.equal(recovery?.backup, backup.id);
  assert.deepEqual([recovery.broken, recovery.gap, recovery.to?.timeline], [null, null, 1]);
  assert.equal(recovery.to?.at, '2026-11-21T20:00:03Z');
});

test('WAL that a backup needs is missing: it is named by its segments', async () => {
  const { world, backup } = await oneBackup(numbers(1, 2));
  const report = await verify(world);
  assert.equal(report.ok, false);
  const [problem] = report.problems;
  assert.equal(report.problems.length, 1);
  assert.equal(problem?.code, 'HF-5419');
  assert.deepEqual(problem.backups, [backup.id]);
  assert.match(problem.message, /timeline 1 is missing from 0\/1100000 to 0\/[0-9A-F]+ /);
  assert.ok(problem.message.endsWith(`(segments ${segment(1)}, ${segment(2)})`), problem.message);
  assert.deepEqual([report.recovery[0]?.to, report.recovery[0]?.gap?.from], [null, '0/1100000']);
  assert.deepEqual(report.notes, []);
});

test('a gap behind a backup is told once, with all who cannot cross it', async () => {
  const { world, backup } = await oneBackup(null);
  const start = world.position(world.first);
  const second = await world.backUp(1, lsnOf(modelBegin + 600_000n), lsnOf(modelBegin + 3_200_000n));
  world.write(world.first, 1_500_000);
  const behind = await world.backUp(1, start, world.position(world.first));
  await archiveTimeline(world.archive, world.model, world.first, { without: numbers(5) });
  const report = await verify(world, { backups: [backup.id, second.id] });
  assert.deepEqual(
    report.problems.map(({ code, backups }) => [code, backups]),
    [['HF-5420', [backup.id, second.id]]],
  );
  assert.match(
    report.problems[0]?.message ?? '',
    new RegExp(`0/1500000 to 0/1600000 \\(segment ${segment(5)}\\)`),
  );
  const whole = await verify(world);
  assert.deepEqual([whole.ok, whole.notes.length], [true, 1], 'a newer backup has left it behind');
  assert.ok(whole.notes[0]?.includes(`0/1500000 to 0/1600000 (segment ${segment(5)})`), whole.notes[0]);
  const [first, , last] = whole.recovery;
  assert.deepEqual(first?.gap, { timeline: 1, from: '0/1500000', to: '0/1600000' });
  assert.equal(first?.to?.lsn, '0/1500000');
  assert.deepEqual([last?.backup, last?.gap, last?.broken], [behind.id, null, null]);
  const only = await verify(world, { backups: [behind.id] });
  assert.deepEqual([only.ok, only.recovery.length], [true, 1]);
});

test('a gap before every backup is mentioned and no problem', async () => {
  const { world } = await oneBackup();
  const from = lsnOf(modelBegin + BigInt(10 * segmentBytes));
  world.write(world.first, 9_000_000);
  const start = world.position(world.first);
  world.write(world.first, 500_000);
  const late = await ClusterWorld.make();
  for (const op of world.first.own) late.first.own.push(op);
  await late.backUp(1, start, late.position(late.first));
  await archiveTimeline(late.archive, late.model, late.first, { without: numbers(4, 5) });
  const report = await verify(late);
  assert.ok(start > from);
  assert.equal(report.ok, true);
  assert.equal(report.notes.length, 1);
  assert.ok(report.notes[0]?.includes(`(segments ${segment(4)}, ${segment(5)})`), report.notes[0]);
});

test('WAL that was lost where a timeline was left breaks the way to the new one', async () => {
  const { world, backup } = await oneBackup();
  const second = world.model.branch(world.first, world.first.own.length);
  world.write(second, 3_000_000);
  await archiveTimeline(world.archive, world.model, second, { without: numbers(9) });
  const report = await verify(world);
  assert.deepEqual(
    report.problems.map(({ code, backups }) => [code, backups]),
    [['HF-5420', [backup.id]]],
  );
  assert.ok(report.problems[0]?.message.endsWith(`(segment ${segment(9, 2)})`), report.problems[0]?.message);
  assert.equal(report.recovery[0]?.to?.timeline, 2);
});

test('WAL of a timeline whose history is missing is missing WAL, until a backup is taken on it', async () => {
  const { world, backup } = await oneBackup();
  const second = world.model.branch(world.first, world.first.own.length);
  world.write(second, 3_000_000);
  second.own.push({ do: 'switch' });
  await archiveTimeline(world.archive, world.model, second, { withoutHistory: true });
  const report = await verify(world);
  assert.deepEqual(
    report.problems.map(({ code, object, backups }) => [code, object, backups]),
    [['HF-5423', `wal/${world.archive.id}/files/00000002.history`, [backup.id]]],
  );
  const start = world.position(second);
  world.write(second, 500_000);
  await world.backUp(2, start, world.position(second));
  await archiveTimeline(world.archive, world.model, second, { withoutHistory: true });
  const later = await verify(world);
  assert.deepEqual(later.problems, []);
  assert.match(later.notes.join('\n'), /00000002\.history of main is missing/);
});

test('a history that is damaged is named', async () => {
  const { world } = await oneBackup();
  const second = world.model.branch(world.first, world.first.own.length);
  world.write(second, 1_000_000);
  const start = world.position(second);
  world.write(second, 1_000_000);
  const own = await world.backUp(2, start, world.position(second));
  await archiveTimeline(world.archive, world.model, second);
  const name = `wal/${world.archive.id}/files/00000002.history`;
  const bytes = await world.storage.get(name);
  bytes[bytes.length - 3] = (bytes.at(-3) ?? 0) ^ 1;
  await world.storage.delete(name);
  await world.storage.put(name, bytes);
  const report = await verify(world);
  assert.deepEqual(
    report.problems.map(({ code, object, backups }) => [code, object, backups]),
    [
      ['HF-3006', name, [own.id]],
      ['HF-5419', `wal/${world.archive.id}/00000002/`, [own.id]],
    ],
  );
  assert.match(report.problems[0]?.message ?? '', /00000002\.history/);
});

test('an archive that cannot be opened, or is gone, is told with the backups that name it', async () => {
  const { world, backup } = await oneBackup();
  const name = `wal/about/${world.archive.id}`;
  const bytes = await world.storage.get(name);
  bytes[bytes.length - 1] = (bytes.at(-1) ?? 0) ^ 1;
  await world.storage.delete(name);
  await world.storage.put(name, bytes);
  const damaged = await verify(world);
  assert.deepEqual(
    damaged.problems.map(({ code, object, backups }) => [code, object, backups]),
    [['HF-3006', name, [backup.id]]],
  );
  await world.storage.delete(name);
  const gone = await verify(world);
  assert.deepEqual(
    gone.problems.map(({ code, backups }) => [code, backups]),
    [['HF-5419', [backup.id]]],
  );
  assert.match(gone.problems[0]?.message ?? '', /the archive with its WAL is gone/);
});

for (const [what, keep] of [
  ['nothing but its header', 64],
  ['half of itself', 0.5],
] as const) {
  test(`an object that was cut to ${what} is named without reading it`, async () => {
    const { world, backup } = await oneBackup();
    const name = `wal/${world.archive.id}/00000001/00000000/01100000`;
    const bytes = await world.storage.get(name);
    await world.storage.delete(name);
    await world.storage.put(name, bytes.subarray(0, keep < 1 ? Math.floor(bytes.length * keep) : keep));
    const report = await verify(world);
    assert.deepEqual(
      report.problems.map(({ code, object, backups }) => [code, object, backups]),
      [['HF-5421', name, [backup.id]]],
    );
    assert.ok(report.problems[0]?.message.includes(segment(1)));
  });
}

const objectOf = (world: ClusterWorld, index: number, timeline = 1): string => {
  const position = (modelBegin + BigInt(index * segmentBytes)).toString(16).padStart(8, '0');
  return `wal/${world.archive.id}/${String(timeline).padStart(8, '0')}/00000000/${position}`;
};

async function replace(world: ClusterWorld, name: string, bytes: Uint8Array): Promise<void> {
  await world.storage.delete(name);
  await world.storage.put(name, bytes);
}

const shown = ({ problems }: VerifyReport) =>
  problems.map(({ code, object, backups }) => [code, object, backups]);

for (const encrypted of [false, true]) {
  const how = encrypted ? 'encrypted' : 'plain';

  test(`with --read-data WAL that is as it was written is found well, records over borders and all (${how})`, async () => {
    const world = await ClusterWorld.make({ encrypted });
    const on = world.first;
    world.write(on, 500_000);
    const start = world.position(on);
    on.own.push({ do: 'switch' });
    world.write(on, 2_500_000);
    on.own.push({ do: 'fill', bytes: 1_900_000 });
    await world.backUp(1, start, world.position(on));
    world.write(on, 900_000);
    on.own.push({ do: 'switch' });
    const second = world.model.branch(on, on.own.length - 3);
    world.write(on, 700_000);
    world.write(second, 3_000_000);
    for (const timeline of world.model.timelines) await archiveTimeline(world.archive, world.model, timeline);
    const report = await verify(world, { readData: true });
    assert.deepEqual([report.problems, report.notes], [[], []]);
    assert.ok(report.bytes_read > 10_000);
  });

  test(`with --read-data damage is named by its segment (${how})`, async () => {
    const { world, backup } = await oneBackup(new Set(), encrypted);
    const [flipped, swapped] = [objectOf(world, 4), objectOf(world, 5)];
    const bytes = await world.storage.get(flipped);
    bytes[bytes.length >> 1] = (bytes[bytes.length >> 1] ?? 0) ^ 1;
    await replace(world, flipped, bytes);
    await replace(world, swapped, await world.storage.get(objectOf(world, 6)));
    assert.equal((await verify(world)).ok, true, 'nothing of it is read');
    const report = await verify(world, { readData: true });
    assert.deepEqual(shown(report), [
      ['HF-5421', flipped, [backup.id]],
      ['HF-5421', swapped, [backup.id]],
    ]);
    assert.ok(report.problems[0]?.message.includes(segment(4)));
    assert.ok(report.problems[1]?.message.includes(segment(5)));
  });
}

test('records that were damaged before they were archived are named with their position', async () => {
  const { world, backup } = await oneBackup(null);
  const { bytes, ends } = world.model.write(world.first);
  const border = 5 * segmentBytes;
  const inside = ends.findLast((end) => Number(end - modelBegin) < border - 250_000) ?? modelBegin;
  const across = ends.findLast((end) => Number(end - modelBegin) < border + segmentBytes) ?? modelBegin;
  for (const at of [inside, across]) {
    const where = Number(at - modelBegin) + 100;
    bytes[where] = (bytes[where] ?? 0) ^ 1;
  }
  await archiveTimeline(world.archive, world.model, world.first);
  assert.equal((await verify(world)).ok, true, 'nothing of it is read');
  const report = await verify(world, { readData: true });
  assert.deepEqual(shown(report), [
    ['HF-5422', segment(4), [backup.id]],
    ['HF-5422', segment(5), [backup.id]],
  ]);
  assert.ok(report.problems[0]?.message.includes(formatLsn(inside)), report.problems[0]?.message);
  assert.ok(report.problems[1]?.message.includes(formatLsn(across)), report.problems[1]?.message);
});

test('records that break off in the last segment end the archive, unless a backup has come farther', async () => {
  const { world } = await oneBackup(null);
  const { bytes, ends, end } = world.model.write(world.first);
  const last = ends.at(-2) ?? modelBegin;
  const where = Number(last - modelBegin) + 30;
  bytes[where] = (bytes[where] ?? 0) ^ 1;
  await archiveTimeline(world.archive, world.model, world.first);
  assert.equal((await verify(world, { readData: true })).ok, true);
  const late = await world.backUp(1, lsnOf(end - 1000n), end);
  const report = await verify(world, { readData: true });
  assert.deepEqual(
    report.problems.map(({ code, backups }) => [code, backups.includes(late.id)]),
    [['HF-5422', true]],
  );
});

test('a share of the WAL is read, and at least some', async () => {
  const { world } = await oneBackup();
  const all = await verify(world, { readData: true });
  const some = await verify(world, { readData: true, subset: 0.01 });
  assert.equal(some.level, 'read-data-subset');
  assert.ok(
    some.bytes_read > 0 && some.bytes_read < all.bytes_read / 2,
    `${some.bytes_read} of ${all.bytes_read}`,
  );
});

test('parts of a unit that hold other bytes than the whole are named', async () => {
  const { world } = await oneBackup();
  const { archive } = world;
  const other = await ClusterWorld.make();
  const at = modelBegin + BigInt(4 * segmentBytes);
  await other.archive.put({ timeline: 1, start: at, bytes: new Uint8Array(8192).fill(3) }, unscannedFacts);
  const [name = ''] = (await Array.fromAsync(other.storage.list('wal/')))
    .map((one) => one.name)
    .filter((one) => one.includes('.p'));
  // Both are archives of the same cluster in repositories of their own: what is put there is made here once more.
  const target = name.replace(other.archive.id, archive.id);
  const head = {
    timeline: 1,
    start: formatLsn(lsnOf(at)),
    end: formatLsn(lsnOf(at + 8192n)),
    facts: unscannedFacts,
  };
  await world.storage.put(
    target,
    encodeWalObject(world.repository.pipelineKeys, target, head, new Uint8Array(8192).fill(3)),
  );
  const report = await verify(world, { readData: true });
  assert.deepEqual(
    report.problems.map(({ code, object }) => [code, object]),
    [['HF-5421', target]],
  );
});

test('reading ends when it is told to', async () => {
  const { world } = await oneBackup();
  const stop = new AbortController();
  const phase = (text: string): void => {
    if (text === 'reading the WAL') stop.abort(new Error('enough'));
  };
  await assert.rejects(
    verify(world, { readData: true, signal: stop.signal, progress: { ...silentProgress, phase } }),
    /enough/,
  );
});
