import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { failure } from '../../src/kernel/errors/failure.ts';
import { toPlain } from '../../src/kernel/plain.ts';
import { Secret } from '../../src/kernel/secret.ts';

test('anything becomes something JSON can hold', () => {
  fc.assert(
    fc.property(
      fc.anything({ withBigInt: true, withDate: true, withMap: true, withSet: true, withTypedArray: true }),
      (value) => {
        const plain = toPlain(value);
        assert.deepEqual(JSON.parse(JSON.stringify(plain)), JSON.parse(JSON.stringify(plain)));
      },
    ),
  );
});

test('values keep their meaning', () => {
  const plain = toPlain({
    big: 2n ** 64n,
    date: new Date(0),
    bytes: Buffer.alloc(12),
    map: new Map([['a', 1n]]),
    set: new Set([1, 2]),
    nan: NaN,
    absent: undefined,
    nothing: null,
    url: new URL('postgres://u:hunter2@h/d'),
  });
  assert.deepEqual(plain, {
    big: '18446744073709551616',
    date: '1970-01-01T00:00:00.000Z',
    bytes: '[12 bytes]',
    map: { a: '1' },
    set: [1, 2],
    nan: 'NaN',
    nothing: null,
    url: 'postgres://u:***@h/d',
  });
});

test('secrets do not get out: by type, by name, by value', () => {
  const text = JSON.stringify(
    toPlain(
      {
        typed: new Secret('hunter2'),
        password: 'hunter2',
        nested: { PGPASSWORD: 'hunter2', list: ['x hunter2 y', 'postgres://u:hunter2@h'] },
        error: new Error('a', { cause: new Error('password=hunter2') }),
        map: new Map([['api_key', 'hunter2']]),
      },
      [new Secret('hunter2')],
    ),
  );
  assert.doesNotMatch(text, /hunter2/);
});

test('an error keeps code, hint, details and causes; a catalogued one needs no stack', () => {
  const inner = Object.assign(new Error('connect ECONNREFUSED'), { code: 'ECONNREFUSED' });
  const error = failure(
    'storage_unreachable',
    { location: '/x', reason: 'r' },
    { cause: inner, details: { lsn: 5n } },
  );
  const plain = toPlain(error) as Record<string, unknown>;
  assert.equal(plain['code'], 'HF-2003');
  assert.equal(plain['message'], 'cannot reach /x: r');
  assert.match(String(plain['hint']), /network/);
  assert.deepEqual(plain['details'], { lsn: '5' });
  assert.equal(plain['stack'], undefined);
  const cause = plain['cause'] as Record<string, unknown>;
  assert.equal(cause['code'], 'ECONNREFUSED');
  assert.match(String(cause['stack']), /plain\.test/);
});

test('cycles, depths, long lists and hostile objects are cut off', () => {
  const ring: Record<string, unknown> = { name: 'ring' };
  ring['self'] = ring;
  assert.deepEqual(toPlain(ring), { name: 'ring', self: '[circular]' });
  let deep: unknown = 'bottom';
  for (let n = 0; n < 50; n += 1) deep = { deep };
  assert.match(JSON.stringify(toPlain(deep)), /\[deeper\]/);
  assert.equal((toPlain(Array.from({ length: 1000 })) as unknown[]).length, 101);
  const hostile = {
    get trap(): string {
      throw new TypeError('no');
    },
  };
  assert.equal(toPlain(hostile), '[unreadable: TypeError]');
  const selfCaused = new Error('x');
  selfCaused.cause = selfCaused;
  assert.equal((toPlain(selfCaused) as Record<string, unknown>)['cause'], '[circular]');
});
