import assert from 'node:assert/strict';
import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { patternedBytes } from '../../testing/bytes.ts';
import { runInProcess } from './in-process.ts';
import { sandbox, type Json, type Ran, type Sandbox } from './program-runner.ts';

const env = { HOLDFAST_PASSPHRASE: 'correct horse battery' };

interface Service extends AsyncDisposable {
  readonly box: Sandbox;
  readonly run: (...args: readonly string[]) => Promise<Ran>;
}

/** A directory that is backed up into a primary, with a copy beside it and one that cannot be reached. */
async function service(): Promise<Service> {
  const box = await sandbox();
  mkdirSync(box.at('docs'));
  writeFileSync(box.at('docs', 'a'), patternedBytes(400_000, 1));
  writeFileSync(box.at('wall'), 'not a directory');
  writeFileSync(
    box.at('holdfast.yaml'),
    `repositories:
  local: { url: ./primary }
  nas: { url: ./nas }
  far: { url: ./wall/far }
  weekly: { url: ./weekly, with_backup: false }
sources: { docs: { type: files, paths: [docs] } }
`,
  );
  const run = (...args: readonly string[]): Promise<Ran> => runInProcess(box, args, { env });
  assert.equal((await run('init')).code, 0);
  return { box, run, [Symbol.asyncDispose]: () => box[Symbol.asyncDispose]() };
}

/** The largest file below a directory. */
function largest(directory: string): string {
  const files = readdirSync(directory, { recursive: true, encoding: 'utf8' }).map((name) =>
    join(directory, name),
  );
  const sized = files.filter((file) => statSync(file).isFile());
  return sized.toSorted((a, b) => statSync(b).size - statSync(a).size)[0] ?? '';
}

describe('copies of a repository', () => {
  it('are written with every backup; one that cannot be reached makes it partly done, and catches up later', async () => {
    await using use = await service();
    const { box, run } = use;
    const made = await run('backup', '--json');
    assert.equal(made.code, 3, made.stderr);
    const summary = made.lines().at(-1) ?? {};
    assert.equal((summary['backups'] as Json[]).length, 1);
    const copies = summary['copies'] as Json[];
    assert.deepEqual(
      copies.map(({ name, ok }): unknown[] => [name, ok]),
      [
        ['nas', true],
        ['far', false],
      ],
    );
    assert.equal((summary['error'] as Json)['code'], 'HF-6203');
    assert.match(made.stderr, /1 copy is not up to date: far/);

    rmSync(box.at('wall'));
    mkdirSync(box.at('wall'));
    const synced = await run('sync', '--json');
    assert.equal(synced.code, 0, synced.stderr);
    const copied = synced.lines().at(-1) ?? {};
    const after = (copied['copies'] as Json[]).map(({ name, report }): unknown[] => [
      name,
      (report as Json)['created'],
      ((report as Json)['copied'] as string[]).length,
    ]);
    assert.deepEqual(after, [
      ['nas', false, 0],
      ['far', true, 1],
      ['weekly', true, 1],
    ]);
    for (const place of ['nas', 'far', 'weekly'])
      assert.equal((await run('verify', '--read-data', '--repo', place)).code, 0, place);
    const back = box.at('back');
    assert.equal((await run('restore', 'latest', '--to', back, '--repo', 'far')).code, 0);
    assert.deepEqual(readFileSync(join(back, 'a')), readFileSync(box.at('docs', 'a')));
  });

  it('are looked at by doctor: what is empty, what works, what cannot be reached', async () => {
    await using use = await service();
    const { run } = use;
    await run('sync', '--to', 'nas');
    const findings = (await run('doctor', '--json')).json()['findings'] as Json[];
    const told = findings.filter(({ check }) => String(check).startsWith('copy '));
    assert.deepEqual(
      told.map(({ check, level }): unknown[] => [check, level]),
      [
        ['copy nas', 'ok'],
        ['copy nas', 'ok'],
        ['copy far', 'warning'],
        ['copy weekly', 'ok'],
      ],
    );
  });

  it('are not written when one place is named, and names are told from directories', async () => {
    await using use = await service();
    const { box, run } = use;
    const alone = await run('backup', '--repo', 'local', '--json');
    assert.equal(alone.code, 0, alone.stderr);
    assert.deepEqual(alone.lines().at(-1)?.['copies'], []);
    const unknown = await run('sync', '--to', 'nass');
    assert.equal(unknown.code, 2);
    assert.match(unknown.stderr, /HF-6205.*no repository is called nass\n.*local, nas, far, weekly/s);
    assert.equal((await run('sync', '--to', './elsewhere')).code, 0);
    assert.ok(statSync(box.at('elsewhere', 'holdfast.json')).isFile());
    const foreign = await run('sync', '--to', box.at('docs'));
    assert.equal(foreign.code, 4, foreign.stderr);
    assert.match(foreign.stderr, /HF-6201/);
    assert.deepEqual(readdirSync(box.at('docs')), ['a']);
  });

  it('are named by sync and by a restore of the latest when the primary has lost the newest backup', async () => {
    await using use = await service();
    const { box, run } = use;
    await run('backup');
    writeFileSync(box.at('docs', 'a'), 'newer');
    await run('backup');
    const manifests = box.at('primary', 'snapshots');
    const newest = readdirSync(manifests).at(-1) ?? '';
    const id = newest.slice(-32, -24);
    const whole = await run('restore', 'latest', '--to', box.at('whole'));
    assert.doesNotMatch(whole.stderr, /warning/);
    rmSync(join(manifests, newest));
    const restored = await run('restore', 'latest', '--to', box.at('back'));
    assert.equal(restored.code, 0, restored.stderr);
    assert.match(
      restored.stderr,
      new RegExp(`not the newest backup of docs: ${id} is gone.*--from nas`, 's'),
    );
    const named = await run('restore', 'latest', '--to', box.at('named'), '--repo', 'local');
    assert.match(named.stderr, new RegExp(`not the newest backup there was: ${id} is gone`));
    const synced = await run('sync', '--to', 'nas', '--json');
    assert.equal(synced.code, 0);
    const copies = (synced.lines().at(-1) ?? {})['copies'] as { report: Json }[];
    assert.deepEqual(
      copies.map(({ report }): unknown => report['only_there']),
      [[newest.slice(-32)]],
    );
    assert.match(
      synced.stderr,
      new RegExp(`nas has 1 backup that .*primary lacks.*${id}.*verify --repair --from nas`, 's'),
    );
  });

  it('are not filled a second time by themselves when they are gone, nor begun below a directory that is missing', async () => {
    await using use = await service();
    const { box, run } = use;
    await run('backup');
    renameSync(box.at('nas'), box.at('elsewhere'));
    const missed = await run('backup', '--json');
    assert.equal(missed.code, 3, missed.stderr);
    const [nas] = (missed.lines().at(-1) ?? {})['copies'] as { error: Json }[];
    assert.equal(nas?.error['code'], 'HF-6207');
    assert.match(missed.stderr, /--to nas --anew/);
    assert.ok(!readdirSync(box.at()).includes('nas'));
    // As when a disk is not mounted.
    mkdirSync(box.at('nas'));
    const empty = await run('sync', '--to', 'nas');
    assert.equal(empty.code, 4, empty.stderr);
    assert.deepEqual(readdirSync(box.at('nas')), []);
    assert.equal((await run('sync', '--anew')).code, 2);
    const anew = await run('sync', '--to', 'nas', '--anew');
    assert.equal(anew.code, 0, anew.stderr);
    assert.ok(statSync(box.at('nas', 'holdfast.json')).isFile());

    const below = await run('sync', '--to', './mnt/disk/copy');
    assert.equal(below.code, 4, below.stderr);
    assert.match(below.stderr, /HF-6208/);
    assert.ok(!readdirSync(box.at()).includes('mnt'));
  });

  it('get pins with the next sync, and say that an unpin in them alone does not last', async () => {
    await using use = await service();
    const { box, run } = use;
    await run('backup');
    const id = (readdirSync(box.at('primary', 'snapshots')).at(-1) ?? '').slice(-32);
    assert.equal((await run('pin', id)).code, 0);
    await run('sync', '--to', 'nas');
    const unpinned = await run('unpin', id, '--repo', 'nas');
    assert.equal(unpinned.code, 0, unpinned.stderr);
    assert.match(unpinned.stderr, /the primary local pins this backup, too.*unpin [0-9a-f]{8} --repo local/s);
    await run('sync', '--to', 'nas');
    const there = await run('unpin', id);
    assert.doesNotMatch(there.stderr, /pins this backup/);
    const last = await run('unpin', id, '--repo', 'nas');
    assert.doesNotMatch(last.stderr, /pins this backup/);
  });

  it('take the place of the primary for reading when it is gone, and give what it has lost', async () => {
    await using use = await service();
    const { box, run } = use;
    await run('backup');
    renameSync(box.at('primary'), box.at('gone'));
    const listed = await run('list', '--json');
    assert.equal(listed.code, 0, listed.stderr);
    assert.equal((listed.json()['backups'] as Json[]).length, 1);
    assert.match(listed.stderr, /using the copy nas/);
    // A backup does not quietly go somewhere else.
    assert.notEqual((await run('backup')).code, 0);
    renameSync(box.at('gone'), box.at('primary'));

    const pack = largest(box.at('primary', 'packs'));
    const good = readFileSync(pack);
    const bad = Buffer.from(good);
    bad[bad.length >> 1] = (bad[bad.length >> 1] ?? 0) ^ 1;
    const damages: readonly (() => void)[] = [
      () => writeFileSync(pack, bad),
      () => writeFileSync(pack, good.subarray(0, 1000)),
      () => rmSync(pack),
    ];
    for (const [index, damage] of damages.entries()) {
      rmSync(pack, { force: true });
      writeFileSync(pack, good);
      damage();
      rmSync(join(box.home, '.cache'), { recursive: true, force: true });
      const back = box.at(`back${index}`);
      const restored = await run('restore', 'latest', '--to', back);
      assert.equal(restored.code, 0, restored.stderr);
      assert.match(restored.stderr, /read from the copy nas/);
      assert.deepEqual(readFileSync(join(back, 'a')), readFileSync(box.at('docs', 'a')));
    }
    assert.notEqual((await run('restore', 'latest', '--to', box.at('no'), '--repo', 'local')).code, 0);
  });
});
