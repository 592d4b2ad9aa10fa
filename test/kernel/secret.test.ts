import assert from 'node:assert/strict';
import { Console } from 'node:console';
import { test } from 'node:test';
import { PassThrough } from 'node:stream';
import { format, inspect } from 'node:util';
import { serialize } from 'node:v8';
import { toPlain } from '../../src/kernel/plain.ts';
import { Secret } from '../../src/kernel/secret.ts';

const value = 'hunter2-correct-horse';
const secret = new Secret(value);

const printed: Record<string, () => string> = {
  template: () => `${secret as unknown as string}`,
  'String()': () => String(secret),
  addition: () => '' + (secret as unknown as string),
  join: () => [secret].join(),
  'JSON.stringify': () => JSON.stringify({ secret, list: [secret] }),
  inspect: () => inspect({ secret }),
  'inspect, all of it': () =>
    inspect(secret, {
      showHidden: true,
      depth: Infinity,
      customInspect: false,
      showProxy: true,
      getters: true,
    }),
  'format %s': () => format('%s %o %O %j %d %i', secret, secret, secret, secret, secret, secret),
  'error message': () => new Error(`x ${String(secret)}`, { cause: secret }).message,
  'error with cause': () => inspect(new Error('x', { cause: secret })),
  'error with property': () => inspect(Object.assign(new Error('x'), { secret })),
  'keys and values': () => inspect(Object.entries(secret)) + Reflect.ownKeys(secret).map(String).join(),
  spread: () => JSON.stringify({ ...secret }),
  'structured clone': () => inspect(structuredClone(secret), { showHidden: true }),
  serialised: () => serialize(secret).toString('latin1'),
  'log fields': () => JSON.stringify(toPlain({ secret, error: new Error('x', { cause: secret }) })),
  console: () => {
    const stream = new PassThrough();
    const console = new Console(stream);
    console.log(secret, { secret }, new Map([[secret, secret]]));
    console.table([{ secret }]);
    console.dir(secret, { showHidden: true });
    return String(stream.read());
  },
};

for (const [way, print] of Object.entries(printed)) {
  test(`a secret does not show by ${way}`, () => {
    const text = print();
    assert.doesNotMatch(text, /hunter2|correct|horse/);
  });
}

test('reveal gives the value, and JSON and text give asterisks', () => {
  assert.equal(secret.reveal(), value);
  assert.equal(String(secret), '***');
  assert.equal(JSON.stringify([secret]), '["***"]');
  assert.equal(inspect(secret), 'Secret(***)');
});
