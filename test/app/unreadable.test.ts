import assert from 'node:assert/strict';
import { chmod, mkdir, writeFile } from 'node:fs/promises';
import { test } from 'node:test';
import { readSecretFile } from '../../src/app/secret-file.ts';
import { rejection, testMachine } from './machine.ts';

const nobody = 65_534;

/** As somebody whom rights of files mean something to, and to whom nothing belongs that root has made. */
async function asOther<T>(run: () => Promise<T>): Promise<T> {
  if (process.geteuid?.() !== 0) return await run();
  process.seteuid?.(nobody);
  try {
    return await run();
  } finally {
    process.seteuid?.(0);
  }
}

const hintFor = async (path: string): Promise<string> =>
  (await rejection(asOther(() => readSecretFile(path, 'encryption.passphrase_file')))).hint ?? '';

test('a file that cannot be read is told of with what helps: that depends on whose it is', async () => {
  assert.match(
    await hintFor('/etc/shadow'),
    /^\/etc\/shadow belongs to root \(uid 0\) with mode 0\d+: run holdfast as its owner \(sudo -u root holdfast …\), or /,
  );
  await using machine = await testMachine();
  await mkdir(machine.at('shut'));
  await writeFile(machine.at('shut', 'key'), 'secret\n');
  await chmod(machine.at('shut'), 0);
  const hint = await hintFor(machine.at('shut', 'key'));
  if (process.geteuid?.() === 0) {
    assert.match(
      hint,
      /belongs to root \(uid 0\) with mode 0\d00, and you may not enter it: run holdfast as/,
    );
  } else {
    assert.equal(hint, `make it readable: chmod u+x ${machine.at('shut')}`);
  }
  await chmod(machine.at('shut'), 0o700);
  assert.match(await hintFor('/etc'), /name a file/);
});
