import assert from 'node:assert/strict';
import { test } from 'node:test';
import { restoreTarget } from '../../src/app/kinds/postgres-target.ts';
import { isFailure } from '../../src/kernel/errors/failure.ts';

const refused = (error: unknown): boolean => isFailure(error, 'postgres_restore_target');

test('the target names its database itself', () => {
  const env = { PGDATABASE: 'production', USER: 'me' };
  for (const to of ['postgres://u@h', 'postgres://u@h/', 'postgresql://u@h/?sslmode=disable'])
    assert.throws(() => restoreTarget(to, env), refused, to);
  assert.equal(restoreTarget('postgres://u@h/shop', env).database, 'shop');
  assert.equal(restoreTarget('postgres://u@h/?dbname=shop', env).database, 'shop');
});

test('a template, or a name of ours, is no target', () => {
  for (const name of ['template0', 'template1', 'holdfast_restoring_1c561fb2'])
    assert.throws(() => restoreTarget(`postgres://u@h/${name}`, {}), refused, name);
});
