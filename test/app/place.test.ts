import assert from 'node:assert/strict';
import { mkdir, writeFile } from 'node:fs/promises';
import { test } from 'node:test';
import { init } from '../../src/app/init.ts';
import { list } from '../../src/app/list.ts';
import { contextOf, rejection, testMachine } from './machine.ts';

test('a directory without configuration and repository is told to be one', async () => {
  await using test = await testMachine();
  const absent = await rejection(list({}, contextOf(test)));
  assert.equal(absent.errorName, 'storage_missing');
  await mkdir(test.at('backups'));
  const empty = await rejection(list({}, contextOf(test)));
  assert.equal(empty.errorName, 'repository_missing');
  for (const { hint = '' } of [absent, empty]) {
    assert.ok(hint.includes(`no holdfast.yaml in ${test.at()} `), hint);
    assert.match(hint, /--config FILE or HOLDFAST_CONFIG/);
  }
});

test('where a file, a flag or a variable names what is meant, the place is what is wrong', async () => {
  await using test = await testMachine();
  const hintOf = async (options: { repo?: string }, env: Record<string, string> = {}): Promise<string> => {
    const machine = { ...test.machine, env };
    return (await rejection(list(options, contextOf({ ...test, machine })))).hint ?? '';
  };
  const usual = /^is the disk mounted/;
  assert.match(await hintOf({ repo: 'nowhere' }), usual);
  assert.match(await hintOf({}, { HOLDFAST_REPOSITORY: test.at('nowhere') }), usual);
  await writeFile(test.at('holdfast.yaml'), 'jobs: 1\n');
  assert.match(await hintOf({}), usual);
});

test('without a passphrase the key file that was looked for is named', async () => {
  await using test = await testMachine();
  const { repository } = await init({ repo: 'r' }, contextOf(test));
  const machine = { ...test.machine, home: test.at('home-of-another') };
  const error = await rejection(list({ repo: 'r' }, contextOf({ ...test, machine })));
  assert.equal(error.errorName, 'key_needed');
  const path = test.at('home-of-another', '.config', 'holdfast', 'keys', `${repository.id}.key`);
  assert.ok(error.message.endsWith(`, nor is there a key file ${path}`), error.message);
  assert.match(error.hint ?? '', /another user or with another HOME/);
});
