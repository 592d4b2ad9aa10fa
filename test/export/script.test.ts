import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { ScriptFacts } from '../../src/sources/postgres-logical/script-facts.ts';
import { ScriptScanner } from '../../src/sources/postgres-logical/script-scanner.ts';

/** Read in pieces of every size up to 20 bytes, with the same outcome each time. */
function scan(text: string): { readonly facts: ScriptFacts; readonly within: string | undefined } {
  const bytes = Buffer.from(text);
  const outcomes = Array.from({ length: 21 }, (_, size) => {
    const scanner = new ScriptScanner();
    const step = size === 0 ? bytes.length : size;
    for (let at = 0; at < bytes.length; at += step) scanner.push(bytes.subarray(at, at + step));
    return { within: scanner.end(), facts: scanner.facts };
  });
  const [first] = outcomes;
  for (const outcome of outcomes) assert.deepEqual(outcome, first);
  assert.ok(first !== undefined);
  return first;
}

describe('a script for psql', () => {
  it('has rows after COPY, and nothing in them or in quotes means anything', () => {
    const { facts, within } = scan(
      [
        "COPY public.a (i, t) FROM stdin;\n1\t\\\\! not a command\n2\t'\n\\.\n",
        "SELECT 'it''s \\! fine; COPY x FROM stdin;', \"odd \\! name\", E'\\'\\! \\\\', $$ \\! ; $$, $tag$ $$ \\! $tag$;\n",
        '-- \\! comment\n/* \\! /* nested */ \\! */ SELECT 1 -- \\!\n;',
        'CREATE FUNCTION f() RETURNS int LANGUAGE sql BEGIN ATOMIC SELECT CASE WHEN true THEN 1 END; SELECT 2; END;\n',
        'CREATE RULE r AS ON INSERT TO a DO (SELECT 1; SELECT 2);\nSELECT $1, a$b$c FROM x;\n',
        'COPY b FROM stdin;\n\\.\nCOPY (SELECT 1) TO stdout;\n',
      ].join(''),
    );
    assert.deepEqual(facts.reaching, []);
    assert.deepEqual([within, facts.tables, facts.rows, facts.statements], [undefined, 2, 2, 8]);
    assert.equal(facts.transactional, true);
  });

  for (const [text, what] of [
    ['\\! rm -rf /\n', '\\!'],
    ['SELECT 1 \\gexec\n', '\\gexec'],
    ['\\connect other\n', '\\connect'],
    ['\\encoding UTF8 \\! ls\n', '\\!'],
    ['\\encoding `ls`\n', '\\`'],
    ["SELECT 'a' \\! ls\n", '\\!'],
    ["SELECT E'a\\\\' \\! ls '\n", '\\!'],
    ['SELECT $a$ $a$ \\! ls\n', '\\!'],
    ['COPY a FROM stdin;\n1\n\\.\n\\! ls\n', '\\!'],
    ["SET standard_conforming_strings = off;\nSELECT '\\'' \\! ls '\n", '\\!'],
    ['create  database x;', 'CREATE DATABASE'],
    ['DROP/**/DATABASE x;', 'DROP DATABASE'],
    ['ALTER SYSTEM SET a = 1', 'ALTER SYSTEM'],
    ['\\i other.sql', '\\i'],
  ] as const) {
    it(`is found to reach beyond its database: ${JSON.stringify(text)}`, () => {
      assert.deepEqual(scan(text).facts.reaching, [what]);
    });
  }

  it('may need to run outside of a transaction', () => {
    for (const text of ['BEGIN; SELECT 1; COMMIT;', 'VACUUM;', 'CREATE INDEX CONCURRENTLY i ON t (x);'])
      assert.equal(scan(text).facts.transactional, false, text);
    assert.equal(scan('CREATE TABLE "begin" (i int); SELECT 1').facts.transactional, true);
  });

  it('is known to be cut short within rows, quotes and comments', () => {
    assert.equal(scan('COPY a FROM stdin;\n1\n').within, 'the rows of a table');
    assert.equal(scan('COPY a FROM stdin;').within, 'the rows of a table');
    assert.equal(scan("SELECT 'a").within, 'a quoted text');
    assert.equal(scan('DO $x$ BEGIN $$ END').within, 'a quoted text');
    assert.equal(scan('SELECT 1; /* x').within, 'a comment');
    assert.equal(scan('SELECT 1').within, undefined);
  });
});
