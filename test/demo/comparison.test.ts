import assert from 'node:assert/strict';
import { tmpdir } from 'node:os';
import { test } from 'node:test';
import { clusterProofOf, compareCluster } from '../../src/app/demo/cluster-proof.ts';
import { compare } from '../../src/app/demo/compare.ts';
import { DumpReader, type DumpDigest } from '../../src/app/demo/dump-digest.ts';
import { chooseServer } from '../../src/app/demo/server-choice.ts';
import { isFailure } from '../../src/kernel/errors/failure.ts';
import { reachableTemp, serverUser } from '../../src/app/local-postgres/server-user.ts';
import { systemServers } from '../../src/app/local-postgres/binaries.ts';
import { withoutPostgres } from '../../testing/postgres-server.ts';

const dump = (rows: readonly string[], { sequence = 7, word = 'abc' } = {}): string =>
  [
    `\\restrict ${word}`,
    'CREATE TABLE a.b (n integer, t text);',
    'COPY a.b (n, t) FROM stdin;',
    ...rows,
    '\\.',
    `SELECT pg_catalog.setval('a.s', ${sequence}, true);`,
    `\\unrestrict ${word}`,
    '',
  ].join('\n');

function digest(text: string, pieceBytes = 1000): DumpDigest {
  const reader = new DumpReader();
  const bytes = Buffer.from(text);
  for (let at = 0; at < bytes.length; at += pieceBytes) reader.push(bytes.subarray(at, at + pieceBytes));
  return reader.end();
}

const whole = digest(dump(['1\tone', '2\ttwo', '2\ttwo']));

test('a dump is the same whatever the order of its rows, the size of its pieces and its guard word', () => {
  assert.deepEqual(digest(dump(['2\ttwo', '1\tone', '2\ttwo'])), whole);
  for (const pieceBytes of [1, 2, 3, 7, 64])
    assert.deepEqual(digest(dump(['1\tone', '2\ttwo', '2\ttwo']), pieceBytes), whole);
  assert.deepEqual(digest(dump(['1\tone', '2\ttwo', '2\ttwo'], { word: 'xyz' })), whole);
});

test('a dump differs by any row and any statement', () => {
  for (const rows of [
    ['1\tone', '2\ttwo'],
    ['1\tone', '1\tone', '2\ttwo'],
    ['1\tone', '2\ttwo', '2\ttwO'],
    [],
  ])
    assert.notDeepEqual(digest(dump(rows)).rows, whole.rows);
  const moved = digest(dump(['1\tone', '2\ttwo', '2\ttwo'], { sequence: 8 }));
  assert.notEqual(moved.statements, whole.statements);
});

test('what is on one side only is unequal', () => {
  const portraits = (tables: readonly string[]) => ({
    shop: {
      tables: new Map(tables.map((name) => [name, { rows: 3, fingerprint: 'f' }])),
      sequences: new Map([['a.s', '7']]),
      dump: whole,
    },
    sessions: {
      tables: new Map([['s', { rows: 2, fingerprint: 'e' }]]),
      schema: 'd',
      integrity: 'ok',
      size: 4096,
    },
    uploads: {
      paths: new Map(tables.map((name) => [name, 'file 0644'])),
      contents: new Map(tables.map((name) => [name, 'c'])),
      size: { files: tables.length, directories: 0, links: 0, bytes: 0 },
    },
  });
  const unequal = (before: readonly string[], after: readonly string[]): string[] =>
    compare(portraits(before), portraits(after))
      .filter(({ equal }) => !equal)
      .map(({ what, name, before: left, after: right }) => `${what} ${name}: ${left} ${right}`);
  assert.deepEqual(unequal(['a.b'], ['a.b']), []);
  assert.deepEqual(unequal(['a.b', 'a.c'], ['a.b']), [
    'row count a.c: 3 null',
    'fingerprint a.c: f null',
    'file tree a.c: file 0644 null',
    'file content a.c: c null',
  ]);
  assert.deepEqual(unequal([], ['a.b']), [
    'row count a.b: null 3',
    'fingerprint a.b: null f',
    'file tree a.b: null file 0644',
    'file content a.b: null c',
  ]);
});

test('an order that is missing, is not listed, or is another one makes the proof of the cluster fail', () => {
  const order = (id: string, invoice = `9${id}`) => ({ id, customer: '7', invoice, acknowledgedMs: 0 });
  const tables = (rows: number) =>
    new Map([
      ['crm.customers', { rows: 5, fingerprint: 'c' }],
      ['sales.orders', { rows, fingerprint: `o${rows}` }],
    ]);
  const truth = { orders: [order('2'), order('1')], tables: tables(2) };
  const unequal = (orders: readonly ReturnType<typeof order>[], rows = orders.length): string[] => {
    const comparisons = compareCluster(truth, { orders, tables: tables(rows) });
    const proof = clusterProofOf(truth, comparisons);
    const names = comparisons.filter(({ equal }) => !equal).map(({ what, name }) => `${what} ${name}`);
    assert.equal(proof.comparisons - proof.equal, names.length);
    assert.equal(
      proof.list.equal,
      names.every((name) => !name.startsWith('listed')),
    );
    assert.equal(proof.dropped.equal, rows === 2);
    assert.equal(proof.others.equal, true);
    return names;
  };
  const table = ['recovered row count sales.orders', 'recovered fingerprint sales.orders'];
  assert.deepEqual(unequal([order('1'), order('2')]), []);
  assert.deepEqual(unequal([order('1')]), ['listed order 2', ...table]);
  assert.deepEqual(unequal([order('1'), order('2'), order('3')]), ['listed order 3', ...table]);
  assert.deepEqual(unequal([order('1'), order('2', '8')]), ['listed order 2']);
});

test(
  'the newest server is taken that the client tools serve',
  { skip: withoutPostgres(16) || withoutPostgres(18) },
  () => {
    const user = serverUser();
    const copies = reachableTemp(user, tmpdir());
    assert.equal(chooseServer(16, user, copies).major, 16);
    assert.equal(chooseServer(99, user, copies).major, 18);
    const older = Math.min(14, ...systemServers(user).map(({ major }) => major - 1));
    assert.throws(
      () => chooseServer(older, user, copies),
      (error) => isFailure(error, 'demo_no_server'),
    );
  },
);
