import assert from 'node:assert/strict';
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { describe, it } from 'node:test';
import { machineOf } from './in-process.ts';
import { play } from './play.ts';
import type { Json } from './program-runner.ts';
import { calendar, day, hour, planOf, sources } from './retention-kit.ts';

const retention = (rules: string): string => `retention: { ${rules} }\n`;

describe('clean', () => {
  it('forgets by the configuration what no rule keeps, tells every reason, and asks nobody off a terminal', async () => {
    await using the = await calendar(retention('keep_last: 2, keep_daily: 3'));
    // Over the end of summer time.
    const made = await the.backUp([6 * hour, day, day, day, day, day, hour]);
    const shown = await the.ok('clean', '--dry-run', '--json');
    assert.deepEqual(
      planOf(shown).map(([id, action, reasons]) => [made.indexOf(id), action, ...reasons]),
      [
        [0, 'forget', 'not among the last 2', 'daily: not among the newest 3'],
        [1, 'forget', 'not among the last 2', 'daily: not among the newest 3'],
        [2, 'forget', 'not among the last 2', 'daily: not among the newest 3'],
        [3, 'forget', 'not among the last 2', 'daily: not among the newest 3'],
        [4, 'keep', 'daily 2026-10-23'],
        [5, 'keep', 'daily 2026-10-24'],
        [6, 'keep', 'last 2 of 2'],
        [7, 'keep', 'last 1 of 2', 'daily 2026-10-25', 'the last good backup', 'the newest of its source'],
      ],
    );
    assert.equal((await the.ids()).length, 8);
    const { stdout, stderr } = await the.ok('clean');
    assert.match(
      stdout,
      /^ +ID +STARTED +SOURCE +WHY\nFORGET +[0-9a-f]{8} +2026-10-20 01:00:00Z +docs +not among/,
    );
    assert.match(stderr, /docs: keep_last 2, keep_daily 3, by retention \(.*holdfast\.yaml:\d+:\d+\)/);
    assert.match(stderr, /days and weeks are those of Europe\/Berlin\n/);
    assert.match(stderr, /4 backups forgotten, 4 backups stay\. holdfast prune gives the space back/);
    assert.deepEqual(await the.ids(), made.slice(4));
    assert.equal((await the.ok('clean', '--json')).json()['forgotten'], 0);
    await the.ok('verify');
  });

  it('takes the rules of a source in the place of the general ones, and those of the command in the place of all', async () => {
    const own = 'sources:\n  docs: { type: files, paths: [docs], retention: { keep_last: 1 } }\n';
    await using the = await calendar();
    await the.configure(`${own}  notes: { type: files, paths: [docs] }\n${retention('keep_last: 3')}`);
    await the.backUp([hour, hour]);
    const forgotten = async (...args: string[]): Promise<unknown> =>
      (await the.ok('clean', '--dry-run', '--json', ...args)).json()['forgotten'];
    assert.equal(await forgotten(), 2);
    assert.equal(await forgotten('--keep', '2'), 1);
    assert.equal(await forgotten('--keep-within', '1h'), 1);
    assert.equal(await forgotten('--keep-hourly', '9'), 0);
    assert.equal(await forgotten('--source', 'notes', '--keep-last', '1'), 0);
    const { policies } = (await the.ok('clean', '--dry-run', '--json')).json();
    assert.match(JSON.stringify(policies), /"keep_last":1\},"from":"sources\.docs\.retention \(/);
  });

  it('leaves alone what is not configured any more, unless it is named', async () => {
    await using the = await calendar(retention('keep_last: 1'));
    const made = await the.backUp([hour]);
    await the.configure(`sources:\n  notes: { type: files, paths: [docs] }\n${retention('keep_last: 1')}`);
    const shown = await the.ok('clean', '--json');
    assert.equal(shown.json()['forgotten'], 0);
    assert.match(JSON.stringify(planOf(shown)), /not configured: name it to clean it, --source docs/);
    assert.equal((await the.ok('clean', '--source', 'docs', '--json')).json()['forgotten'], 1);
    assert.deepEqual(await the.ids(), made.slice(1));
    await the.fails(6, 'HF-1112', 'clean', '--source', 'dcs');
  });

  it('refuses without a rule that keeps something, and what nobody can mean', async () => {
    await using the = await calendar();
    const made = await the.backUp([hour, hour]);
    await the.fails(4, 'HF-6001', 'clean');
    await the.fails(4, 'HF-6001', 'clean', '--keep', '0');
    await the.fails(4, 'HF-6001', 'clean', '--keep-wal', '14d');
    await the.fails(2, 'HF-1001', 'clean', '--keep=-1');
    await the.fails(2, 'HF-1001', 'clean', '--keep', '1', '--keep-last', '2');
    await the.fails(2, 'HF-1001', 'clean', '--keep-within', '6m');
    await the.fails(2, 'HF-1001', 'clean', '--keep-tag', '=x');
    await the.configure(`${sources}${retention('keep_last: 0')}`);
    await the.fails(4, 'HF-6001', 'clean');
    await the.configure(`${sources}${retention('keep_lost: 2')}`);
    await the.fails(2, 'HF-1104', 'clean');
    await the.configure(sources);
    assert.deepEqual(await the.ids(), made);
  });

  it('asks whoever sits there, with the plan before them', async () => {
    await using the = await calendar(retention('keep_last: 1'));
    const made = await the.backUp([hour, hour]);
    const machine = { ...machineOf(the.box), clock: the.clock };
    const no = await play(machine, ['clean'], [['Forget 2 backups?', 'n\n']]);
    assert.equal(no.code, 5, no.stderr);
    assert.match(no.stdout, /FORGET/);
    assert.deepEqual(await the.ids(), made);
    const yes = await play(machine, ['clean'], [['Forget 2 backups?', 'y\n']]);
    assert.equal(yes.code, 0, yes.stderr);
    assert.deepEqual(await the.ids(), made.slice(2));
    await play(machine, ['clean', '--yes'], []);
  });

  it('passes over a manifest that cannot be read, does the rest, and says so', async () => {
    await using the = await calendar(retention('keep_last: 1'));
    const made = await the.backUp([hour, hour, hour]);
    const [, second = ''] = await readdir(the.box.at('store', 'snapshots'));
    await writeFile(the.box.at('store', 'snapshots', second), 'nonsense');
    const ran = await the.fails(9, 'HF-3016', 'clean');
    assert.match(ran.stderr, new RegExp(`cannot be read and stays[^]*holdfast forget ${made[1]}`));
    assert.equal((await readdir(the.box.at('store', 'snapshots'))).length, 2);
    await the.fails(9, 'HF-3006', 'forget', (made[1] ?? '').slice(0, 8));
    await the.ok('forget', made[1] ?? '');
    assert.deepEqual(await the.ids(), made.slice(3));
    await the.ok('verify');
  });

  it('leaves an entry in the audit trail that names what went', async () => {
    await using the = await calendar(retention('keep_last: 1'));
    const made = await the.backUp([hour]);
    await the.ok('clean', '--dry-run');
    await the.ok('clean');
    await the.ok('forget', '--undo', made[0] ?? '');
    const trail = await readFile(the.box.at('home', '.local', 'state', 'holdfast', 'audit.jsonl'), 'utf8');
    const lines = trail
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as Record<string, unknown>)
      .filter(({ event, verb }) => event === 'done' && !['init', 'backup'].includes(String(verb)));
    assert.deepEqual(
      lines.map(({ verb, touched }) => [verb, touched]),
      [
        ['clean', made.slice(0, 1)],
        ['forget --undo', made.slice(0, 1)],
      ],
    );
  });
});

describe('pins', () => {
  it('keep a backup from clean and forget, until they are taken away', async () => {
    await using the = await calendar(retention('keep_last: 1'));
    const [first = '', second = '', third = ''] = await the.backUp([hour, hour]);
    const pinned = (await the.ok('pin', first.slice(0, 6), '--reason', 'before the move', '--json')).json();
    const { changed, pin } = pinned as { changed: boolean; pin: { reason: string } };
    assert.deepEqual([changed, pin.reason], [true, 'before the move']);
    assert.match(
      (await the.ok('pin', first, '--reason', 'other')).stderr,
      /pinned, as it was before: before/,
    );
    assert.match((await the.ok('list')).stdout, /pinned: before the move/);
    assert.match((await the.ok('info', first)).stdout, /pinned +before the move/);
    const told = planOf(await the.ok('clean', '--dry-run', '--json')).find(([id]) => id === first);
    assert.deepEqual(told?.[2], ['pinned: before the move']);
    await the.fails(4, 'HF-6002', 'forget', '--force', first);
    await the.ok('clean');
    assert.deepEqual(await the.ids(), [first, third]);
    assert.match((await the.ok('unpin', first)).stderr, /is not pinned any more/);
    assert.match((await the.ok('unpin', first)).stderr, /not pinned, as it was before/);
    await the.ok('clean');
    assert.deepEqual(await the.ids(), [third]);
    await the.fails(6, 'HF-3010', 'pin', second);
  });
});

describe('forget', () => {
  it('forgets what it is told, and brings it back', async () => {
    await using the = await calendar();
    const [first = '', second = '', third = ''] = await the.backUp([hour, hour]);
    await the.ok('forget', first.slice(0, 8), second, '--dry-run');
    assert.equal((await the.ids()).length, 3);
    const { stderr } = await the.ok('forget', first.slice(0, 8), second);
    assert.match(stderr, new RegExp(`holdfast forget --undo ${first.slice(0, 8)} ${second.slice(0, 8)}\\n`));
    assert.deepEqual(await the.ids(), [third]);
    await the.ok('verify');
    const back = (await the.ok('forget', first, '--undo', '--json')).json();
    const { brought_back: brought, forgotten } = back as { brought_back: Json[]; forgotten: Json[] };
    assert.deepEqual([brought.map(({ id }) => String(id)), forgotten], [[first], []]);
    assert.deepEqual(await the.ids(), [first, third]);
    await the.ok('restore', first, '--to', the.box.at('restored'));
    await the.fails(6, 'HF-6005', 'forget', '--undo', first);
    await the.ok('verify', '--read-data');
  });

  it('leaves a source its last good backup, unless it is forced', async () => {
    await using the = await calendar();
    const made = await the.backUp([hour]);
    await the.fails(4, 'HF-6003', 'forget', ...made);
    await the.ok('forget', made[1] ?? '');
    await the.fails(4, 'HF-6003', 'forget', made[0] ?? '');
    await the.ok('forget', made[0] ?? '', '--force');
    assert.deepEqual(await the.ids(), []);
    await the.ok('forget', '--undo', ...made);
    assert.deepEqual(await the.ids(), made);
  });

  it('asks whoever sits there', async () => {
    await using the = await calendar();
    const made = await the.backUp([hour]);
    const machine = { ...machineOf(the.box), clock: the.clock };
    const no = await play(machine, ['forget', made[0] ?? ''], [['Forget 1 backup', 'n\n']]);
    assert.equal(no.code, 5, no.stderr);
    assert.deepEqual(await the.ids(), made);
  });
});
