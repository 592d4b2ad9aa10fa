import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { bareMachine, kitFile } from './kit.ts';

test('the restorer is one file that needs nothing but Node', async () => {
  const text = readFileSync(kitFile, 'utf8');
  const imports = [...text.matchAll(/^import .*? from '(.+)';$/gm)].map(([, from]) => from ?? '');
  assert.ok(imports.length > 3);
  for (const from of imports) assert.match(from, /^node:/);
  assert.doesNotMatch(text, /\bimport\s*\(|\brequire\s*\(|node:sqlite/);
  const parsed = spawnSync(process.execPath, ['--check', kitFile], { env: {}, encoding: 'utf8' });
  assert.equal(parsed.status, 0, parsed.stderr);

  await using machine = await bareMachine();
  const help = await machine.run(['--help']);
  assert.equal(help.code, 0);
  for (const command of ['list', 'info', 'restore', 'check', 'wal'])
    assert.match(help.stdout, new RegExp(`^  ${command} `, 'm'));
  assert.equal(help.stderr, '');
});

test('a wrong command is refused, and says what would be right', async () => {
  await using machine = await bareMachine();
  for (const [args, words] of [
    [['lits', '.'], /no command lits/],
    [['list'], /wrong number of arguments/],
    [['list', 'nowhere'], /no directory .*nowhere/],
    [['list', '.'], /no repository of Holdfast/],
    [['restore', '.', 'latest', '--too', 'x'], /--too/],
  ] as const) {
    const ran = await machine.run(args);
    assert.equal(ran.code, 2, ran.stderr);
    assert.match(ran.stderr, words);
  }
});
