import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { checkFiles } from '../../src/sources/files/backup/check.ts';
import { filesOptions } from '../../testing/files-backup.ts';
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
  assert.match(all.message, /: of 1 path none can be read; .*missing: no such file or directory$/);
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
