import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { recognise } from '../../src/app/import-recognise.ts';
import { importScriptFile } from '../../src/sources/postgres-logical/script-import.ts';
import { MemoryBackup } from '../../testing/memory-backup.ts';
import { tempDirectory } from '../../testing/temp.ts';
import { failing } from '../postgres/support.ts';

type Directory = Awaited<ReturnType<typeof tempDirectory>>;

const foreign: readonly (readonly [string, string, RegExp?])[] = [
  [
    'a module',
    "import { open } from 'node:fs';\nconst select = 1;\n// CREATE TABLE a (i int);\n",
    /line 1: .*import/,
  ],
  ['an older program', "'use strict';\nvar sql = 'CREATE TABLE a (i int);';\n"],
  ['a function', '/* SELECT */\nfunction copy(a) {\n  return a;\n}\n', /line 2: .*function/],
  ['a loop', 'do {\n  select(a);\n} while (create);\n', /line 1: .*begins with do \{/],
  ['CSV', 'select,copy,note\n1,2,"CREATE TABLE a (i int)"\n'],
  ['CSV whose first column is quoted', '"a","b"\n"CREATE TABLE a","2"\n'],
  ['CSV with a comment', '-- select\nbegin,end\n1,2\n', /line 2: .*begins with begin ,/],
  ['JSON', '{ "select": "CREATE TABLE a (i int);" }\n'],
  ['JSON behind a comment', '-- SELECT\n{ "a": 1 }\n', /line 2: .*begins with \{/],
  ['Markdown', '# Tables\n\n```sql\nCREATE TABLE a (i int);\n```\n'],
  ['a list', '-- x\n- Select the table;\n- create table a (i int);\n', /line 2: .*a sign/],
  ['prose', 'Tables are made so:\n\nCREATE TABLE a (i int);\n', /line 1: .*tables/],
  [
    'prose that begins well',
    'Create a table, then select from it;\ncreate table a (i int);\n',
    /line 1: .*create a/,
  ],
  ['a shell script', '#!/bin/sh\nset -e\npsql -c "SELECT 1"\n'],
  [
    'a shell script without a first line',
    'set -e\npsql <<X\nCREATE TABLE a (i int);\nX\n',
    /line 1: .*a sign/,
  ],
  ['a shell script that exports', 'export PATH\nselect x in a; do :; done\n', /line 1: .*export/],
  [
    'a dump of MySQL',
    '-- MySQL dump 10.13\n/*!40101 SET NAMES utf8 */;\nDROP TABLE IF EXISTS `a b`;\nCREATE TABLE `a b` (`i` int);\n',
    /line 3: .*backquotes/,
  ],
  ['MySQL without backquotes', 'CREATE TABLE a (\n  i int\n) ENGINE=InnoDB;\n', /line 3: ENGINE/],
  [
    'MySQL with locks',
    'LOCK TABLES a WRITE;\nINSERT INTO a VALUES (1);\nUNLOCK TABLES;\n',
    /line 3: .*unlock/,
  ],
  ['MySQL with a delimiter', 'CREATE TABLE a (i int);\nDELIMITER ;;\n', /line 2: .*delimiter/],
  ['SQLite', 'PRAGMA foreign_keys=OFF;\nBEGIN TRANSACTION;\nCREATE TABLE a (i);\n', /line 1: .*pragma/],
  ['what only asks', 'SELECT 1;\nSHOW all;\n', /makes or fills/],
  [
    'what turns strange late',
    `${'INSERT INTO a VALUES (1);\n'.repeat(20_000)}INSERT INTO a\nVALUES (2);\nlet x = 1;\n`,
    /line 20003: .*let/,
  ],
];

const scripts: readonly (readonly [string, string])[] = [
  ['begins with a mark of its encoding', '\uFEFFSET client_encoding = "UTF8";\nCREATE TABLE a (i int);\n'],
  [
    'has queries in parentheses',
    'CREATE TABLE a (i int);\n((SELECT 1) UNION (SELECT 2));\nSELECT * FROM a;SELECT -1;',
  ],
  [
    'has names that mean something elsewhere',
    "CREATE TABLE engine (engine int) USING engine;\nUPDATE engine SET engine=1;\nCREATE TABLE b AS SELECT (1) AS x WHERE engine = 'a';\nINSERT INTO a VALUES ('`x`');",
  ],
  ['has comments everywhere', '/* a */ -- b\nCREATE /* c */ -- d\nTABLE a (i int);\n;;\n-- e\n'],
  [
    'has blocks and rows',
    "DO $$BEGIN END$$;\nDO LANGUAGE plpgsql 'BEGIN END';\nCOPY a FROM stdin;\nlet x = {};\n\\.\nCOMMIT;\nEND;\n",
  ],
  [
    'has quoted names',
    'CREATE TABLE "a" (i int);\nLOCK "a";COPY "a" ("i", "j") FROM stdin;\n1\n\\.\nTABLE "a";\nSET "x" = 1;',
  ],
  ['fills by WITH', 'WITH x AS (SELECT 1) INSERT INTO a SELECT * FROM x;'],
  [
    'is a dump of an empty database',
    '--\n-- PostgreSQL database dump\n--\n\nSET x = 0;\nSELECT 1;\n\n--\n-- PostgreSQL database dump complete\n--\n',
  ],
];

describe('what looks like a script', () => {
  let directory: Directory;
  before(async () => {
    directory = await tempDirectory();
  });
  after(() => directory[Symbol.asyncDispose]());

  /** As `import` does it: by the first bytes, then by all. */
  async function taken(text: string): Promise<void> {
    const path = join(directory.path, 'file');
    await writeFile(path, text);
    const { format } = await recognise(path, 'file');
    assert.equal(format, 'sql');
    await importWhole(path);
  }
  async function importWhole(path: string): Promise<void> {
    const backup = new MemoryBackup();
    await importScriptFile({ path, gzip: false, shown: 'file', database: undefined }, backup.backupContext());
  }

  for (const [name, text, reason] of foreign) {
    it(`and is ${name} is refused`, async () => {
      await assert.rejects(taken(text), (error: Error) => {
        assert.ok(failing('import_unknown')(error));
        if (reason !== undefined) assert.match(error.message, reason);
        return true;
      });
      await assert.rejects(importWhole(join(directory.path, 'file')), failing('import_unknown'));
    });
  }

  for (const [name, text] of scripts) it(`and ${name} is one`, () => taken(text));
});
