import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { DatabaseSync } from 'node:sqlite';
import { describe, it } from 'node:test';
import { runInProcess } from './in-process.ts';
import { sandbox, type Json, type Ran, type Sandbox } from './program-runner.ts';

const env = { HOLDFAST_PASSPHRASE: 'correct horse battery' };

/** A service with three directories and a database, of which `broken` can be none. */
async function service(): Promise<Sandbox> {
  const box = await sandbox();
  for (const name of ['one', 'two', 'three']) {
    mkdirSync(box.at(name));
    writeFileSync(box.at(name, 'file'), name.repeat(1000));
  }
  const database = new DatabaseSync(box.at('app.db'));
  database.exec("CREATE TABLE t (a); INSERT INTO t VALUES ('x')");
  database.close();
  await writeFile(
    box.at('holdfast.yaml'),
    `repository: repo
sources:
  one: { type: files, paths: [one] }
  broken: { type: files, paths: [nowhere] }
  data: { type: sqlite, paths: ["*.db"] }
  two: { type: files, paths: [two] }
  half: { type: files, paths: [three, nowhere] }
`,
  );
  assert.equal((await runInProcess(box, ['init'], { env })).code, 0);
  return box;
}

function named(list: unknown): unknown[] {
  return (list as Json[]).map(({ source }) => source as unknown);
}

describe('several sources in one run', () => {
  it('one that fails stops no other: partly done, exit 3, each of them named', async () => {
    await using box = await service();
    const ran = await runInProcess(box, ['backup', '--json'], { env });
    assert.equal(ran.code, 3, ran.stderr);
    const summary = ran.lines().at(-1) ?? {};
    assert.deepEqual(
      [summary['ok'], named(summary['backups']), named(summary['failed']), summary['not_made']],
      [false, ['one', 'data', 'two', 'half'], ['broken'], []],
    );
    assert.deepEqual(
      (summary['backups'] as Json[]).map(({ incomplete }) => incomplete !== null),
      [false, false, false, true],
    );
    assert.equal((summary['error'] as Json)['code'], 'HF-1005');
    assert.match(ran.stderr, /2 of 5 failed or are incomplete: broken, half/);
    for (const name of ['broken', 'half'])
      assert.match(ran.stderr, new RegExp(`^error\\[HF-\\d{4}\\]: ${name}: `, 'm'));
    assert.equal(events(ran, 'error').length, 2);
    const listed = (await runInProcess(box, ['list', '--json'], { env })).json();
    assert.deepEqual(new Set(named(listed['backups'])), new Set(['one', 'data', 'two', 'half']));
    const table = await runInProcess(box, ['list'], { env });
    assert.match(table.stdout, / half .* incomplete\n/);
  });

  it('a single one that is incomplete is kept, and exits with 3', async () => {
    await using box = await service();
    const ran = await runInProcess(box, ['backup', 'half'], { env });
    assert.equal(ran.code, 3, ran.stderr);
    assert.match(ran.stderr, /^error\[HF-1006\]: the backup of half is incomplete: /m);
    assert.match((await runInProcess(box, ['info', 'latest'], { env })).stdout, /^incomplete +\S/m);
    assert.equal((await runInProcess(box, ['restore', 'latest', '--to', box.at('back')], { env })).code, 0);
  });

  it('one after the other is the same', async () => {
    await using box = await service();
    const more = { ...env, HOLDFAST_PARALLEL_SOURCES: '1' };
    const ran = await runInProcess(box, ['backup', '--json'], { env: more });
    const summary = ran.lines().at(-1) ?? {};
    assert.deepEqual(named(summary['backups']), ['one', 'data', 'two', 'half']);
    assert.deepEqual(named(events(ran, 'backup').map(({ backup }) => backup as Json)), [
      'one',
      'data',
      'two',
      'half',
    ]);
  });

  it('says in a dry run which could not be backed up', async () => {
    await using box = await service();
    const ran = await runInProcess(box, ['backup', '--dry-run', '--json'], { env });
    const summary = ran.lines().at(-1) ?? {};
    assert.ok(named(summary['failed']).includes('broken'), ran.stdout);
    assert.deepEqual(
      (summary['plan'] as Json[]).map(({ kind }) => kind as unknown),
      ['files', 'files', 'sqlite', 'files', 'files'],
    );
    assert.deepEqual((await runInProcess(box, ['list', '--json'], { env })).json()['backups'], []);
    assert.equal((summary['error'] as Json)['code'], 'HF-1008');
    const { code, stderr } = await runInProcess(box, ['backup', '--dry-run'], { env });
    assert.equal(code, 1, stderr);
    assert.match(
      stderr,
      /^would back up one \(files\) to .*\n(?:ok .*\n)+would fail: broken \(files\)\n(?:.*\n)*ERROR/m,
    );
    assert.doesNotMatch(stderr, /would back up broken/);
    assert.match(stderr, /^error\[HF-1008\]: 2 of 5 sources could not be backed up whole: broken, half$/m);
  });

  it('names all in a dry run in which all would fail, and the one where there is one', async () => {
    await using box = await service();
    const sources = ['x', 'y'].map((name) => `  ${name}: { type: files, paths: [no-${name}] }\n`);
    await writeFile(box.at('holdfast.yaml'), `repository: repo\nsources:\n${sources.join('')}`);
    const both = await runInProcess(box, ['backup', '--dry-run'], { env });
    assert.match(both.stderr, /^error\[HF-1008\]: 2 of 2 sources could not be backed up whole: x, y$/m);
    const one = await runInProcess(box, ['backup', 'x', '--dry-run'], { env });
    assert.match(one.stderr, /^would fail: x \(files\)$/m);
    assert.match(one.stderr, /^error\[HF-52\d\d\]: /m);
  });

  it('doctor --quiet says only what is not well', async () => {
    await using box = await service();
    const loud = await runInProcess(box, ['doctor'], { env });
    assert.match(loud.stdout, /^ok /m);
    const { stdout } = await runInProcess(box, ['doctor', '--quiet'], { env });
    assert.deepEqual(stdout, loud.stdout.replaceAll(/^ok .*\n/gm, ''));
    assert.match(stdout, /^ERROR +broken: /m);
  });
});

function events(ran: Ran, type: string): Json[] {
  return ran.lines().filter((event) => event['type'] === type);
}
