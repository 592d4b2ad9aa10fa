import assert from 'node:assert/strict';
import {
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { systemClock, type Clock } from '../../src/kernel/clock.ts';
import { patternedBytes } from '../../testing/bytes.ts';
import { runInProcess } from './in-process.ts';
import { sandbox, type Json, type Ran, type Sandbox } from './program-runner.ts';

const env = { HOLDFAST_PASSPHRASE: 'correct horse battery' };

interface Service extends AsyncDisposable {
  readonly box: Sandbox;
  readonly run: (...args: readonly string[]) => Promise<Ran>;
}

/** A directory that is backed up into a primary with a copy. */
async function service(more = ''): Promise<Service> {
  const box = await sandbox();
  mkdirSync(box.at('docs'));
  writeFileSync(box.at('docs', 'a'), patternedBytes(400_000, 1));
  writeFileSync(
    box.at('holdfast.yaml'),
    `repositories:
  local: { url: ./primary }
  nas: { url: ./nas }
sources: { docs: { type: files, paths: [docs] } }
${more}`,
  );
  const run = (...args: readonly string[]): Promise<Ran> => runInProcess(box, args, { env });
  assert.equal((await run('init')).code, 0);
  assert.equal((await run('backup')).code, 0);
  return { box, run, [Symbol.asyncDispose]: () => box[Symbol.asyncDispose]() };
}

function filesBelow(directory: string): string[] {
  return readdirSync(directory, { recursive: true, encoding: 'utf8' })
    .map((name) => join(directory, name))
    .filter((file) => statSync(file).isFile())
    .toSorted((a, b) => statSync(b).size - statSync(a).size);
}

function flip(file: string): Buffer {
  const good = readFileSync(file);
  const bad = Buffer.from(good);
  bad[bad.length >> 1] = (bad[bad.length >> 1] ?? 0) ^ 1;
  rmSync(file);
  writeFileSync(file, bad);
  return good;
}

describe('verify --repair', () => {
  it('mends from the copy of the configuration, after a dry run that only says so', async () => {
    await using use = await service();
    const { box, run } = use;
    const [pack = ''] = filesBelow(box.at('primary', 'packs'));
    const good = flip(pack);
    const found = await run('verify', '--read-data');
    assert.equal(found.code, 9);
    assert.match(found.stderr, /holdfast verify --repair/);
    const dry = await run('verify', '--repair', '--dry-run');
    assert.equal(dry.code, 9, dry.stderr);
    assert.match(dry.stderr, /HF-6309.*all of it can be mended/);
    assert.match(dry.stdout, /would put back packs\/.* from nas/);
    assert.notDeepEqual(readFileSync(pack), good);
    // What the verify above found is read again, and not all the rest.
    const mended = await run('verify', '--repair', '--json');
    assert.equal(mended.code, 0, mended.stderr);
    const { repair, level, ok } = mended.lines().at(-1) ?? {};
    assert.deepEqual([level, ok], ['structure', true]);
    const done = (repair as Json)['done'] as Json[];
    assert.deepEqual(
      done.map(({ action, from }): unknown[] => [action, from]),
      [['replace', 'nas']],
    );
    assert.deepEqual(readFileSync(pack), good);
    assert.equal((await run('verify', '--read-data')).code, 0);
    assert.equal(filesBelow(box.at('primary', 'quarantine')).length, 1);
    const emptied = await run('verify', '--repair', '--empty-quarantine');
    assert.match(emptied.stderr, /the quarantine was emptied: 1 object/);
    assert.deepEqual(filesBelow(box.at('primary', 'quarantine')), []);
  });

  it('mends a copy from the primary, too', async () => {
    await using use = await service();
    const { box, run } = use;
    const [pack = ''] = filesBelow(box.at('nas', 'packs'));
    rmSync(pack);
    const mended = await run('verify', '--repo', 'nas', '--repair');
    assert.equal(mended.code, 0, mended.stdout + mended.stderr);
    assert.match(mended.stdout, /done: put back packs\/.* from local/);
    assert.ok(statSync(pack).isFile());
  });

  it('brings back all backups where only this machine remembers that they were there', async () => {
    await using use = await service();
    const { box, run } = use;
    assert.equal((await run('backup')).code, 0);
    for (const name of readdirSync(box.at('primary', 'snapshots')))
      rmSync(box.at('primary', 'snapshots', name));
    rmSync(box.at('primary', 'reports'), { recursive: true, force: true });
    const dry = await run('verify', '--repair', '--dry-run');
    assert.equal(dry.code, 9, dry.stderr);
    assert.match(dry.stdout, /would bring back backup .* from nas/);
    assert.match(dry.stderr, /all of it can be mended/);
    const mended = await run('verify', '--repair');
    assert.equal(mended.code, 0, mended.stdout + mended.stderr);
    assert.equal(readdirSync(box.at('primary', 'snapshots')).length, 2);
    assert.equal((await run('verify')).code, 0);
  });

  it('opens a repository whose own keys and configuration are gone by those of the copy', async () => {
    await using use = await service();
    const { box, run } = use;
    for (const name of ['holdfast.json', 'keys']) rmSync(box.at('primary', name), { recursive: true });
    assert.notEqual((await run('verify', '--repo', 'local')).code, 0);
    const mended = await run('verify', '--repair', '--repo', 'local', '--from', 'nas');
    assert.equal(mended.code, 0, mended.stderr);
    assert.equal((await run('verify', '--read-data', '--repo', 'local')).code, 0);
    // Somewhere else it is not made up.
    mkdirSync(box.at('elsewhere'));
    const refused = await run('verify', '--repair', '--repo', './elsewhere', '--from', 'nas');
    assert.equal(refused.code, 4, refused.stderr);
    assert.match(refused.stderr, /HF-6308/);
    assert.deepEqual(readdirSync(box.at('elsewhere')), []);
  });

  it('names what no copy has, with the source that may still have it, and a backup of that mends it', async () => {
    await using use = await service();
    const { box, run } = use;
    rmSync(box.at('nas'), { recursive: true });
    const [pack = ''] = filesBelow(box.at('primary', 'packs'));
    flip(pack);
    const broken = await run('verify', '--read-data', '--repair', '--repo', 'local');
    assert.equal(broken.code, 9, broken.stderr);
    assert.match(broken.stderr, /HF-6301.*holdfast backup docs/s);
    assert.match(broken.stdout, /entry: a\n/);
    const again = await run('verify', '--repair', '--empty-quarantine', '--repo', 'local');
    assert.equal(again.code, 9, again.stderr);
    assert.ok(statSync(pack).isFile());
    // Files are read anew when what they consist of is not there any more; then the damaged pack can go.
    assert.equal((await run('backup', 'docs', '--repo', 'local')).code, 0);
    const mended = await run('verify', '--read-data', '--repair', '--repo', 'local');
    assert.equal(mended.code, 0, mended.stdout + mended.stderr);
    assert.equal(filesBelow(box.at('primary', 'quarantine')).length, 1);
    assert.equal((await run('verify', '--read-data', '--repo', 'local')).code, 0);
  });

  it('a backup whose manifest nobody has is given up by its full id, and prune goes on', async () => {
    await using use = await service();
    const { box, run } = use;
    rmSync(box.at('nas'), { recursive: true });
    assert.equal((await run('backup', '--repo', 'local')).code, 0);
    const [first = ''] = readdirSync(box.at('primary', 'snapshots')).toSorted();
    const id = first.split('-').at(-1) ?? '';
    rmSync(box.at('primary', 'snapshots', first));
    assert.equal((await run('prune', '--repo', 'local')).code, 9);
    assert.equal((await run('forget', '0'.repeat(32), '--yes', '--repo', 'local')).code, 6);
    const dry = await run('forget', id, '--dry-run', '--repo', 'local');
    assert.equal(dry.code, 0, dry.stderr);
    assert.equal((await run('prune', '--repo', 'local')).code, 9);
    const given = await run('forget', id, '--yes', '--repo', 'local');
    assert.equal(given.code, 0, given.stderr);
    assert.match(given.stderr, /is gone .* given up/);
    assert.equal((await run('prune', '--repo', 'local')).code, 0);
    assert.equal((await run('verify', '--repo', 'local')).code, 0);
  });

  it('takes no single backups, and lists in the other order what it cannot open', async () => {
    await using use = await service();
    const { box, run } = use;
    assert.equal((await run('verify', 'latest', '--repair')).code, 2);
    renameSync(box.at('nas'), box.at('gone'));
    const alone = await run('verify', '--repair');
    assert.equal(alone.code, 0, alone.stderr);
    const [pack = ''] = filesBelow(box.at('primary', 'packs'));
    flip(pack);
    const without = await run('verify', '--repair', '--read-data');
    assert.equal(without.code, 9);
    assert.match(without.stderr, /the copy nas could not be used/);
  });
});

describe('what verify leaves behind', () => {
  it('a report in the repository, files for monitors, and what a later one compares with', async () => {
    await using use = await service('status_directory: ./status\n');
    const { box, run } = use;
    assert.equal((await run('backup')).code, 0);
    const ran = await run('verify', '--json');
    const { report } = ran.lines().at(-1) ?? {};
    assert.ok(statSync(box.at('primary', String(report))).isFile());
    assert.deepEqual(readdirSync(box.at('status')).toSorted(), [
      'last-success-backup-docs',
      'last-success-verify',
    ]);
    const status = JSON.parse(readFileSync(box.at('status', 'last-success-verify'), 'utf8')) as Json;
    assert.equal(status['report'], report);
    utimesSync(box.at('status', 'last-success-verify'), 1, 1);
    assert.equal((await run('verify', '--no-report', '--json')).lines().at(-1)?.['report'], null);
    assert.ok(statSync(box.at('status', 'last-success-verify')).mtimeMs > 1_000_000);

    // The newest backup is named by no later one; the report remembers it.
    const [newest = ''] = readdirSync(box.at('primary', 'snapshots')).toSorted().toReversed();
    rmSync(box.at('primary', 'snapshots', newest));
    const lost = await run('verify');
    assert.equal(lost.code, 9, lost.stderr);
    assert.match(lost.stdout, /HF-6304/);
    assert.equal((await run('verify')).code, 9);
    const back = await run('verify', '--repair');
    assert.equal(back.code, 0, back.stderr);
    assert.match(back.stdout, /done: bring back backup .* from nas/);
    assert.ok(readdirSync(box.at('primary', 'snapshots')).includes(newest));
  });

  it('a backup that is too old, or missing, is a problem', async () => {
    await using use = await service('verify: { max_age: 26h }\n');
    const { box, run } = use;
    assert.equal((await run('verify')).code, 0);
    const clock: Clock = {
      now: () => Date.now() + 30 * 3_600_000,
      monotonicNs: () => systemClock.monotonicNs(),
      sleep: (ms, signal) => systemClock.sleep(ms, signal),
    };
    const late = await runInProcess(box, ['verify'], { env, clock });
    assert.equal(late.code, 9, late.stderr);
    assert.match(
      late.stdout,
      /HF-6302 source docs: the newest good backup of docs is 30 hours old; at most 26 hours/,
    );
    assert.match(late.stderr, /find out why none was made: holdfast backup docs/);
  });
});

describe('rebuild-index', () => {
  it('makes the indexes anew', async () => {
    await using use = await service();
    const { box, run } = use;
    const [index = ''] = filesBelow(box.at('primary', 'index'));
    flip(index);
    assert.equal((await run('verify')).code, 9);
    assert.equal((await run('rebuild-index')).code, 0);
    assert.equal((await run('verify', '--read-data')).code, 0);
    assert.equal(filesBelow(box.at('primary', 'index')).length, 1);
  });
});
