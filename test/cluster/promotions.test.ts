import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { appendFile, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { withoutPostgres } from '../../testing/postgres-server.ts';
import { until } from '../../testing/until.ts';
import type { Json } from '../cli/program-runner.ts';
import { archiveAll, ClusterProgram, errorOf, type BackupFacts } from './program-kit.ts';
import { ownedDirectory, startRestored, untilOpen, type RestoredServer } from './restore-kit.ts';

// A standby is promoted while its primary goes on, then the cluster is recovered to a point in its own past, and goes on
// from there: three timelines in one archive. HOLDFAST_TRIAL_PROMOTIONS=1 restores along every way through them.
const isTrial = (process.env['HOLDFAST_TRIAL_PROMOTIONS'] ?? '') !== '';
const skip = withoutPostgres('system');

interface Wanted {
  readonly backup: 'latest' | 'first' | 'second' | 'late';
  readonly flags: readonly string[];
  readonly timeline: number;
  readonly rows: string;
  /** Otherwise than in a trial only planned. */
  readonly more?: boolean;
}

describe('timelines after promotions', { skip }, () => {
  let program: ClusterProgram;
  let standby: RestoredServer;
  let third: RestoredServer;
  const backups = new Map<string, BackupFacts>();
  /** By the clock of the machine: between the rows 101 and 102, and between 201 and 202, which were written by turns. */
  let moment = '';
  /** Of the row 102, higher than any of the other timelines. */
  let lateXid = '';
  let thirdMoment = '';

  before(async () => {
    program = await ClusterProgram.begin({ major: 'system' });
    const primary = program.server;
    await primary.psql('CREATE TABLE rows (n int)');
    await insert(primary, 1);
    backups.set('first', await program.backUp());
    await insert(primary, 2);
    standby = await startStandby();
    await insert(primary, 3);
    await until(async () => (await rowsOf(standby)) === '1,2,3', 'the standby to have row 3');
    await standby.psql('SELECT pg_promote()');
    await untilOpen(standby);
    await goApart();
    await backUpSecond();
    await branchThird();
    await Promise.all([archiveAll(primary), archiveAll(standby), archiveAll(third)]);
    if (isTrial) await backUpLate();
  });

  after(async () => {
    await third?.[Symbol.asyncDispose]();
    await standby?.[Symbol.asyncDispose]();
    await program?.[Symbol.asyncDispose]();
  });

  /** Out of a backup, following the primary; archives nothing before it is promoted. */
  async function startStandby(): Promise<RestoredServer> {
    const directory = ownedDirectory(join(program.path, 'standby'));
    await program.run('restore', 'latest:main', '--to', directory, '--at-end', '--keep-archiving');
    const { port, superuser, password } = program.server;
    await appendFile(
      join(directory, 'postgresql.auto.conf'),
      `primary_conninfo = 'host=127.0.0.1 port=${port} user=${superuser} password=${password}'\n`,
    );
    await rename(join(directory, 'recovery.signal'), join(directory, 'standby.signal'));
    return await startRestored(program.server, directory);
  }

  /** The promoted standby and its old primary go on, each for itself. */
  async function goApart(): Promise<void> {
    await insert(program.server, 101);
    await insert(standby, 201);
    moment = await standby.psql('SELECT clock_timestamp()');
    for (let spent = 0; spent < 30; spent += 1) await program.server.psql('SELECT pg_current_xact_id()');
    lateXid = await insert(program.server, 102);
    await insert(standby, 202);
  }

  async function backUpSecond(): Promise<void> {
    await program.configure(standby, join(program.path, 'standby'));
    backups.set('second', await program.backUp());
    await insert(standby, 203);
    await standby.psql("SELECT pg_create_restore_point('fork')");
    await insert(standby, 204);
    await archiveAll(standby);
  }

  /** The second timeline is recovered to a point on it and opened, in its place; the server that was there goes on a little. */
  async function branchThird(): Promise<void> {
    const directory = ownedDirectory(join(program.path, 'third'));
    await program.run('restore', 'latest:main', '--to', directory, '--at-name', 'fork', '--keep-archiving');
    third = await startRestored(program.server, directory);
    await untilOpen(third);
    await insert(third, 301);
    thirdMoment = await third.psql('SELECT clock_timestamp()');
    await insert(standby, 205);
    await insert(third, 302);
  }

  /** Of the old primary once more, which is behind the other servers. */
  async function backUpLate(): Promise<void> {
    await program.configure(program.server, program.server.dataDirectory);
    await insert(program.server, 103);
    backups.set('late', await program.backUp());
    await insert(program.server, 104);
    await archiveAll(program.server);
  }

  it('backs the new timeline up in full, and says why', () => {
    const { metadata } = backups.get('second') ?? assert.fail('no backup');
    assert.equal(metadata.timeline, 2);
    assert.equal(metadata.parent, null);
    assert.match(metadata.full_because ?? '', /timeline/);
  });

  it('begins anew on a timeline that was left before the last backup', { skip: !isTrial }, () => {
    const { metadata } = backups.get('late') ?? assert.fail('no backup');
    assert.equal(metadata.timeline, 1);
    assert.ok(metadata.parent === null || metadata.parent === idOf('first'), String(metadata.parent));
  });

  it('shows where each timeline comes from, and what it can be recovered to', async () => {
    const status = (await program.ask('wal', 'status')).json();
    const [source = {}] = status['sources'] as readonly Json[];
    const [archive, another] = source['archives'] as readonly Json[];
    assert.ok(archive !== undefined && another === undefined);
    const timelines = archive['timelines'] as readonly Json[];
    assert.deepEqual(
      timelines.map(({ timeline, parent, gaps }): unknown[] => [timeline, parent, gaps]),
      [
        [1, null, []],
        [2, 1, []],
        [3, 2, []],
      ],
    );
    assert.deepEqual(archive['damaged_histories'], []);
    const windows = archive['windows'] as readonly Json[];
    const [first, second, late] = [idOf('first'), idOf('second'), backups.get('late')?.id];
    const of = (timeline: number): unknown =>
      windows.filter((one) => one['timeline'] === timeline).map((one): unknown => one['backups']);
    assert.deepEqual(of(1), [late === undefined ? [first] : [first, late]]);
    assert.deepEqual(of(2), [[first, second]]);
    assert.deepEqual(of(3), [[first, second]]);
  });

  const wanted = (): readonly Wanted[] => {
    const second = '1,2,3,201,202,203';
    const old = isTrial ? '1,2,3,101,102,103,104' : '1,2,3,101,102';
    const on = (timeline: number | 'current'): string[] => ['--timeline', String(timeline)];
    const then = ['--at', moment];
    const late = ['--at', thirdMoment];
    return [
      { backup: 'second', flags: ['--at-end'], timeline: 3, rows: `${second},301,302` },
      { backup: 'first', flags: ['--at-end', ...on(3)], timeline: 3, rows: `${second},301,302`, more: true },
      { backup: 'latest', flags: [...then, ...on(1)], timeline: 1, rows: '1,2,3,101' },
      { backup: 'latest', flags: [...then, ...on(2)], timeline: 2, rows: '1,2,3,201', more: true },
      { backup: 'first', flags: ['--at-end', ...on('current')], timeline: 1, rows: old, more: true },
      { backup: 'latest', flags: ['--at-end', ...on(2)], timeline: 2, rows: `${second},204,205`, more: true },
      { backup: 'first', flags: then, timeline: 3, rows: '1,2,3,201', more: true },
      { backup: 'second', flags: late, timeline: 3, rows: `${second},301`, more: true },
      { backup: 'latest', flags: [...late, ...on(2)], timeline: 2, rows: `${second},204`, more: true },
      { backup: 'first', flags: ['--at-name', 'fork', ...on(3)], timeline: 3, rows: second, more: true },
      {
        backup: 'second',
        flags: ['--at-end', ...on('current')],
        timeline: 2,
        rows: `${second},204,205`,
        more: true,
      },
      { backup: 'second', flags: [], timeline: 2, rows: '1,2,3,201,202', more: true },
      { backup: 'first', flags: [], timeline: 1, rows: '1', more: true },
      {
        backup: 'latest',
        flags: ['--at-xid', lateXid, ...on(1)],
        timeline: 1,
        rows: '1,2,3,101,102',
        more: true,
      },
      ...(isTrial
        ? ([
            { backup: 'late', flags: ['--at-end'], timeline: 1, rows: old },
            { backup: 'latest', flags: ['--at-end', ...on(1)], timeline: 1, rows: old },
            { backup: 'latest', flags: ['--at-end', ...on(3)], timeline: 3, rows: `${second},301,302` },
          ] as const)
        : []),
    ];
  };

  it('recovers along each of them', async (t) => {
    for (const [index, { backup, flags, timeline, rows, more }] of wanted().entries()) {
      const what = `${backup} ${flags.join(' ')}`;
      const directory = ownedDirectory(join(program.path, `restored-${index}`));
      const isOnlyPlanned = more === true && !isTrial;
      const reference = backup === 'latest' ? 'latest:main' : idOf(backup);
      const words = ['restore', reference, '--to', directory, ...flags];
      const result = isOnlyPlanned ? await planned(words) : (await program.run(...words)).lines().at(-1);
      const plan = result?.['plan'] as Json;
      assert.equal((plan['recovery'] as Json)['timeline'], timeline, what);
      if (!isOnlyPlanned) await opensWith(directory, rows, what);
      t.diagnostic(`${what}: timeline ${timeline}${isOnlyPlanned ? '' : `, ${rows}`}`);
      await rm(directory, { recursive: true });
    }
  });

  async function planned(words: readonly string[]): Promise<Json | undefined> {
    const ran = await program.ask(...words, '--dry-run');
    assert.equal(ran.code, 0, ran.stdout);
    return ran.lines().at(-1);
  }

  async function opensWith(directory: string, rows: string, what: string): Promise<void> {
    await using server = await startRestored(program.server, directory);
    await untilOpen(server);
    assert.equal(await rowsOf(server), rows, what);
    // It sees in the archive which numbers of timelines are taken.
    const opened = await server.psql('SELECT timeline_id FROM pg_control_checkpoint()');
    assert.equal(opened, '4', `${what} opens a timeline of its own`);
  }

  it('refuses what is on no way from a backup', async () => {
    const cases: readonly (readonly [string, string, ...string[]])[] = [
      ['HF-5536', idOf('second'), '--at-end', '--timeline', '1'],
      ['HF-5536', 'latest:main', '--at-end', '--timeline', '9'],
      ['HF-5537', 'latest:main', '--at-xid', lateXid, '--timeline', '3'],
      ['HF-5537', 'latest:main', '--at-name', 'fork', '--timeline', '1'],
      ['HF-5533', idOf('second'), '--at', moment, '--timeline', '2'],
      ['HF-5535', 'latest:main', '--at', '2100-01-01 00:00:00+00', '--timeline', '1'],
    ];
    for (const [code, reference, ...flags] of cases) {
      const directory = join(program.path, 'refused');
      const ran = await program.ask('restore', reference, '--to', directory, ...flags);
      assert.equal(ran.code, 4, flags.join(' '));
      assert.equal(errorOf(ran).code, code, `${flags.join(' ')}: ${errorOf(ran).message}`);
      assert.ok(!existsSync(directory));
    }
  });

  const idOf = (name: string): string => backups.get(name)?.id ?? assert.fail(`no backup ${name}`);
});

/** Answers the transaction. */
async function insert(server: { psql(sql: string): Promise<string> }, row: number): Promise<string> {
  return await server.psql(
    `WITH x AS (INSERT INTO rows VALUES (${row}) RETURNING 1) SELECT pg_current_xact_id() FROM x`,
  );
}

async function rowsOf(server: { psql(sql: string): Promise<string> }): Promise<string> {
  return await server.psql("SELECT string_agg(n::text, ',' ORDER BY n) FROM rows");
}
