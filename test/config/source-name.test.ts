import assert from 'node:assert/strict';
import { test } from 'node:test';
import { sourceNameOf } from '../../src/contract/config-implied.ts';

test('a source is named after its database, and never after anything in the password', () => {
  const names: readonly [string, string][] = [
    ['postgres://u:p@h:5432/shop', 'shop'],
    ['postgresql://h1:1,h2:2/shop?sslmode=require', 'shop'],
    ['postgres:///shop?host=/run', 'shop'],
    ['postgres://h?dbname=shop', 'shop'],
    ['postgres://us%40er:p@h/', 'us-er'],
    ['postgres://h', 'postgres'],
    ['postgres://my%20db@h/a%20b', 'a-b'],
    ['postgres://u:pa/ss#SECRET@h:1/shop', 'shop'],
    ['postgres://u:12/ss#SECRET@h/shop', 'shop'],
    ['postgres://a@b:SE/CRET@h/shop', 'shop'],
  ];
  for (const [url, name] of names) assert.equal(sourceNameOf(url, 'url'), name, url);
  for (const url of ['', 'shop', 'mysql://u:SECRET@h/d', 'postgres:u:SECRET@h/d']) {
    assert.throws(
      () => sourceNameOf(url, '--from'),
      (error: Error) => 'code' in error && !error.message.includes('SECRET'),
    );
  }
});
