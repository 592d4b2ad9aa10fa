import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { redact, redactArguments } from '../../src/kernel/redact.ts';
import { Secret } from '../../src/kernel/secret.ts';

const masked: Record<string, string> = {
  'postgres://bob:hunter2@db.example/shop': 'postgres://bob:***@db.example/shop',
  'cannot reach postgresql://bob:hunter2@h1:5432,h2:5432/shop?sslmode=require now':
    'cannot reach postgresql://bob:***@h1:5432,h2:5432/shop?sslmode=require now',
  'redis://:hunter2@cache': 'redis://:***@cache',
  'cannot reach postgres://bob@shop:hunter2@h/db': 'cannot reach postgres://bob@shop:***@h/db',
  'sftp://bob:hun@ter/2@host/dir': 'sftp://bob:***@host/dir',
  "postgres://bob:it's-hunter2@h/db": 'postgres://bob:***@h/db',
  'postgres://bob:12345@h/db': 'postgres://bob:***@h/db',
  'a\npostgres://bob:hunter2@h/db\nb': 'a\npostgres://bob:***@h/db\nb',
  'host=h user=bob password=hunter2 dbname=x': 'host=h user=bob password=*** dbname=x',
  "host=h password='hunter2 \\' more' dbname=x": 'host=h password=*** dbname=x',
  'PGPASSWORD=hunter2 psql': 'PGPASSWORD=*** psql',
  '{"user":"bob","password":"hunter2 and \\" more","n":1}': '{"user":"bob","password":***,"n":1}',
  'passphrase: hunter2 # mine': 'passphrase: ***',
  'line 3:\n  password: hunter2 more\n  ^': 'line 3:\n  password: ***\n  ^',
  'encryption: { passphrase: hunter2 }': 'encryption: { passphrase: ***}',
  'https://h/x?X-Amz-Signature=hunter2&token=hunter2&a=1': 'https://h/x?X-Amz-Signature=***&token=***&a=1',
  'Authorization: Bearer hunter2hunter2': 'Authorization: Bearer ***',
  'run with --passphrase hunter2 twice': 'run with --passphrase *** twice',
  'secret_access_key = hunter2': 'secret_access_key = ***',
};

for (const [text, wanted] of Object.entries(masked)) {
  test(`masked: ${JSON.stringify(text)}`, () => {
    assert.equal(redact(text), wanted);
    assert.equal(redact(wanted), wanted, 'masking twice changes nothing');
  });
}

for (const text of [
  'password authentication failed for user "bob"',
  'http://localhost:9000/backups/a@b.txt',
  'postgres://bob@host:5432/shop',
  'at 12:30:15 mail bob@example.com',
  'pass --passphrase-file or HOLDFAST_PASSPHRASE',
  'encryption.passphrase: is empty',
  'the passwords of roles are in it',
  's3://bucket/prefix',
  'file:///srv/a:b/c',
]) {
  test(`left alone: ${text}`, () => assert.equal(redact(text), text));
}

test('known secrets are masked wherever they stand, and percent-encoded', () => {
  const secrets = [new Secret('p@ss/w $& rd'), new Secret('abc'), new Secret('')];
  assert.equal(redact('x p@ss/w $& rd y abc p%40ss%2Fw%20%24%26%20rd', secrets), 'x *** y abc ***');
});

test('no password of a URL survives, whatever it is made of', () => {
  const password = fc.string({
    minLength: 4,
    unit: fc.constantFrom(...'abXY09@:/?#&=%\'",;$\\{}()<>[]|`~!*+'),
  });
  fc.assert(
    fc.property(password, fc.constantFrom('', ' more', '\nmore', '"', ')'), (inner, after) => {
      const value = `Q${inner}Q`;
      const text = redact(`see postgres://bob:${value}@host/db${after}`);
      assert.ok(!text.includes(value), text);
      assert.ok(text.startsWith('see postgres://bob:***@'), text);
    }),
  );
});

test('long text without anything to hide is quick', () => {
  const text = `${'a'.repeat(100_000)} ${'x://'.repeat(20_000)} ${'password '.repeat(10_000)} ${'a.'.repeat(50_000)} ${'a://b:'.repeat(20_000)} ${'{'.repeat(50_000)}`;
  const before = process.hrtime.bigint();
  redact(text);
  assert.ok(process.hrtime.bigint() - before < 2_000_000_000n);
});

test('command lines', () => {
  assert.deepEqual(
    redactArguments([
      'backup',
      '--password=hunter2',
      '--passphrase',
      'hunter2',
      '--from',
      'postgres://b:hunter2@h/d',
      '--tag',
      'a=b',
    ]),
    ['backup', '--password=***', '--passphrase', '***', '--from', 'postgres://b:***@h/d', '--tag', 'a=b'],
  );
  const urls = {
    'postgres://a@b:hunter2@127.0.0.1:1/x': 'postgres://a@b:***@127.0.0.1:1/x',
    'postgres://b:it hunter2@h/d': 'postgres://b:***@h/d',
    'postgres//b:hunter2@h/d': 'postgres//b:***@h/d',
    '--to=postgres://b:a/b#hunter2@h/d': '--to=postgres://b:***@h/d',
    'postgres://b:hun\nter2@h/d': 'postgres://b:***@h/d',
    'postgres://b@h:5432/d': 'postgres://b@h:5432/d',
    'http://localhost:9000/a@b': 'http://localhost:9000/a@b',
  };
  assert.deepEqual(redactArguments(Object.keys(urls)), Object.values(urls));
});
