import assert from 'node:assert/strict';
import { test } from 'node:test';
import { onlyPaths, pathTarget } from '../../src/app/kinds/path-target.ts';
import { parseOnly, restoreTarget } from '../../src/app/kinds/postgres-target.ts';
import { isFailure } from '../../src/kernel/errors/failure.ts';

const shop = { id: 'ab12cd34'.repeat(4), source: { name: 'shop', kind: 'postgres' } };
const uploads = { id: 'c706a403'.repeat(4), source: { name: 'uploads', kind: 'files' } };
const sessions = { id: 'c0ffee00'.repeat(4), source: { name: 'sessions', kind: 'sqlite' } };
const refused = (error: unknown): boolean => isFailure(error, 'postgres_restore_target');

test('the target names its database itself', () => {
  const env = { PGDATABASE: 'production', USER: 'me' };
  for (const to of ['postgres://u@h', 'postgres://u@h/', 'postgresql://u@h/?sslmode=disable'])
    assert.throws(() => restoreTarget(to, env, shop), refused, to);
  assert.equal(restoreTarget('postgres://u@h/shop', env, shop).database, 'shop');
  assert.equal(restoreTarget('postgres://u@h/?dbname=shop', env, shop).database, 'shop');
});

test('a template, or a name of ours, is no target', () => {
  for (const name of ['template0', 'template1', 'holdfast_restoring_1c561fb2'])
    assert.throws(() => restoreTarget(`postgres://u@h/${name}`, {}, shop), refused, name);
});

const wish = {
  to: './restored',
  only: [],
  owner: true,
  privileges: true,
  globals: false,
  check: true,
  force: false,
  recovery: null,
};
const saying =
  (message: RegExp, hint: RegExp) =>
  (error: unknown): boolean => {
    assert.ok(isFailure(error, 'usage'));
    assert.match(error.message, message);
    assert.match(error.hint, hint);
    return true;
  };

const machine = { cwd: '/work', home: '/home/me' };

test('a path is read as it was typed: relative, below home, as a URL of this machine', () => {
  for (const [to, path, directory] of [
    ['back', '/work/back', false],
    ['~/back/', '/home/me/back', true],
    ['file:///srv/two%20words', '/srv/two words', false],
    ['/srv/../etc/', '/etc', true],
  ] as const)
    assert.deepEqual(pathTarget({ ...wish, to }, machine, uploads), { path, directory });
  assert.throws(
    () => pathTarget({ ...wish, to: 'file://elsewhere/srv' }, machine, uploads),
    saying(/--to is not a path/, /goes to a directory/),
  );
});

test('a target of another kind is answered with what the backup is of', () => {
  const to = 'postgres://u:secret@h/shop';
  assert.throws(
    () => pathTarget({ ...wish, to }, machine, uploads),
    saying(/^backup c706a403 is one of files \(uploads\), and --to names a database$/, /latest:SOURCE/),
  );
  assert.throws(
    () => pathTarget({ ...wish, to }, machine, sessions),
    saying(
      /^backup c0ffee00 is one of SQLite \(sessions\), and --to names a database$/,
      /^a backup of SQLite goes to a directory: --to \.\/restored; .*latest:SOURCE/,
    ),
  );
  assert.throws(
    () => restoreTarget('./restored', {}, shop),
    saying(
      /^backup ab12cd34 is one of PostgreSQL \(shop\), and --to names a path$/,
      /postgres:\/\/user@host:5432\/database; .*latest:SOURCE/,
    ),
  );
  assert.throws(
    () => pathTarget({ ...wish, globals: true }, machine, uploads),
    saying(/--globals has no meaning here: backup c706a403 is one of files \(uploads\)/, /leave it out/),
  );
});

test('--only with a bare name asks whether a path, or a table, was meant', () => {
  assert.throws(
    () => onlyPaths(['a/one'], uploads),
    saying(/does not know a\/one: /, /did you mean path=a\/one\?/),
  );
  assert.throws(() => onlyPaths(['table=x'], uploads), saying(/is one of files/, /^Write --only path=/));
  assert.throws(() => parseOnly(['orders'], shop), saying(/know orders: /, /did you mean table=orders\?/));
  assert.throws(() => parseOnly(['tables=x'], shop), saying(/is one of PostgreSQL/, /^Write --only table=/));
});
