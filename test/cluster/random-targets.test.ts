import assert from 'node:assert/strict';
import { existsSync, readdirSync } from 'node:fs';
import { rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import type { RecoveryTarget } from '../../src/operations/recovery/target-model.ts';
import { formatMicroseconds } from '../../src/operations/recovery/words.ts';
import { formatLsn, lsnOf, parseLsn, zeroLsn, type Lsn } from '../../src/postgres/lsn.ts';
import { randomFrom } from '../../testing/cluster-workload.ts';
import { NumberedCommits } from '../../testing/numbered-commits.ts';
import { withoutPostgres } from '../../testing/postgres-server.ts';
import { committedBy, dumpRecords, hasWaldump, stopIndex, type DumpedRecord } from '../../testing/waldump.ts';
import { archiveAll, ClusterProgram, errorOf, type BackupFacts } from './program-kit.ts';
import type { Json } from '../cli/program-runner.ts';
import { ownedDirectory, startRestored, untilOpen } from './restore-kit.ts';

// Recovery to random moments, compared with what pg_waldump and the sessions that wrote say should be there.
// HOLDFAST_TRIAL_TARGETS=50 tries that many.
const trial = Number(process.env['HOLDFAST_TRIAL_TARGETS'] ?? '0');
const targets = trial > 0 ? trial : 1;
const seed = Number(process.env['HOLDFAST_SEED'] ?? Math.floor(Math.random() * 1e6));
const random = randomFrom(seed);
const any = (count: number): number => Math.floor(random() * count);
// Small segments have records across their borders, large ones are fewer to fetch.
const segmentMiB = trial > 0 ? 1 : 16;
const segmentBytes = segmentMiB << 20;
const skip = withoutPostgres('system');

describe(`recovery to ${targets} random targets (seed ${seed})`, { skip }, () => {
  let program: ClusterProgram;
  let commits: NumberedCommits;
  const backups: BackupFacts[] = [];
  /** Of all the WAL, by position. */
  let records: readonly DumpedRecord[] = [];
  /** What each committed transaction wrote. */
  const numbersOf = new Map<number, readonly number[]>();
  let restored = 0;

  before(async () => {
    program = await ClusterProgram.begin({
      major: 'system',
      initdbArgs: [`--wal-segsize=${segmentMiB}`],
      settings: {
        track_commit_timestamp: 'on',
        max_prepared_transactions: '8',
        wal_keep_size: '2GB',
        max_wal_size: '256MB',
        autovacuum_naptime: '1s',
      },
    });
    commits = await NumberedCommits.start(program.server, seed);
    await work();
    await commits.end();
    await account();
  });

  after(async () => {
    await commits?.[Symbol.asyncDispose]();
    await program?.[Symbol.asyncDispose]();
  });

  /** Backups beside the sessions; the first half of the WAL comes by wal push, the second by wal stream. */
  async function work(): Promise<void> {
    const halves = trial > 0 ? [2, 2] : [1, 1];
    for (let done = 0; done < (halves[0] ?? 0); done += 1) {
      backups.push(await program.backUp());
      await commits.more(60);
    }
    await archiveAll(program.server);
    const stream = program.start('wal', 'stream');
    await stream.sees('"streaming"');
    await program.server.psql("ALTER SYSTEM SET archive_command = '/bin/true'");
    await program.server.psql('SELECT pg_reload_conf()');
    for (let done = 0; done < (halves[1] ?? 0); done += 1) {
      await commits.more(60);
      backups.push(await program.backUp());
    }
    // Enough segments that one can be missing.
    for (let segment = 0; segment < 3; segment += 1) {
      await commits.more(25);
      await program.server.psql('SELECT pg_switch_wal()');
    }
    stream.kill('SIGTERM');
    await stream.done;
  }

  /** What was written, and the rest of it stored. The account of the sessions must be that of the server. */
  async function account(): Promise<void> {
    const { server } = program;
    await program.run('wal', 'stream', '--once');
    if (!hasWaldump(server)) throw new Error('pg_waldump is not installed');
    records = await dumpRecords(server, join(server.dataDirectory, 'pg_wal'), { segmentBytes });
    const ends = new Map<number, DumpedRecord>();
    for (const record of records)
      if (record.event !== undefined && record.event.kind !== 'point') ends.set(record.event.xid, record);
    const times = await commitTimes();
    for (const { how, xid, numbers, from, to } of commits.ended) {
      const record = ends.get(xid);
      const { event } = record ?? {};
      const what = `transaction ${xid} (${how}, from ${formatLsn(from)} to ${formatLsn(to)})`;
      assert.ok(record !== undefined && event !== undefined && event.kind !== 'point', what);
      assert.equal(event.kind, how.startsWith('commit') ? 'commit' : 'abort', what);
      assert.ok(record.start >= from && record.start < to, `${what}: ${formatLsn(record.start)}`);
      if (event.kind === 'commit') assert.equal(times.get(xid), event.atUs);
      numbersOf.set(xid, numbers);
    }
    for (const { name } of commits.points)
      assert.equal(records.filter(({ event }) => event?.kind === 'point' && event.name === name).length, 1);
  }

  async function commitTimes(): Promise<Map<number, number>> {
    const xids = commits.ended.filter(({ how }) => how.startsWith('commit')).map(({ xid }) => xid);
    const text = await program.server.psql(
      `SELECT x, (extract(epoch FROM pg_xact_commit_timestamp(x::text::xid)) * 1000000)::bigint
         FROM unnest(ARRAY[${xids.join(',')}]) x`,
    );
    return new Map(
      text.split('\n').map((line) => {
        const [xid = '', us = ''] = line.split('|');
        return [Number(xid), Number(us)] as const;
      }),
    );
  }

  const lsnIn = (text: string): Lsn => parseLsn(text) ?? zeroLsn;
  const stopOf = ({ metadata }: BackupFacts): Lsn => lsnIn(metadata.stop_lsn);
  const first = (): BackupFacts => backups[0] ?? assert.fail('no backup');

  /** Behind the first backup. */
  const later = (): DumpedRecord[] => records.filter(({ start }) => start > stopOf(first()));

  interface Chosen {
    readonly what: string;
    readonly target: RecoveryTarget;
  }

  function pick<T>(from: readonly T[]): T {
    return from[any(from.length)] ?? assert.fail('nothing to choose from');
  }

  /** Each way of naming a target; in an order of their own, so that a few of them are different ones. */
  const ways: readonly ((inclusive: boolean) => Chosen | undefined)[] = [
    (inclusive) => {
      const { event } = pick(later().filter(({ event: one }) => one?.kind === 'commit'));
      const value = event?.kind === 'commit' ? event.atUs : 0;
      return { what: 'the time of a commit', target: { kind: 'time', value, inclusive } };
    },
    (inclusive) => {
      const { event } = pick(later().filter(({ event: one }) => one?.kind === 'abort'));
      const value = event?.kind === 'abort' ? event.atUs + any(3) - 1 : 0;
      return { what: 'the time of a rollback, or beside it', target: { kind: 'time', value, inclusive } };
    },
    (inclusive) => {
      const all = later().filter(({ event }) => event?.kind === 'commit');
      const index = any(all.length - 1);
      const [one, two] = [all[index]?.event, all[index + 1]?.event];
      if (one?.kind !== 'commit' || two?.kind !== 'commit') return undefined;
      const value = one.atUs + 1 + any(Math.max(1, two.atUs - one.atUs - 1));
      return { what: 'between two commits', target: { kind: 'time', value, inclusive } };
    },
    (inclusive) => ({
      what: 'the beginning of a record',
      target: { kind: 'lsn', value: pick(later()).start, inclusive },
    }),
    (inclusive) => {
      const ends = later().filter(({ event }) => event !== undefined);
      return {
        what: 'the record of a commit, or inside of it',
        target: { kind: 'lsn', value: lsnOf(pick(ends).start + BigInt(any(12))), inclusive },
      };
    },
    (inclusive) => ({
      what: 'the end of what a session knows',
      target: {
        kind: 'lsn',
        value: pick(commits.ended.filter(({ to }) => to > stopOf(first()) && to < lastStart())).to,
        inclusive,
      },
    }),
    ...(['commit', 'abort', 'commit prepared', 'abort prepared'] as const).map(
      (how) =>
        (inclusive: boolean): Chosen | undefined => {
          const some = commits.ended.filter((one) => one.how === how && one.from > stopOf(first()));
          return some.length === 0
            ? undefined
            : { what: how, target: { kind: 'xid', value: BigInt(pick(some).xid), inclusive } };
        },
    ),
    () => {
      const some = commits.points.filter(({ lsn }) => lsn > stopOf(first()));
      return some.length === 0
        ? undefined
        : { what: 'a restore point', target: { kind: 'name', value: pick(some).name } };
    },
    () => ({ what: 'the end of the backup', target: { kind: 'immediate' } }),
    () => ({ what: 'all there is', target: { kind: 'end' } }),
    (inclusive) => ({
      what: 'the time of the last transaction',
      target: { kind: 'time', value: inclusive ? lastTime() : lastTime() - 1, inclusive },
    }),
    () => ({ what: 'the last record', target: { kind: 'lsn', value: lastStart(), inclusive: true } }),
  ];

  const lastStart = (): Lsn => records.at(-1)?.start ?? zeroLsn;

  function lastTime(): number {
    return Math.max(...records.map(({ event }) => (event !== undefined && 'atUs' in event ? event.atUs : 0)));
  }

  /** The rows there must be, by PostgreSQL's definition of the target; undefined when it cannot come to it. */
  function expected(target: RecoveryTarget, backup: BackupFacts): number[] | undefined {
    const from = lsnIn(backup.metadata.start_lsn);
    const begin = records.findIndex(({ start }) => start >= from);
    const replayable = records.slice(begin);
    let count: number | undefined;
    if (target.kind === 'immediate') count = replayable.findIndex(({ start }) => start >= stopOf(backup));
    else if (target.kind === 'time' && target.inclusive && target.value === lastTime())
      count = replayable.length;
    else count = stopIndex(replayable, target);
    if (count === undefined) return undefined;
    const there = committedBy(records.slice(0, begin + count));
    return [...there].flatMap((xid) => numbersOf.get(xid) ?? []).toSorted((a, b) => a - b);
  }

  /** The newest that had ended by then, of what is asked for. */
  function newestFor(target: RecoveryTarget): BackupFacts {
    const fits = (backup: BackupFacts): boolean => {
      if (target.kind === 'immediate' || target.kind === 'end') return true;
      if (target.kind === 'time') return Date.parse(backup.metadata.stopped_at) * 1000 + 999 <= target.value;
      const begin = records.findIndex(({ start }) => start >= stopOf(backup));
      if (target.kind === 'lsn') return stopOf(backup) <= target.value;
      return stopIndex(records.slice(begin), target) !== undefined;
    };
    return backups.findLast(fits) ?? assert.fail('no backup fits');
  }

  async function tryTarget({ what, target }: Chosen, note: (text: string) => void): Promise<void> {
    restored += 1;
    const directory = ownedDirectory(join(program.path, `restored-${restored}`));
    // Now and then a backup that is named, and not the newest that would do.
    const named = random() < 0.25 ? newestFor(target) : undefined;
    const reference = named === undefined ? 'latest:main' : named.id;
    const words = ['restore', reference, '--to', directory, ...flagsOf(target)];
    note(`${what}: ${words.slice(4).join(' ') || 'the end of the backup'}`);
    const result = (await program.run(...words)).lines().at(-1) ?? {};
    const backup =
      backups.find(({ id }) => id === (result['backup'] as Json)['id']) ?? assert.fail('another backup');
    assert.equal(backup.id, newestFor(target).id, `${what}: the newest backup that leads there`);
    const due = expected(target, backup);
    assert.ok(due !== undefined, `${what}: PostgreSQL would not come to ${words.join(' ')}`);
    assert.deepEqual(await rowsAfter(directory), due, `${what}: ${words.join(' ')}`);
    await rm(directory, { recursive: true });
  }

  async function rowsAfter(directory: string): Promise<number[]> {
    await using server = await startRestored(program.server, directory);
    await untilOpen(server).catch(async (error: unknown) => {
      throw new Error(await server.log(), { cause: error });
    });
    const text = await server.psql("SELECT string_agg(n::text, ',' ORDER BY n) FROM numbers");
    return text === '' ? [] : text.split(',').map(Number);
  }

  it('lands where it must', async (t) => {
    let order: (typeof ways)[number][] = [];
    for (let done = 0; done < targets; done += 1) {
      let chosen: Chosen | undefined;
      while (chosen === undefined) {
        if (order.length === 0) order = ways.toSorted(() => random() - 0.5);
        chosen = order.pop()?.(random() < 0.5);
      }
      await tryTarget(chosen, (text) => t.diagnostic(text));
    }
  });

  /** Refused with that code, nothing written; answers what is said to do next. */
  async function refused(code: string, ...words: string[]): Promise<string> {
    restored += 1;
    const directory = join(program.path, `refused-${restored}`);
    const ran = await program.ask('restore', 'latest:main', '--to', directory, ...words);
    assert.equal(ran.code, 4, `${words.join(' ')}: ${ran.stdout}${ran.stderr}`);
    const error = errorOf(ran);
    assert.equal(error.code, code, `${words.join(' ')}: ${error.message}`);
    assert.ok(!existsSync(directory), `${words.join(' ')} wrote something`);
    assert.match(error.hint, /what can be recovered to: /, words.join(' '));
    return error.hint;
  }

  /** That each bound these hints name can be had. */
  async function boundsAreTrue(hints: readonly string[]): Promise<void> {
    const bounds = new Map(hints.flatMap((hint) => boundsIn(hint).map((words) => [words.join(' '), words])));
    for (const [what, words] of bounds) {
      const directory = join(program.path, 'would-be');
      const ran = await program.ask('restore', 'latest:main', '--to', directory, '--dry-run', ...words);
      assert.equal(ran.code, 0, `${what}, of: ${hints.join('\n')}\n${ran.stdout}`);
    }
  }

  it('refuses what cannot be reached, and names what can', async () => {
    const stopped = Date.parse(first().metadata.stopped_at) * 1000;
    const begun = records.find(({ start }) => start >= lsnIn(first().metadata.start_lsn));
    const beforeAll = commits.ended.find(({ to }) => to <= lsnIn(first().metadata.start_lsn));
    assert.ok(begun !== undefined && beforeAll !== undefined);
    const hints = [
      await refused('HF-5533', '--at', instant(stopped - 500_000)),
      await refused('HF-5533', '--at-lsn', formatLsn(begun.start)),
      await refused('HF-5535', '--at', instant(lastTime() + 1)),
      await refused('HF-5535', '--at-lsn', formatLsn(lsnOf(lastStart() + BigInt(segmentBytes)))),
      await refused('HF-5537', '--at-xid', String(beforeAll.xid)),
      await refused('HF-5537', '--at-xid', '4000000000'),
      await refused('HF-5537', '--at-name', 'nobody made it'),
      await refused('HF-5536', '--at-end', '--timeline', '7'),
    ];
    await boundsAreTrue(hints);
  });

  it('refuses what lies behind a gap, and goes up to it', async (t) => {
    const last = backups.at(-1) ?? assert.fail('no backup');
    const commit = records.findLast(({ event }) => event?.kind === 'commit') ?? assert.fail('no commit');
    assert.ok(commit.event?.kind === 'commit');
    const objects = walObjects(join(program.repository, 'wal')).filter(
      ({ at }) => at > stopOf(last) && at < commit.start - BigInt(segmentBytes),
    );
    const cut = objects[any(objects.length)] ?? assert.fail('too little WAL behind the last backup');
    await rename(cut.path, join(program.path, 'aside'));
    t.diagnostic(`without ${formatLsn(cut.at)}`);
    const hints = [
      await refused('HF-5534', '--at', instant(commit.event.atUs)),
      await refused('HF-5534', '--at-lsn', formatLsn(commit.start)),
      await refused('HF-5534', '--at-end'),
      // Whatever it looks for may be in what is missing, or behind it.
      await refused('HF-5537', '--at-xid', String(commit.event.xid)),
      await refused('HF-5537', '--at-name', 'nobody made it'),
    ];
    await boundsAreTrue(hints);
    const nearest = boundsIn(hints[0] ?? '')[0] ?? assert.fail('no bound');
    const directory = ownedDirectory(join(program.path, 'nearest'));
    await program.run('restore', 'latest:main', '--to', directory, ...nearest);
    const rows = await rowsAfter(directory);
    const before = committedBy(records.filter(({ start }) => start < cut.at));
    const there = [...before].flatMap((xid) => numbersOf.get(xid) ?? []);
    // The last record in front of the gap may go on in it.
    assert.ok(there.length - rows.length <= 2 && rows.every((row) => there.includes(row)));
    await rename(join(program.path, 'aside'), cut.path);
  });
});

function instant(us: number): string {
  return `${formatMicroseconds(us)}+00`;
}

function flagsOf(target: RecoveryTarget): string[] {
  const exclusive = 'inclusive' in target && !target.inclusive ? ['--exclusive'] : [];
  switch (target.kind) {
    case 'immediate':
      return [];
    case 'end':
      return ['--at-end'];
    case 'time':
      return ['--at', instant(target.value), ...exclusive];
    case 'lsn':
      return ['--at-lsn', formatLsn(target.value), ...exclusive];
    case 'xid':
      return ['--at-xid', String(target.value), ...exclusive];
    case 'name':
      return ['--at-name', target.value];
  }
}

/** What a hint proposes, first; then the ends of each range that it names. */
function boundsIn(hint: string): string[][] {
  const proposed = [...hint.matchAll(/--at '([^']+)'/g)].map(([, at = '']) => ['--at', at]);
  const positions = [...hint.matchAll(/--at-lsn ([0-9A-F/]+)/g)].map(([, at = '']) => ['--at-lsn', at]);
  const ends = [...hint.matchAll(/(\d{4}-\d\d-\d\d [\d:.]+) UTC \(([0-9A-F/]+)\)/g)];
  const ranges = ends.flatMap(([, at = '', lsn = '']) => [
    ['--at', `${at}+00`],
    ['--at-lsn', lsn],
  ]);
  return [...proposed, ...positions, ...ranges];
}

/** Objects with WAL, by position. */
function walObjects(directory: string): { readonly at: Lsn; readonly path: string }[] {
  return readdirSync(directory, { recursive: true, encoding: 'utf8' })
    .flatMap((path) => {
      const [, high = '', low] = /([0-9a-f]{8})\/([0-9a-f]{8})(?:\.p[0-9a-f]{8})?$/.exec(path) ?? [];
      if (low === undefined || path.startsWith('about')) return [];
      const at = lsnOf((BigInt(`0x${high}`) << 32n) | BigInt(`0x${low}`));
      return [{ at, path: join(directory, path) }];
    })
    .toSorted((a, b) => (a.at < b.at ? -1 : a.at > b.at ? 1 : 0));
}
