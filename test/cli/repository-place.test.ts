import assert from 'node:assert/strict';
import { existsSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { runInProcess } from './in-process.ts';
import { sandbox, type Sandbox } from './program-runner.ts';

const env = { HOLDFAST_PASSPHRASE: 'correct horse battery' };

async function backedUp(): Promise<Sandbox> {
  const box = await sandbox();
  mkdirSync(box.at('tree'));
  writeFileSync(box.at('tree', 'file'), 'x');
  mkdirSync(box.at('outer'));
  symlinkSync(box.at('outer'), box.at('link'));
  const repo = box.at('outer', 'repo');
  assert.equal((await runInProcess(box, ['init', '--repo', repo], { env })).code, 0);
  assert.equal(
    (await runInProcess(box, ['backup', '--repo', repo, '--from', `files:${box.at('tree')}`], { env })).code,
    0,
  );
  return box;
}

describe('the place of the repository', () => {
  for (const [what, args] of [
    ['is not replaced', ['--to', 'outer/repo', '--force']],
    ['does not make way with what it lies in', ['--to', 'outer', '--force']],
    ['is not written into', ['--to', 'outer/repo/packs/new']],
    ['is known under another name', ['--to', 'link/repo/new']],
  ] as const) {
    it(`${what}: restore ${args.join(' ')}`, async () => {
      await using box = await backedUp();
      const repo = box.at('outer', 'repo');
      const ran = await runInProcess(box, ['restore', 'latest', '--repo', repo, ...args], { env });
      assert.equal(ran.code, 4, ran.stderr);
      assert.match(
        ran.stderr,
        /^error\[HF-4002\]: cannot restore to .*: the repository (?:is|lies in) there/m,
      );
      assert.equal((await runInProcess(box, ['verify', '--repo', repo, '--read-data'], { env })).code, 0);
    });
  }

  it('is not exported into', async () => {
    await using box = await backedUp();
    const repo = box.at('outer', 'repo');
    const ran = await runInProcess(box, ['export', 'latest', '--repo', repo, '--to', 'outer/repo/exported'], {
      env,
    });
    assert.equal(ran.code, 4, ran.stderr);
    assert.equal(existsSync(box.at('outer', 'repo', 'exported')), false);
  });

  it('beside it there is no objection', async () => {
    await using box = await backedUp();
    const repo = box.at('outer', 'repo');
    const to = ['--to', 'outer/beside'];
    assert.equal((await runInProcess(box, ['restore', 'latest', '--repo', repo, ...to], { env })).code, 0);
  });
});

it('init --no-encryption with a passphrase set is a contradiction', async () => {
  await using box = await sandbox();
  const ran = await runInProcess(box, ['init', '--no-encryption', '--repo', box.at('repo')], { env });
  assert.equal(ran.code, 2);
  assert.match(ran.stderr, /--no-encryption is given, and a passphrase is set/);
  assert.equal(existsSync(box.at('repo')), false);
});
