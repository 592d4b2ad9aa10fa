import assert from 'node:assert/strict';
import { chmod, mkdir, readdir, readFile, stat, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { parseConfig } from '../../src/contract/config-parse.ts';
import { chooseDirectories } from '../../src/app/directories.ts';
import { createKeyFile, keyFilePath, readKeyFile } from '../../src/app/key-file.ts';
import type { Asker } from '../../src/app/observer.ts';
import { passphraseFromCommand } from '../../src/app/passphrase-command.ts';
import { askNewPassphrase, findPassphrase, type PassphraseContext } from '../../src/app/passphrase.ts';
import { Secret } from '../../src/kernel/secret.ts';
import { rejection, testMachine, type TestMachine } from './machine.ts';

const id = 'ab'.repeat(16);

function contextOf(
  test: TestMachine,
  yaml: string,
  asker: Asker | null = null,
  signal = new AbortController().signal,
): PassphraseContext {
  const { machine } = test;
  const { config } = parseConfig({
    file: { name: 'holdfast.yaml', text: yaml, directory: machine.cwd },
    variables: new Map(),
    cwd: machine.cwd,
    home: machine.home,
  });
  const directories = chooseDirectories(config, machine);
  return { config, directories, machine, env: { PATH: process.env['PATH'] }, asker, signal };
}

function typing(...answers: string[]): Asker {
  return {
    secret: () => Promise.resolve(new Secret(answers.shift() ?? '')),
    confirm: () => Promise.reject(new Error('nobody asked for that')),
  };
}

describe('finding the passphrase', () => {
  it('goes by configuration, file, command, key file, terminal', async () => {
    await using test = await testMachine();
    await mkdir(test.at('home', '.config', 'holdfast', 'keys'), { recursive: true });
    await writeFile(test.at('secret'), '\uFEFFfrom file\r\nsecond line\n');
    const find = async (yaml: string, asker: Asker | null = typing('typed')) => {
      const found = await findPassphrase(id, '/r', contextOf(test, yaml, asker));
      return found && [found.source, found.secret.reveal()];
    };
    assert.deepEqual(await find('encryption: { passphrase: given }'), ['configuration', 'given']);
    assert.deepEqual(await find('encryption: { passphrase_file: ./secret }'), ['file', 'from file']);
    assert.deepEqual(await find('encryption: { passphrase_command: "echo from; echo more" }'), [
      'command',
      'from',
    ]);
    assert.deepEqual(await find(''), ['terminal', 'typed']);
    assert.equal(await find('', null), undefined);
    const path = keyFilePath(test.at('home', '.config', 'holdfast', 'keys'), id);
    await writeFile(path, 'kept\n', { mode: 0o600 });
    assert.deepEqual(await find(''), ['key file', 'kept']);
    assert.deepEqual(await find('encryption: { passphrase: given }'), ['configuration', 'given']);
  });

  it('refuses an empty and a missing secret file', async () => {
    await using test = await testMachine();
    await writeFile(test.at('empty'), '\nlater\n');
    const find = (yaml: string) => rejection(findPassphrase(id, '/r', contextOf(test, yaml)));
    assert.equal((await find('encryption: { passphrase_file: ./empty }')).errorName, 'secret_file_empty');
    assert.equal((await find('encryption: { passphrase_file: ./none }')).errorName, 'secret_file_missing');
  });
});

describe('the passphrase command', () => {
  const run = (command: string, options: { seconds?: number; signal?: AbortSignal } = {}) =>
    rejection(
      passphraseFromCommand(command, {
        env: { PATH: process.env['PATH'] },
        cwd: '/',
        signal: options.signal ?? new AbortController().signal,
        seconds: options.seconds ?? 10,
      }),
    );

  it('must print something and exit with 0', async () => {
    assert.match((await run('echo hunter2; exit 3')).message, /ended with exit code 3/);
    assert.doesNotMatch(JSON.stringify(await run('echo hunter2; exit 3')), /hunter2/);
    assert.match((await run('true')).message, /printed nothing/);
    assert.match((await run('kill -9 $$')).message, /ended by SIGKILL/);
  });

  it('has limited time, even when what it started holds on to its output', async () => {
    const error = await run('sleep 30 & sleep 30', { seconds: 0.2 });
    assert.equal(error.errorName, 'passphrase_command_failed');
    assert.match(error.message, /0\.2 s/);
  });

  it('ends with the signal', async () => {
    const controller = new AbortController();
    const running = run('sleep 30', { signal: controller.signal });
    controller.abort(new Error('enough'));
    assert.equal((await running).message, 'enough');
  });
});

describe('a new passphrase', () => {
  it('is asked for twice', async () => {
    assert.equal((await askNewPassphrase(typing('a b', 'a b'), 'x'))?.secret.reveal(), 'a b');
    assert.equal((await rejection(askNewPassphrase(typing('a', 'b'), 'x'))).errorName, 'passphrase_mismatch');
    assert.equal(await askNewPassphrase(typing(''), 'x'), undefined);
  });
});

describe('the key file', () => {
  it('is made at random, of mode 0600, and never in the place of another', async () => {
    await using test = await testMachine();
    const keys = test.at('keys');
    const path = keyFilePath(keys, id);
    const secret = await createKeyFile(path);
    assert.deepEqual(await readdir(keys), [`${id}.key`]);
    assert.equal((await stat(path)).mode & 0o777, 0o600);
    assert.equal((await stat(keys)).mode & 0o777, 0o700);
    assert.match(await readFile(path, 'utf8'), /^[\w-]{43}\n$/);
    assert.equal((await readKeyFile(path, test.machine.uid))?.reveal(), secret.reveal());
    assert.notEqual((await createKeyFile(join(keys, 'other.key'))).reveal(), secret.reveal());
    assert.equal((await rejection(createKeyFile(path))).errorName, 'key_file_failed');
    assert.equal((await readKeyFile(path, test.machine.uid))?.reveal(), secret.reveal());
  });

  it('is refused when others can read it, when it is another user’s, and when it is no file', async () => {
    await using test = await testMachine();
    const path = test.at('k.key');
    await writeFile(path, 'secret\n', { mode: 0o600 });
    for (const mode of [0o640, 0o604, 0o620, 0o660]) {
      await chmod(path, mode);
      const error = await rejection(readKeyFile(path, test.machine.uid));
      assert.equal(error.errorName, 'key_file_unsafe');
      assert.equal(error.hint, `close it: chmod 600 ${path}`);
    }
    await chmod(path, 0o600);
    assert.equal(
      (await rejection(readKeyFile(path, (test.machine.uid ?? 0) + 1))).errorName,
      'key_file_unsafe',
    );
    await symlink('.', test.at('d.key'));
    assert.equal(
      (await rejection(readKeyFile(test.at('d.key'), test.machine.uid))).errorName,
      'key_file_unsafe',
    );
    assert.equal(await readKeyFile(test.at('none.key'), test.machine.uid), undefined);
  });

  it('cannot be made where there is no place for it', async () => {
    await using test = await testMachine();
    await writeFile(test.at('file'), '');
    const error = await rejection(createKeyFile(test.at('file', 'keys', 'k.key')));
    assert.equal(error.errorName, 'key_file_failed');
  });
});
