import assert from 'node:assert/strict';
import { mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { tempDirectory } from '../../testing/temp.ts';
import { isRoot, metadata, refused, restoreTo, snapshot, writtenBackup } from './restore-support.ts';

const hostile: readonly (readonly [what: string, lines: readonly string[]])[] = [
  ['two dots', ['./', '../outside/x']],
  ['two dots in the middle', ['./', 'a/', 'a/../x']],
  ['an absolute path', ['./', '/etc/x']],
  ['an absolute path below a directory of no name', ['./', '/', '/x']],
  ['an empty name', ['./', 'a/', 'a//x']],
  ['a single dot', ['./', './x']],
  ['two dots in disguise', ['./', '%2E%2E/x']],
  ['a slash in disguise', ['./', 'a -> /etc', 'a%2Fx']],
  ['a zero byte', ['./', 'a%00b']],
  ['the place itself in the middle', ['a', './']],
  ['a child of a link', ['./', 'a -> ../outside', 'a/x']],
  ['a child of a file', ['./', 'a', 'a/x']],
  ['a child of nothing', ['./', 'b/x']],
  ['a child that comes late', ['./', 'a/', 'b', 'a/x']],
  ['a hard link out of it', ['./', 'a => ../outside/secret']],
  ['a hard link through a link', ['./', 'a -> ../outside', 'b => a/secret']],
  ['a hard link to a link', ['./', 'a -> ../outside/secret', 'b => a']],
  ['a hard link to nothing', ['./', 'b => a']],
];

for (const [what, lines] of hostile) {
  test(`${what} is refused`, async () => {
    await using work = await tempDirectory();
    const outside = join(work.path, 'outside');
    mkdirSync(outside);
    writeFileSync(join(outside, 'secret'), 'secret');
    const before = await snapshot(work.path);
    const memory = await writtenBackup(lines);
    await assert.rejects(
      restoreTo(memory, join(work.path, 'target')),
      refused('object_damaged', /the list of entries of the backup is damaged/),
    );
    assert.deepEqual(await snapshot(work.path), before);
  });
}

test('two entries of one name are never written over each other', async () => {
  await using work = await tempDirectory();
  const pairs = [
    ['a -> ../outside', '%61'],
    ['a', '%61/'],
    ['a/', '%61 -> /etc'],
    ['a -> /etc', '%61/', '%61/x'],
  ];
  for (const lines of pairs) {
    const memory = await writtenBackup(['./', ...lines]);
    await assert.rejects(
      restoreTo(memory, join(work.path, 'target')),
      refused('restore_write_failed', /something of that name was restored already/),
    );
    assert.deepEqual(readdirSync(work.path), []);
  }
});

test('a manifest and entries that cannot be read are refused', async () => {
  await using work = await tempDirectory();
  const target = join(work.path, 'target');
  const odd = await writtenBackup(['./', 'a']);
  await assert.rejects(
    restoreTo(odd, target, {}, (context) => ({ ...context, metadata: { ...metadata, schema: 2 } })),
    refused('object_damaged', /what the backup says of itself/),
  );
  Object.assign(odd.entry('a').meta, { mode: 'rw' });
  await assert.rejects(restoreTo(odd, target), refused('object_damaged', /what it says of a cannot be read/));
  const newer = await writtenBackup(['./', 'a']);
  Object.assign(newer.entry('a'), { kind: 'files.device' });
  await assert.rejects(
    restoreTo(newer, target),
    refused('object_damaged', /files\.device, which this version/),
  );
  assert.deepEqual(readdirSync(work.path), []);
});

test('nobody gets rights through a file that becomes another owner', async () => {
  await using work = await tempDirectory();
  const memory = await writtenBackup(['./', 'mine', 'other']);
  Object.assign(memory.entry('mine').meta, { mode: 0o6755 });
  Object.assign(memory.entry('other').meta, { mode: 0o6755, uid: 54_321, gid: 54_321 });
  const target = join(work.path, 'target');
  const { warnings } = await restoreTo(memory, target, { owner: false });
  const mode = (name: string): number => statSync(join(target, name)).mode & 0o7777;
  assert.deepEqual([mode('mine'), mode('other')], [0o6755, 0o755]);
  assert.equal(warnings.length, 1);
  assert.match(warnings[0] ?? '', /1 file had setuid or setgid rights and does not get them/);
  const owned = await restoreTo(memory, join(work.path, 'owned'));
  const { uid, mode: now } = statSync(join(work.path, 'owned/other'));
  assert.deepEqual([uid, now & 0o7777], isRoot ? [54_321, 0o6755] : [process.geteuid?.(), 0o755]);
  assert.equal(owned.warnings.length, isRoot ? 0 : 2);
  assert.equal(readFileSync(join(target, 'other'), 'utf8'), 'content of other');
});
