import assert from 'node:assert/strict';
import { cp, mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { runInProcess } from './in-process.ts';
import { sandbox, type Json, type Ran, type Sandbox } from './program-runner.ts';

type Run = (...args: string[]) => Promise<Ran>;

async function place(box: Sandbox): Promise<{ readonly run: Run; readonly backUp: () => Promise<string> }> {
  await mkdir(box.at('docs'));
  await writeFile(
    box.at('holdfast.yaml'),
    'repository: ./store\nsources:\n  docs: { type: files, paths: [docs] }\n',
  );
  const run: Run = (...args) => runInProcess(box, args, { env: { TZ: 'UTC' } });
  assert.equal((await run('init', '--no-encryption')).code, 0);
  let count = 0;
  const backUp = async (): Promise<string> => {
    count += 1;
    await writeFile(box.at('docs', `f${count}`), `${count}\n`);
    const ran = await run('backup', '--json');
    assert.equal(ran.code, 0, ran.stderr);
    const [backup] = (ran.lines().at(-1)?.['backups'] ?? []) as Json[];
    return String(backup?.['id']);
  };
  return { run, backUp };
}

async function removeNewest(box: Sandbox): Promise<string> {
  const folder = box.at('store', 'snapshots');
  const newest = (await readdir(folder)).toSorted().at(-1) ?? '';
  await rm(join(folder, newest));
  return newest.slice(-32);
}

test('a repository that was put back to an earlier state is named, and prune refuses', async () => {
  await using box = await sandbox();
  const { run, backUp } = await place(box);
  await backUp();
  await cp(box.at('store'), box.at('earlier'), { recursive: true });
  const lost = [await backUp(), await backUp()];
  assert.equal((await run('verify')).code, 0);
  await rename(box.at('store'), box.at('later'));
  await rename(box.at('earlier'), box.at('store'));
  const verified = await run('verify');
  assert.equal(verified.code, 9);
  for (const id of lost) assert.match(verified.stdout, new RegExp(`HF-3115 .*${id}`));
  const pruned = await run('prune');
  assert.equal(pruned.code, 9);
  assert.match(pruned.stderr, /HF-3115/);
  // It does not wear off, neither by looking twice nor by new backups.
  await backUp();
  assert.match((await run('verify')).stdout, /HF-3115/);
  await rm(box.at('store'), { recursive: true });
  await rename(box.at('later'), box.at('store'));
  assert.doesNotMatch((await run('verify')).stdout, new RegExp(lost.join('|')));
});

test('the newest backups removed together show, and those that were forgotten do not', async () => {
  await using box = await sandbox();
  const { run, backUp } = await place(box);
  await backUp();
  await backUp();
  const forgotten = await backUp();
  assert.equal((await run('forget', forgotten, '--force', '--yes')).code, 0);
  const clean = await run('verify');
  assert.equal(clean.code, 0, clean.stdout);
  assert.equal((await run('prune')).code, 0);
  const id = await removeNewest(box);
  const verified = await run('verify');
  assert.equal(verified.code, 9);
  assert.match(verified.stdout, new RegExp(id));
  assert.equal((await run('prune')).code, 9);
});

test('an auditor keeps the point elsewhere, and compares with it from another machine', async () => {
  await using box = await sandbox();
  const { run, backUp } = await place(box);
  await backUp();
  const last = await backUp();
  const point = box.at('point.json');
  assert.equal((await run('verify', '--remember', point)).code, 0);
  const kept = JSON.parse(await readFile(point, 'utf8')) as Json;
  assert.equal((kept['points'] as Json[]).at(-1)?.['id'], last);
  await removeNewest(box);
  await rm(join(box.home, '.local', 'state', 'holdfast', 'history'), { recursive: true });
  await rm(box.at('store', 'reports'), { recursive: true, force: true });
  assert.equal((await run('verify')).code, 0, 'nothing is left that would know');
  const audited = await run('verify', '--since-file', point);
  assert.equal(audited.code, 9);
  assert.match(audited.stdout, new RegExp(`HF-3115 .*${last}`));
  await writeFile(point, '{}');
  const wrong = await run('verify', '--since-file', point);
  assert.equal(wrong.code, 2);
  assert.match(wrong.stderr, /HF-3117/);
});

test('a copy that lags behind is no repository that was put back', async () => {
  await using box = await sandbox();
  const { run, backUp } = await place(box);
  await backUp();
  await cp(box.at('store'), box.at('copy'), { recursive: true });
  await backUp();
  assert.equal((await run('verify')).code, 0);
  const copy = await run('verify', '--repo', box.at('copy'));
  assert.equal(copy.code, 0, copy.stdout);
});
