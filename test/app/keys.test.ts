import assert from 'node:assert/strict';
import { chmod, readFile, writeFile } from 'node:fs/promises';
import { describe, it } from 'node:test';
import { init } from '../../src/app/init.ts';
import { addKey, changeKey, listKeys, removeKey } from '../../src/app/keys.ts';
import type { Asker, Notice } from '../../src/app/observer.ts';
import { contextOf, rejection, testMachine, type TestMachine } from './machine.ts';

const repo = 'r';

/** A repository with the key file that init makes, and a file with another passphrase. */
async function setUp(test: TestMachine) {
  const made = await init({ repo }, contextOf(test));
  await writeFile(test.at('new'), 'another good one\n');
  return { keyFile: made.key_file ?? '', newKey: { repo, newPassphraseFile: test.at('new') } };
}

function answering(answer: boolean): { readonly asker: Asker; readonly asked: string[] } {
  const asked: string[] = [];
  const confirm = (question: string): Promise<boolean> => {
    asked.push(question);
    return Promise.resolve(answer);
  };
  return { asked, asker: { confirm, secret: () => Promise.reject(new Error('not asked for')) } };
}

describe('a passphrase that opens the repository already', () => {
  it('is refused as a new one', async () => {
    await using test = await testMachine();
    const { keyFile, newKey } = await setUp(test);
    await addKey(newKey, contextOf(test));
    for (const again of [newKey, { repo, newPassphraseFile: keyFile }]) {
      assert.equal((await rejection(addKey(again, contextOf(test)))).errorName, 'key_duplicate');
      assert.equal((await rejection(changeKey(again, contextOf(test)))).errorName, 'key_duplicate');
    }
    assert.equal((await listKeys({ repo }, contextOf(test))).keys.length, 2);
  });
});

describe('key change of a repository that opens by its key file', () => {
  it('refuses a passphrase that a key file cannot hold, before anything is changed', async () => {
    await using test = await testMachine({ HOLDFAST_NEW_PASSPHRASE: 'of two lines\nof text' });
    const { keyFile } = await setUp(test);
    const before = await readFile(keyFile, 'utf8');
    assert.equal((await rejection(changeKey({ repo }, contextOf(test)))).errorName, 'key_weak');
    assert.equal(await readFile(keyFile, 'utf8'), before);
    assert.equal((await listKeys({ repo }, contextOf(test))).keys.length, 1);
  });

  it('leaves what is in the key file alone when it did not open the repository', async () => {
    await using test = await testMachine();
    const { keyFile, newKey } = await setUp(test);
    const before = await readFile(keyFile, 'utf8');
    await addKey(newKey, contextOf(test));
    await writeFile(test.at('third'), 'a third good one\n');
    await chmod(test.at('new'), 0o600);
    const byNew = {
      ...test,
      machine: { ...test.machine, env: { HOLDFAST_PASSPHRASE_FILE: test.at('new') } },
    };
    await changeKey({ repo, newPassphraseFile: test.at('third') }, contextOf(byNew));
    assert.equal(await readFile(keyFile, 'utf8'), before);
    assert.equal((await listKeys({ repo }, contextOf(test))).keys.length, 2);
  });
});

describe('key remove of the key in use', () => {
  it('asks first where somebody sits, and is silent with --yes or for another key', async () => {
    await using test = await testMachine();
    const { newKey } = await setUp(test);
    const { keys, key: added } = await addKey(newKey, contextOf(test));
    const id = keys.find(({ current }) => current)?.id ?? '';
    const no = answering(false);
    assert.equal((await rejection(removeKey({ repo, id }, contextOf(test, no)))).errorName, 'declined');
    assert.equal(no.asked.length, 1);
    await removeKey({ repo, id: added?.id ?? '' }, contextOf(test, no));
    await addKey(newKey, contextOf(test));
    await removeKey({ repo, id, yes: true }, contextOf(test, no));
    assert.equal(no.asked.length, 1);
  });

  it('says that backups nobody attends fail from now on', async () => {
    await using test = await testMachine();
    const { newKey } = await setUp(test);
    const { keys } = await addKey(newKey, contextOf(test));
    const id = keys.find(({ current }) => current)?.id ?? '';
    const notices: Notice[] = [];
    await removeKey({ repo, id }, contextOf(test, { notice: (notice) => notices.push(notice) }));
    assert.match(notices[0]?.message ?? '', /cron.* fails from now on/);
    assert.match(notices[0]?.hint ?? '', /encryption\.passphrase_file/);
    assert.equal((await rejection(listKeys({ repo }, contextOf(test)))).errorName, 'key_needed');
  });
});
