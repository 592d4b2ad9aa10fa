import assert from 'node:assert/strict';
import { chmod, writeFile } from 'node:fs/promises';
import { test } from 'node:test';
import { doctor } from '../../src/app/doctor/doctor.ts';
import { init } from '../../src/app/init.ts';
import { contextOf, testMachine } from './machine.ts';

test('keys of other repositories are one line, unless others can read them', async () => {
  await using test = await testMachine();
  const { key_file: own } = await init({ repo: 'r' }, contextOf(test));
  const keys = async (): Promise<unknown[]> =>
    (await doctor({ repo: 'r' }, contextOf(test))).findings
      .filter(({ check }) => check === 'key file')
      .map(({ level, message }) => [level, message]);
  const mine = ['ok', `${own} is readable by its owner alone; keep a copy of it elsewhere`];
  assert.deepEqual(await keys(), [mine]);
  const directory = test.at('home', '.config', 'holdfast', 'keys');
  for (const name of ['one', 'two'])
    await writeFile(test.at('home', '.config', 'holdfast', 'keys', `${name}.key`), 'x', { mode: 0o600 });
  assert.deepEqual(await keys(), [mine, ['ok', `2 keys of other repositories in ${directory}`]]);
  await chmod(`${directory}/two.key`, 0o644);
  assert.deepEqual(
    (await keys()).map((finding) => (finding as string[])[0]),
    ['ok', 'error', 'ok'],
  );
});

test('sizes are told in one manner', async () => {
  await using test = await testMachine();
  await init({ repo: 'r' }, contextOf(test));
  const { findings } = await doctor({ repo: 'r' }, contextOf(test));
  const space = findings.find(({ check }) => check === 'free space');
  assert.match(space?.message ?? '', /^\d+(?:\.\d)? (?:[KMGT]i)?B free$/);
});
