import assert from 'node:assert/strict';
import { createConnection } from 'node:net';
import { once } from 'node:events';
import { test } from 'node:test';
import { catalogue, type ErrorName } from '../../src/kernel/errors/catalogue.ts';
import { exitCodes, httpStatuses, type ErrorEntry } from '../../src/kernel/errors/define.ts';
import { asFailure, failure, HoldfastError, isFailure, reasonOf } from '../../src/kernel/errors/failure.ts';

test('parameters fill message and hint literally, every time they occur', () => {
  const error = failure('storage_missing', { location: '$& {action} $1' });
  assert.equal(error.message, 'there is nothing at $& {action} $1');
  assert.match(error.hint, /--repo \$& \{action\} \$1$/);
});

test('every entry makes an error whose class, exit code and status agree', () => {
  for (const [name, entry] of Object.entries(catalogue) as [ErrorName, ErrorEntry][]) {
    const params = new Proxy({}, { get: (_, key) => String(key) }) as never;
    const error = failure(name, params);
    assert.equal(error.code, entry.code);
    assert.equal(error.exitCode, exitCodes[entry.kind]);
    assert.equal(error.httpStatus, httpStatuses[entry.kind]);
    assert.doesNotMatch(error.message + error.hint, /[{}]/, name);
    assert.notEqual(error.exitCode, 0);
  }
});

test('the shape for --json holds whatever the details are, and no password', () => {
  const details = { lsn: 16n, at: new Date(0), url: 'postgres://u:hunter2@h/d' };
  const error = failure('storage_unreachable', { location: 'x', reason: 'timeout' }, { details });
  assert.deepEqual(JSON.parse(JSON.stringify(error)), {
    code: 'HF-2003',
    name: 'storage_unreachable',
    kind: 'unreachable',
    message: 'cannot reach x: timeout',
    hint: 'check that it is mounted or that the network is up, then run the same command again',
    retryable: true,
    details: { lsn: '16', at: '1970-01-01T00:00:00.000Z', url: 'postgres://u:***@h/d' },
  });
});

test('asFailure keeps catalogued errors, and tells aborts from bugs', () => {
  const own = failure('storage_unreachable', { location: 'x', reason: 'timeout' });
  assert.equal(asFailure(own), own);
  const controller = new AbortController();
  controller.abort();
  assert.equal(asFailure(controller.signal.reason).errorName, 'interrupted');
  assert.equal(asFailure(controller.signal.reason).exitCode, 130);
  const bug = new TypeError('x is not a function');
  assert.equal(asFailure(bug).errorName, 'internal');
  assert.equal(asFailure(bug).cause, bug);
  assert.equal(asFailure('text').errorName, 'internal');
  assert.equal(asFailure(undefined).exitCode, 1);
});

test('what failed first is told first, also when it could not be cleaned up after', async () => {
  const broken = async (): Promise<void> => {
    await using _ = { [Symbol.asyncDispose]: () => Promise.reject(new Error('cannot remove x')) };
    throw failure('storage_unreachable', { location: 'y', reason: 'gone' });
  };
  const told = asFailure(await broken().catch((error: unknown) => error));
  assert.equal(told.errorName, 'storage_unreachable');
  assert.match(told.message, /gone; nor could it be cleaned up after: cannot remove x$/);
});

test('isFailure tells names apart', () => {
  const error: unknown = failure('storage_unreachable', { location: 'x', reason: 'timeout' });
  assert.ok(error instanceof HoldfastError);
  assert.equal(isFailure(error), true);
  assert.equal(isFailure(error, 'storage_unreachable'), true);
  assert.equal(isFailure(error, 'internal'), false);
  assert.equal(isFailure(new Error('x')), false);
});

test('a reason is never empty and never holds a password', async () => {
  assert.equal(
    reasonOf(new Error('no route to postgres://u:hunter2@h/d')),
    'no route to postgres://u:***@h/d',
  );
  assert.equal(reasonOf('plain text'), 'plain text');
  assert.equal(reasonOf(new TypeError('')), 'TypeError');
  assert.equal(reasonOf(Object.assign(new Error(''), { code: 'EPIPE' })), 'EPIPE');
  assert.equal(reasonOf(new AggregateError([new Error('a'), new Error('b')])), 'a; b');
  // Port 1 is free on any sane machine; where a name has two addresses Node gives an error without words.
  const [refused] = (await once(createConnection({ host: 'localhost', port: 1 }), 'error').catch(
    (error: unknown) => [error],
  )) as [Error];
  assert.match(reasonOf(refused), /ECONNREFUSED/);
});
