import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { checkFiles } from '../../src/sources/files/backup/check.ts';
import { filesOptions } from '../../testing/files-backup.ts';
import { passesOverRights, withoutSuperRights } from '../../testing/privileges.ts';
import { tempDirectory } from '../../testing/temp.ts';

const never = new AbortController().signal;

test('a path that is there and can be read is found good', async () => {
  await using directory = await tempDirectory();
  const findings = await checkFiles(filesOptions([directory.path], { xattrs: 'off' }), never);
  assert.deepEqual(
    findings.map(({ check, level }) => [check, level]),
    [
      ['paths', 'ok'],
      ['extended attributes', 'ok'],
    ],
  );
});

test('missing paths are named: one of two as an incomplete backup, all of them with the error of a backup', async () => {
  await using directory = await tempDirectory();
  const missing = join(directory.path, 'missing');
  const [one] = await checkFiles(filesOptions([directory.path, missing]), never);
  assert.equal(one?.level, 'error');
  assert.match(one.message, /missing could not be read \(no such file or directory\)/);
  const [all] = await checkFiles(filesOptions([missing]), never);
  assert.equal(all?.code, 'HF-5202');
  assert.match(all.message, /: its only path cannot be read; .*missing: no such file or directory$/);
});

test('a repository among the paths, and patterns that match nothing, are named', async () => {
  await using directory = await tempDirectory();
  mkdirSync(join(directory.path, 'packs'));
  writeFileSync(join(directory.path, 'holdfast.json'), '{"holdfast":"repository"}');
  const exclude = ['*.tmp', '', '#x', 'a\\', '../x', '!a', '[ab'];
  const findings = await checkFiles(filesOptions([directory.path], { exclude }), never);
  assert.match(findings[0]?.message ?? '', /is a repository of backups/);
  const patterns = findings.filter(({ check }) => check === 'exclude').map(({ message }) => message);
  assert.equal(patterns.length, 4);
});

test('what may not be read anywhere below is named', async (context) => {
  const unprivileged = passesOverRights() ? withoutSuperRights() : [];
  if (unprivileged === undefined) return context.skip('setpriv cannot take rights from root here');
  await using directory = await tempDirectory();
  const script = fileURLToPath(new URL('./check-process.ts', import.meta.url));
  const check = (...args: string[]): string => {
    const [command = '', ...words] = [...unprivileged, process.execPath, script, ...args];
    return execFileSync(command, words, { encoding: 'utf8' });
  };
  mkdirSync(join(directory.path, 'deep', 'er'), { recursive: true });
  writeFileSync(join(directory.path, 'deep', 'open'), '');
  assert.match(check(directory.path), /^ok 1 path can be read, with all that is in it$/m);
  for (const name of ['a', 'b', 'c', 'd']) {
    writeFileSync(join(directory.path, 'deep', 'er', name), '');
    chmodSync(join(directory.path, 'deep', 'er', name), 0);
  }
  const found = check(directory.path);
  assert.match(
    found,
    /^error \S+deep\/er\/a, \S+\/b, \S+\/c and 1 more may not be read: backups would be inc/m,
  );
  assert.match(check(directory.path, 'er'), /^ok /m);
  chmodSync(join(directory.path, 'deep', 'er'), 0);
  assert.match(check(directory.path), /^error \S+deep\/er may not be read: /m);
  chmodSync(join(directory.path, 'deep', 'er'), 0o700);
});

test('a big tree is looked at in part, and that is said', async () => {
  await using directory = await tempDirectory();
  const paths = [directory.path];
  for (let index = 0; index < 2100; index += 1) writeFileSync(join(directory.path, String(index)), '');
  let nowMs = 0;
  const slow = { xattrs: 'off', now: () => (nowMs += 1500) } as const;
  const [first] = await checkFiles(filesOptions(paths, slow), never);
  assert.equal(first?.level, 'ok');
  assert.match(first.message, /of the first 2048 entries; the others were not looked at/);
});

test('a user with the capability to read everything may read what is shut', async (context) => {
  const words = ['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups'];
  const capable = ['--inh-caps=-all,+dac_read_search', '--ambient-caps=+dac_read_search'];
  const run = [...words, ...capable].slice(1);
  if (spawnSync('setpriv', [...run, 'true']).status !== 0)
    return context.skip('only root can start a program with capabilities');
  await using directory = await tempDirectory();
  const file = join(directory.path, 'shut');
  writeFileSync(file, '');
  chmodSync(file, 0);
  chmodSync(directory.path, 0o700);
  const script = fileURLToPath(new URL('./check-process.ts', import.meta.url));
  const check = (path: string): string =>
    execFileSync('setpriv', [...run, process.execPath, script, path], { encoding: 'utf8' });
  assert.match(check(directory.path), /^ok 1 path can be read, with all/m);
  assert.match(check(file), /^ok 1 path can be read, with all/m);
});
