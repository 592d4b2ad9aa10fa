import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, it, test } from 'node:test';
import { compileFunction } from 'node:vm';
import { failure } from '../../src/kernel/errors/failure.ts';
import type { ProgressEvent } from '../../src/sdk/events.ts';
import type { NamedSource } from '../../src/sdk/options.ts';
import {
  createBackup,
  HoldfastError,
  isHoldfastError,
  listBackups,
  verifyBackup,
} from '../../src/sdk/index.ts';
import { requireNode } from '../../src/sdk/node-version.ts';
import { rejection, shop, type Shop } from './shop.ts';

describe('a call that does not go well', () => {
  let the: Shop;
  before(async () => {
    the = await shop();
  });
  after(async () => {
    await the[Symbol.asyncDispose]();
  });

  it('ends when its signal says so, leaves no backup, and listens no more', async () => {
    const { options, source } = the;
    const controller = new AbortController();
    const { signal } = controller;
    const removed: string[] = [];
    signal.removeEventListener = (type: string) => removed.push(type);
    const onProgress = ({ type }: ProgressEvent): void => {
      if (type === 'phase') controller.abort(new Error('the user went away'));
    };
    const error = await rejection(createBackup({ ...options, source, signal, onProgress }));
    assert.ok(error instanceof HoldfastError);
    assert.deepEqual([error.code, error.errorName, error.cause], ['HF-1003', 'interrupted', signal.reason]);
    assert.deepEqual(removed, ['abort']);
    assert.deepEqual((await listBackups(options)).backups, []);
    assert.equal((await verifyBackup({ ...options, readData: true })).ok, true);
  });

  it('does nothing when its signal was aborted before', async () => {
    const { options, source } = the;
    const signal = AbortSignal.abort();
    const error = await rejection(createBackup({ ...options, source, signal }));
    assert.ok(isHoldfastError(error, 'interrupted'), String(error));
  });

  it('rejects with what a callback throws, and leaves no backup', async () => {
    const { options, source } = the;
    const mine = new Error('a bug of the caller');
    const onProgress = ({ type }: ProgressEvent): void => {
      if (type === 'phase') throw mine;
    };
    assert.equal(await rejection(createBackup({ ...options, source, onProgress })), mine);
    assert.deepEqual((await listBackups(options)).backups, []);
  });

  it('says what was made and what was not; rejects when nothing was', async () => {
    const { options, source, server } = the;
    const gone = { name: 'gone', type: 'postgres', url: server.url('gone') } as const;
    const some = await createBackup({ ...options, source: [source, gone] });
    assert.equal(some.ok, false);
    assert.equal(some.error?.name, 'partly_done');
    assert.deepEqual(
      [some.backups.map(({ source }) => source), some.failed.map(({ source }) => source)],
      [['shop'], ['gone']],
    );
    assert.equal(some.failed[0]?.error.code, 'HF-5004');

    const none = await rejection(createBackup({ ...options, source: gone }));
    assert.ok(none instanceof HoldfastError);
    assert.equal(none.code, 'HF-5004');
    assert.equal(none.kind, 'not_found');
    assert.ok(none.hint.length > 0);
    assert.deepEqual(none.toJSON(), some.failed[0]?.error);
  });

  it('refuses settings as the configuration file does', async () => {
    const { options } = the;
    const source = { name: 'x', type: 'files', paths: [] } as const;
    const error = await rejection(createBackup({ ...options, source }));
    assert.ok(isHoldfastError(error, 'config_invalid'), String(error));
    assert.match(error.message, /^options: sources\.x\.paths/);
    // As somebody may who writes JavaScript.
    const misnamed = { name: 'x', type: 'file', paths: ['/x'] } as unknown as NamedSource;
    const refused = await rejection(createBackup({ ...options, source: misnamed }));
    assert.ok(isHoldfastError(refused, 'config_invalid'), String(refused));
    assert.match(
      refused.message,
      /^options: sources\.x\.type: must be postgres, postgres-cluster, sqlite or files$/,
    );
    assert.match(refused.hint, /did you mean files\?/);
  });
});

const wrong: readonly (readonly [string, Record<string, unknown>, RegExp, RegExp])[] = [
  ['a misspelt option', { repositry: 'x' }, /no option repositry/, /did you mean repository\?/],
  ['an option of another type', { passphrase: 12 }, /passphrase .* of type number/, /of type string/],
  ['a list without sources', { source: [] }, /empty/, /leave source out/],
  ['a source without a name', { source: { type: 'files' } }, /no name/, /name/],
];
for (const [what, options, message, hint] of wrong) {
  test(`${what} is refused before anything is done`, async () => {
    const error = await rejection(createBackup(options));
    assert.ok(isHoldfastError(error, 'usage'), String(error));
    assert.match(error.message, message);
    assert.match(error.hint, hint);
  });
}

test('an older Node is told so, by import and by require in the same words', async () => {
  requireNode('24.7.0');
  requireNode('25.0.1');
  assert.throws(
    () => requireNode('24.6.9'),
    (error) => isHoldfastError(error, 'node_too_old'),
  );
  const path = join(import.meta.dirname, '../../src/sdk/index.cjs');
  const load = compileFunction(await readFile(path, 'utf8'), ['process', 'module', 'require']) as (
    ...args: unknown[]
  ) => void;
  const expected = failure('node_too_old', { version: 'v18.2.0' });
  assert.throws(() => load({ versions: { node: '18.2.0' } }, {}, assert.fail), {
    message: `${expected.code}: ${expected.message}; ${expected.hint}`,
  });
  const module: { exports?: unknown } = {};
  load({ versions: { node: '24.7.0' } }, module, (name: string) => name);
  assert.equal(module.exports, './index.js');
});
