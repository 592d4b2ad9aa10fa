import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { after, before, describe, it } from 'node:test';
import { adHocSource, notPostgres } from '../../src/app/ad-hoc-source.ts';
import { systemMachine } from '../../src/app/machine.ts';
import { parseConfig } from '../../src/contract/config-parse.ts';
import { isFailure, type HoldfastError } from '../../src/kernel/errors/failure.ts';
import { tempDirectory } from '../../testing/temp.ts';

let directory: Awaited<ReturnType<typeof tempDirectory>>;
before(async () => {
  directory = await tempDirectory('holdfast-from-');
  mkdirSync(join(directory.path, 'uploads'));
  mkdirSync(join(directory.path, 'me@home'));
  writeFileSync(join(directory.path, 'notes'), 'no database');
  const database = new DatabaseSync(join(directory.path, 'store'));
  database.exec('CREATE TABLE t (a)');
  database.close();
});
after(() => directory[Symbol.asyncDispose]());

function place() {
  const { path } = directory;
  const variables = new Map([['HOLDFAST_SOURCES_SHOP_URL', { value: 'postgres://h/d', file: undefined }]]);
  const { config } = parseConfig({ file: null, variables, cwd: path, home: path });
  return { machine: { ...systemMachine(), cwd: path, home: path }, config };
}

function refused(from: string): HoldfastError {
  try {
    adHocSource(place(), from);
  } catch (error) {
    if (isFailure(error)) return error;
    throw error;
  }
  throw new Error(`${from} was taken`);
}

describe('--from', () => {
  it('takes the three forms', () => {
    const here = (name: string): string => join(directory.path, name);
    const app = adHocSource(place(), 'sqlite:data/app.db');
    assert.deepEqual([app.name, app.config.type], ['app', 'sqlite']);
    const { name, config } = adHocSource(place(), 'files://' + here('uploads'));
    assert.deepEqual([name, config.type === 'files' && config.paths], ['uploads', [here('uploads')]]);
    assert.equal(adHocSource(place(), 'postgres://u@h/shop').name, 'shop');
  });

  it('that is a path is told how to write it, by what lies there or by its ending', () => {
    for (const [from, written] of [
      ['/srv/uploads', 'files:/srv/uploads'],
      ['file:/srv/uploads', 'files:/srv/uploads'],
      ['file:///srv/uploads', 'files:/srv/uploads'],
      ['./app.db', 'sqlite:./app.db'],
      ['~/app.sqlite3', 'sqlite:~/app.sqlite3'],
      ['file:./dev.db', 'sqlite:./dev.db'],
      ['uploads', 'files:uploads'],
      ['.', 'files:.'],
      ['store', 'sqlite:store'],
      ['file:store', 'sqlite:store'],
      ['notes', 'files:notes'],
      ['me@home', 'files:me@home'],
    ] as const) {
      const { code, hint } = refused(from);
      assert.equal(code, 'HF-1114', from);
      assert.ok(hint.startsWith(`did you mean --from ${written}? `), `${from}: ${hint}`);
    }
    assert.match(refused('/x').message, /^--from names nothing that this version can back up: it is a path$/);
    assert.match(refused('file:/x').message, /: it begins with file:$/);
  });

  it('that is something else is told all three forms, and is not shown', () => {
    for (const from of [
      'mysql://u:SECRET@h/d',
      '//u:SECRET@h/d',
      'u:SECRET@h/d',
      './u:SECRET@h/d',
      'file://u:SECRET@h/d',
      'blog',
    ]) {
      const { code, message, hint } = refused(from);
      assert.equal(code, 'HF-1114', from);
      assert.match(hint, /^write postgres:\/\/.*sqlite:FILE.*files:DIRECTORY/, from);
      assert.doesNotMatch(message + hint, /SECRET/);
    }
    assert.match(refused('mysql://h/d').message, /: it begins with mysql:$/);
  });

  it('that is the name of a configured source is told so', () => {
    assert.equal(refused('shop').hint, 'holdfast backup shop');
  });
});

describe('DATABASE_URL', () => {
  it('of something else is answered with what can be typed instead', () => {
    const told = (url: string): string => {
      const error = notPostgres(url, place());
      assert.ok(isFailure(error, 'source_url'));
      return `${error.message}\n${error.hint}`;
    };
    assert.match(
      told('file:./dev.db?key=SECRET'),
      /^DATABASE_URL .*\ndid you mean --from sqlite:\.\/dev\.db\?/,
    );
    assert.match(told('mysql://u:SECRET@h/d'), /begins with mysql:\n.*--from \(postgres:.*files:DIRECTORY/);
    assert.doesNotMatch(told('mysql://u:SECRET@h/d'), /SECRET/);
  });
});

describe('--from pgdata:', () => {
  it('finds the server where the data directory says that it listens', async () => {
    await using found = await tempDirectory();
    const lines = ['4711', found.path, '1700000000', '5433', '/run/pg', 'localhost', '  12345', 'ready   '];
    writeFileSync(join(found.path, 'postmaster.pid'), `${lines.join('\n')}\n`);
    const { config } = adHocSource(place(), `pgdata:${found.path}`);
    assert.equal(config.type, 'postgres-cluster');
    assert.deepEqual(
      config.type === 'postgres-cluster' && [config.host, config.port, config.data_directory],
      ['/run/pg', 5433, found.path],
    );
  });

  it('leaves open where a server is that does not run', () => {
    const { name, config } = adHocSource(place(), 'pgdata:/var/lib/postgresql/17/main');
    assert.equal(name, 'main');
    assert.deepEqual(config.type === 'postgres-cluster' && [config.host, config.port], [
      undefined,
      undefined,
    ]);
  });

  it('needs a directory', () => {
    assert.throws(() => adHocSource(place(), 'pgdata:'), { errorName: 'usage' });
  });
});
