import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdir, writeFile } from 'node:fs/promises';
import { describe, it } from 'node:test';
import { gitInfo } from '../../src/app/git.ts';
import { testMachine } from './machine.ts';

const { signal } = new AbortController();

describe('what a backup records of git', () => {
  it('is branch, commit and whether tracked files changed', async () => {
    await using test = await testMachine();
    const git = (...args: string[]): string =>
      execFileSync('git', ['-c', 'user.name=a', '-c', 'user.email=a@b', ...args], {
        cwd: test.machine.cwd,
        encoding: 'utf8',
      }).trim();
    git('init', '-q', '-b', 'trunk');
    assert.equal(await gitInfo(test.machine.cwd, signal), null);
    await writeFile(test.at('f'), '1');
    git('add', 'f');
    git('commit', '-q', '-m', 'x');
    const commit = git('rev-parse', 'HEAD');
    await mkdir(test.at('sub'));
    await writeFile(test.at('untracked'), '');
    assert.deepEqual(await gitInfo(test.at('sub'), signal), { branch: 'trunk', commit, dirty: false });
    await writeFile(test.at('f'), '2');
    git('checkout', '-q', '--detach');
    assert.deepEqual(await gitInfo(test.machine.cwd, signal), { branch: null, commit, dirty: true });
  });

  it('is nothing outside a work tree', async () => {
    await using test = await testMachine();
    assert.equal(await gitInfo(test.machine.cwd, signal), null);
  });
});
