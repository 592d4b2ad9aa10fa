import assert from 'node:assert/strict';
import { chmod, link, lutimes, mkdir, rm, symlink, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { test } from 'node:test';
import { picture } from '../../src/app/demo/generated-files.ts';
import { Sessions } from '../../src/app/demo/sessions.ts';
import { takeSqlitePortrait } from '../../src/app/demo/sqlite-portrait.ts';
import { takeTreePortrait, treeFingerprint, type TreePortrait } from '../../src/app/demo/tree-portrait.ts';
import { openUploads, uploadsDay } from '../../src/app/demo/uploads.ts';
import { tempDirectory } from '../../testing/temp.ts';

const portraitOf = (root: string): Promise<TreePortrait> =>
  takeTreePortrait(root, new AbortController().signal);

test('the portrait of a tree differs by whatever is changed in it', async () => {
  await using directory = await tempDirectory('holdfast-demo-tree-');
  const root = join(directory.path, 'tree');
  const at = (name: string): string => join(root, name);
  const quiet = async (): Promise<void> => {
    for (const name of ['a/one', 'a/link', 'a', '.']) await lutimes(at(name), 1000, 1000);
  };
  await mkdir(at('a'), { recursive: true });
  await writeFile(at('a/one'), 'one');
  await symlink('one', at('a/link'));
  await quiet();
  const before = await portraitOf(root);
  assert.deepEqual([...before.paths.keys()], ['.', 'a', 'a/link', 'a/one']);
  assert.equal(before.paths.get('a/one')?.slice(-31), ' 1970-01-01T00:16:40.000000000Z');
  const changes: Readonly<Record<string, () => Promise<unknown>>> = {
    'a byte': () => writeFile(at('a/one'), 'onE').then(quiet),
    'a mode': () => chmod(at('a/one'), 0o604),
    'a time of a file': () => utimes(at('a/one'), 1000, 1000.25),
    'a time of a link': () => lutimes(at('a/link'), 1000, 1001),
    'a time of the directory itself': () => utimes(root, 1000, 1001),
    'a target': () =>
      rm(at('a/link'))
        .then(() => symlink('two', at('a/link')))
        .then(quiet),
    'a type': () =>
      rm(at('a/link'))
        .then(() => link(at('a/one'), at('a/link')))
        .then(quiet),
    'a missing link': () => rm(at('a/link')).then(() => utimes(at('a'), 1000, 1000)),
  };
  let last = treeFingerprint(before);
  assert.equal(treeFingerprint(await portraitOf(root)), last);
  for (const [what, change] of Object.entries(changes)) {
    await change();
    const now = treeFingerprint(await portraitOf(root));
    assert.notEqual(now, last, what);
    last = now;
  }
  assert.equal((await portraitOf(join(directory.path, 'not there'))).paths.size, 0);
});

test('the portrait of a SQLite database tells values and types apart, whatever their order', async () => {
  await using directory = await tempDirectory('holdfast-demo-sqlite-');
  let number = 0;
  const fingerprint = (rows: readonly string[], more = ''): string => {
    number += 1;
    const file = join(directory.path, `${number}.db`);
    using database = new DatabaseSync(file);
    database.exec(`CREATE TABLE t (a, b); INSERT INTO t VALUES ${rows.join(', ')}; ${more}`);
    const { tables, schema, integrity } = takeSqlitePortrait(file);
    return JSON.stringify([...tables, schema, integrity]);
  };
  const whole = fingerprint(["(1, 'x')", "(2, 'y')", "(2, 'y')"]);
  assert.equal(fingerprint(["(2, 'y')", "(1, 'x')", "(2, 'y')"]), whole);
  const unlike = [
    fingerprint(["(1, 'x')", "(2, 'y')"]),
    fingerprint(["(1, 'x')", "(2, 'y')", "(2, 'Y')"]),
    fingerprint(["(1, 'x')", "(2, 'y')", "('2', 'y')"]),
    fingerprint(["(1, 'x')", "(2, 'y')", "(2.5, 'y')"]),
    fingerprint(["(1, 'x')", "(2, 'y')", '(2, NULL)']),
    fingerprint(["(1, 'x')", "(2, 'y')", "(2, x'79')"]),
    fingerprint(["(1, 'x')", "(2, 'y')", '(9007199254740992, 0)']),
    fingerprint(["(1, 'x')", "(2, 'y')", '(9007199254740993, 0)']),
    fingerprint(["(1, 'x')", "(2, 'y')", '(9007199254740992.0, 0)']),
    fingerprint(["(1, 'x')", "(2, 'y')", "(2, 'y')"], 'CREATE INDEX i ON t (a)'),
    fingerprint(["(1, 'x')", "(2, 'y')", "(2, 'y')"], 'PRAGMA user_version = 3'),
  ];
  assert.equal(new Set([whole, ...unlike]).size, 1 + unlike.length);
});

test('what a transaction writes meanwhile is seen by nobody and taken back', async () => {
  await using directory = await tempDirectory('holdfast-demo-sessions-');
  const file = join(directory.path, 'sessions.db');
  using sessions = new Sessions(file);
  sessions.fill();
  assert.equal(sessions.businessDay(), 1425);
  const before = takeSqlitePortrait(file);
  {
    using meanwhile = sessions.writeMeanwhile();
    assert.ok(meanwhile.rows > 0);
    assert.deepEqual(takeSqlitePortrait(file), before);
  }
  assert.deepEqual(takeSqlitePortrait(file), before);
});

test('the uploads are the same on every day, and what a day changes is counted', async () => {
  await using directory = await tempDirectory('holdfast-demo-uploads-');
  const fill = async (name: string): Promise<[TreePortrait, TreePortrait]> => {
    const root = join(directory.path, name);
    await openUploads(root);
    const before = await portraitOf(root);
    assert.deepEqual(await uploadsDay(root), { added: 22, changed: 5, moved: 30, removed: 3 });
    return [before, await portraitOf(root)];
  };
  const [before, after] = await fill('one');
  assert.deepEqual(await fill('other'), [before, after]);
  const names = ({ contents }: TreePortrait): Set<string> => new Set(contents.keys());
  assert.equal(names(after).difference(names(before)).size, 22 + 30);
  assert.equal(names(before).difference(names(after)).size, 3 + 30);
  const kept = [...names(after).intersection(names(before))];
  assert.equal(kept.filter((path) => before.contents.get(path) !== after.contents.get(path)).length, 5);
  assert.equal(kept.filter((path) => before.paths.get(path) !== after.paths.get(path)).length, 5);
});

test('a picture is a PNG of its size', () => {
  const bytes = picture(7, 56, 42);
  assert.equal(bytes.toString('latin1', 1, 4), 'PNG');
  assert.deepEqual([bytes.readUInt32BE(16), bytes.readUInt32BE(20)], [56, 42]);
});
