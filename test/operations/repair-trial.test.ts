import assert from 'node:assert/strict';
import { test } from 'node:test';
import { systemClock } from '../../src/kernel/clock.ts';
import { isFailure } from '../../src/kernel/errors/failure.ts';
import type { VerifyReport } from '../../src/operations/verify-report.ts';
import { putPin } from '../../src/repository/history/pins.ts';
import { unscannedFacts } from '../../src/contract/wal.ts';
import { addToLsn, floorLsn } from '../../src/postgres/lsn.ts';
import type { MemoryStorage } from '../../src/storage/memory/memory-storage.ts';
import { patternedBytes } from '../../testing/bytes.ts';
import { archiveTimeline, modelStart, segmentBytes } from '../../testing/recovery-model.ts';
import {
  assertWhole,
  copyOf,
  cut,
  everythingIn,
  flip,
  namesIn,
  repaired,
  replace,
  restores,
  storageOf,
  verified,
  type Made,
} from '../../testing/repair.ts';
import { backUp, bytesSource, openTestRepository } from '../../testing/repository.ts';
import { ClusterWorld } from './cluster-world.ts';
import { forgetAt } from './forget-support.ts';

/** Damages with a copy, and as many without; HOLDFAST_TRIAL_DAMAGES=1000 for the full trial. */
const damages = Number(process.env['HOLDFAST_TRIAL_DAMAGES'] ?? 16);
const seed = Number(process.env['HOLDFAST_TRIAL_SEED'] ?? Math.floor(Math.random() * 2 ** 31));
const mostAtOnce = 4;

/** mulberry32 */
function randomOf(start: number): (below: number) => number {
  let state = start;
  return (below) => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) % below;
  };
}

interface World {
  readonly storage: MemoryStorage;
  readonly copies: readonly MemoryStorage[];
  readonly made: readonly Made[];
}

/** A repository with one of everything: backups that share much, a cluster with WAL whole and in parts, records. */
async function makeWorld(encrypted: boolean): Promise<World> {
  const world = await ClusterWorld.make({ encrypted });
  const { repository, archive, first, model } = world;
  const storage = world.storage as MemoryStorage;
  const made: Made[] = [];
  const contents = [
    { a: patternedBytes(300_000, 1), b: Buffer.from('a small one') },
    { a: patternedBytes(300_000, 1), c: patternedBytes(200_000, 2) },
    { gone: patternedBytes(50_000, 9) },
    { d: patternedBytes(150_000, 3), e: Buffer.alloc(400_000), f: patternedBytes(90_000, 4) },
    { a: patternedBytes(250_000, 1), g: patternedBytes(60_000, 5) },
  ];
  for (const one of contents) {
    const manifest = await backUp(repository, bytesSource(one));
    if (!('gone' in one)) made.push([manifest, one]);
  }
  world.write(first, 700_000);
  const start = world.position(first);
  world.write(first, 2_500_000);
  const cluster = await world.backUp(1, start, world.position(first));
  world.write(first, 3_700_000);
  const torn = floorLsn(addToLsn(modelStart, 3 * segmentBytes), segmentBytes);
  await archiveTimeline(archive, model, first, { torn: new Set([torn / BigInt(segmentBytes)]) });
  const half = addToLsn(torn, segmentBytes / 2);
  const from = Number(half - modelStart);
  const bytes = model.write(first).bytes.subarray(from, from + segmentBytes / 2);
  await archive.put({ timeline: 1, start: half, bytes }, unscannedFacts);
  await archive.putFile('000000010000000000000002.00000028.backup', Buffer.from('START WAL LOCATION'));
  await putPin(repository, {
    schema: 1,
    id: cluster.id,
    reason: 'kept',
    pinned_at: new Date(systemClock.now()).toISOString(),
    host: 'testhost',
    user: 'tester',
  });
  // A copy may still have what was forgotten here since.
  const copy = await copyOf(storage);
  await forgetAt(repository, [2]);
  // Whoever verifies every day has many reports.
  for (let day = 0; day < 3; day += 1) assert.deepEqual((await verified(storage)).problems, []);
  // And explains only what it lacks: another one, made since, has the record.
  return { storage, copies: [await copyOf(storage, copy), await copyOf(storage)], made };
}

/** For each pack the backups that need it. */
async function neededBy(all: ReadonlyMap<string, Uint8Array>): Promise<Map<string, ReadonlySet<string>>> {
  const needed = new Map<string, ReadonlySet<string>>();
  for (const name of all.keys()) {
    if (!name.startsWith('packs/')) continue;
    const storage = await storageOf(all);
    await storage.delete(name);
    const { problems } = await verified(storage);
    needed.set(name, new Set(problems.flatMap(({ backups }) => backups)));
  }
  return needed;
}

type Kind = 'flip' | 'cut' | 'delete' | 'swap';

interface Damage {
  readonly kind: Kind;
  readonly name: string;
}

/** What nobody could tell from having been removed on purpose, or never written. */
const mayBeGone = (name: string): boolean =>
  /^(?:pins|reports|trash)\//.test(name) || name.endsWith('.backup');

/** Kinds of objects have the same chance, be there one of them or a hundred. */
const groups = [
  /^packs\//,
  /^packs\//,
  /^index\//,
  /^snapshots\//,
  /^wal\/(?!about)[0-9a-f]*\/[0-9a-f]{8}\//,
  /^wal\/[0-9a-f]*\/files\//,
  /^wal\/about\//,
  /^(?:forgotten|pins|trash|reports)\//,
  /^(?:keys\/|holdfast\.json)/,
];

async function harm(
  storage: MemoryStorage,
  count: number,
  random: (below: number) => number,
): Promise<Damage[]> {
  const done: Damage[] = [];
  while (done.length < count) {
    const names = (await namesIn(storage, '')).filter((name) => !done.some((one) => one.name === name));
    const group = groups[random(groups.length)] ?? /^/;
    const candidates = names.filter((name) => group.test(name));
    const name = candidates[random(Math.max(1, candidates.length))];
    if (name === undefined) continue;
    const kind = (['flip', 'cut', 'delete', 'swap'] as const)[random(4)] ?? 'flip';
    const good = await storage.get(name);
    if (kind === 'flip') await replace(storage, name, flip(good, random(8 * good.length)));
    else if (kind === 'cut') await replace(storage, name, cut(good, random(good.length)));
    else if (kind === 'delete') {
      if (mayBeGone(name)) continue;
      await storage.delete(name);
    } else {
      // Of the same kind where there is another one, half of the time.
      const pool = random(2) === 0 && candidates.length > 1 ? candidates : names;
      const other = pool.filter((one) => one !== name)[random(Math.max(1, pool.length - 1))];
      if (other === undefined) continue;
      const theirs = await storage.get(other);
      if (Buffer.compare(theirs, good) === 0) continue;
      await replace(storage, name, theirs);
      await replace(storage, other, good);
      done.push({ kind, name: other });
    }
    done.push({ kind, name });
  }
  return done;
}

/** Whether a report tells of a damage: by its name, or of what is gone by what misses it. */
function isTold(
  { problems, notes }: VerifyReport,
  { kind, name }: Damage,
  needed: ReadonlyMap<string, ReadonlySet<string>>,
): boolean {
  if (problems.some(({ object, message }) => object === name || message.includes(name))) return true;
  // Small files of WAL are named as PostgreSQL writes them.
  const last = name.split('/').at(-1) ?? '';
  if (problems.some(({ message }) => message.toLowerCase().includes(last))) return true;
  if (kind !== 'delete') return false;
  // Of an index that is gone together with all packs that it told of nothing is left to miss but their chunks.
  const isMissed = problems.some(({ code }) => code === 'HF-3008');
  if (name.startsWith('index/')) return isMissed || notes.some((note) => note.includes('rebuild-index'));
  // Where nothing tells about an archive all that needs it is named, and what is missing in it shows when it is mended.
  const about = `wal/about/${name.split('/')[1]}`;
  if (name.startsWith('wal/'))
    return (
      problems.some(({ object }) => object === about) ||
      problems.some(({ code }) => /HF-(?:54|6305)/.test(code)) ||
      notes.some((note) => note.includes('WAL')) ||
      // Where the backup that needs it is gone or cannot be read, and that is told, nothing misses it.
      problems.some(({ code, object: it }) => /HF-(?:3015|6304)/.test(code) || it.startsWith('snapshots/'))
    );
  const backup = /[0-9a-f]{32}$/.exec(name)?.[0];
  // That the newest was there nothing tells but the reports.
  const hurtReports = new Set(
    problems.map(({ object }) => object).filter((one) => one.startsWith('reports/')),
  );
  if (name.startsWith('snapshots/'))
    return problems.some(({ message }) => message.includes(backup ?? '-')) || hurtReports.size >= 3;
  // The record that explained why a backup is gone.
  if (name.startsWith('forgotten/'))
    return (
      problems.some(({ code }) => ['HF-3015', 'HF-6304'].includes(code)) ||
      notes.some((note) => note.includes('no backup has the number'))
    );
  // Whatever needs the pack is named, be it for another damage; a pack that nobody needs is none.
  const hurt = new Set(problems.flatMap(({ backups }) => backups));
  const isNamed = (id: string): boolean =>
    hurt.has(id) || problems.some(({ message }) => message.includes(id));
  return [...(needed.get(name) ?? [])].every(isNamed);
}

/** The report; undefined when the repository does not even open, which is told as loudly. */
async function reportOf(storage: MemoryStorage): Promise<VerifyReport | undefined> {
  try {
    return await verified(storage);
  } catch (error) {
    if (isFailure(error) && ['integrity', 'not_found'].includes(error.kind)) return undefined;
    throw error;
  }
}

const keeps = (name: string): boolean => !/^(?:index|quarantine|reports)\//.test(name);

for (const encrypted of [true, false]) {
  test(`${damages / 2} random damages, with a copy: all found, all mended (${encrypted ? 'encrypted' : 'plain'})`, async (t) => {
    const random = randomOf(seed + (encrypted ? 1 : 2));
    t.diagnostic(`HOLDFAST_TRIAL_SEED=${seed}`);
    const { storage: original, copies, made } = await makeWorld(encrypted);
    const all = await everythingIn(original);
    const needed = await neededBy(all);
    const kinds: Record<string, number> = {};
    for (let left = Math.ceil(damages / 2); left > 0;) {
      const storage = await storageOf(all);
      const done = await harm(storage, Math.min(left, 1 + random(mostAtOnce)), random);
      left -= done.length;
      const told = `${JSON.stringify(done)} (seed ${seed})`;
      const report = await reportOf(storage);
      for (const one of report === undefined ? [] : done)
        assert.ok(
          report === undefined || isTold(report, one, needed),
          `not found: ${JSON.stringify(one)} of ${told}: ${JSON.stringify(report)}`,
        );
      const { after, report: repair } = await repaired(storage, copies);
      assert.deepEqual(after.problems, [], `${told}: ${JSON.stringify(repair)}`);
      await assertWhole(storage, made);
      // That a pack is gone which no backup needs shows nowhere. Without its index nobody knows what else was in one that is
      // gone: its chunks are there again, in another.
      const isIndexHurt = done.some(({ name }) => name.startsWith('index/'));
      // What a damaged record told is told by others, in names of their own.
      const isRecordHurt = (name: string): boolean =>
        name.startsWith('forgotten/') && done.some((one) => one.name === name);
      const isMissed = (name: string): boolean =>
        (needed.get(name)?.size !== 0 && !isIndexHurt) ||
        done.every((one) => one.kind !== 'delete' || one.name !== name);
      for (const [name, bytes] of all)
        if (keeps(name) && isMissed(name) && !isRecordHurt(name)) {
          const now = await storage.get(name).catch(() => undefined);
          const same = now !== undefined && Buffer.compare(now, bytes) === 0;
          assert.ok(same, `${name}: ${told}: ${JSON.stringify(repair)}`);
        }
      for (const { kind } of done) kinds[kind] = (kinds[kind] ?? 0) + 1;
    }
    t.diagnostic(JSON.stringify(kinds));
  });

  test(`${damages / 2} random damages, without a copy: all found, what they hurt named, the rest restores (${encrypted ? 'encrypted' : 'plain'})`, async (t) => {
    const random = randomOf(seed + (encrypted ? 3 : 4));
    t.diagnostic(`HOLDFAST_TRIAL_SEED=${seed}`);
    const { storage: original, made } = await makeWorld(encrypted);
    const all = await everythingIn(original);
    const needed = await neededBy(all);
    let lost = 0;
    let mended = 0;
    for (let left = Math.ceil(damages / 2); left > 0;) {
      const storage = await storageOf(all);
      const done = await harm(storage, Math.min(left, 1 + random(3)), random);
      left -= done.length;
      const told = `${JSON.stringify(done)} (seed ${seed})`;
      const report = await reportOf(storage);
      // Nothing opens it but the recovery kit, or a copy.
      if (report === undefined) continue;
      for (const one of done)
        assert.ok(
          isTold(report, one, needed),
          `not found: ${JSON.stringify(one)} of ${told}: ${JSON.stringify(report)}`,
        );
      const { after, report: repair } = await repaired(storage, []);
      for (const now of [report, after]) {
        const hurt = new Set(now.problems.flatMap(({ backups }) => backups));
        const gone = now.problems.filter(({ code }) => /HF-(?:3015|6304)/.test(code));
        for (const one of made) {
          const [{ id }] = one;
          if (hurt.has(id) || gone.some(({ message }) => message.includes(id))) continue;
          const again = `${told}: ${JSON.stringify(now.problems)} ${JSON.stringify(repair)}`;
          assert.ok(await restores(storage, one), `${id} does not restore and is not named: ${again}`);
        }
      }
      if (after.problems.length > 0) lost += 1;
      else mended += 1;
      // Life goes on: what is backed up now is whole, and needs nothing that is lost.
      await using repository = await openTestRepository(storage);
      const contents = { a: patternedBytes(300_000, 1), d: patternedBytes(150_000, 3) };
      const fresh = await backUp(repository, bytesSource(contents));
      const hurt = (await verified(storage)).problems.filter(({ backups }) => backups.includes(fresh.id));
      assert.deepEqual(hurt, [], told);
    }
    t.diagnostic(`${lost} rounds lost something, ${mended} were mended from what was left`);
  });
}
