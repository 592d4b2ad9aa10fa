import assert from 'node:assert/strict';
import { chmod, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { runChild } from '../../src/postgres/child.ts';
import { findWiden } from '../../src/postgres/stdio-buffers.ts';
import { tempDirectory } from '../../testing/temp.ts';

const signal = new AbortController().signal;
const command = { command: '/bin/sh', args: ['-c', 'printf "%s|" "$@"; exit 7', 'sh', 'a b', '', "c'"] };

test('a command keeps its arguments and its exit status, whatever the buffers', async () => {
  const widen = await findWiden({ env: { PATH: process.env['PATH'] }, signal });
  for (const each of [command, widen(command)]) {
    const { code, stdout } = await runChild({ ...each, env: {}, signal });
    assert.equal(code, 7);
    assert.equal(stdout.toString(), "a b||c'|");
  }
});

test('a stdbuf that is missing, fails or is no program changes nothing', async () => {
  await using directory = await tempDirectory();
  assert.deepEqual((await findWiden({ env: { PATH: directory.path }, signal }))(command), command);
  assert.deepEqual((await findWiden({ env: {}, signal }))(command), command);
  const stdbuf = join(directory.path, 'stdbuf');
  for (const content of ['#!/bin/sh\nexit 125\n', '\0\0 not a program']) {
    await writeFile(stdbuf, content);
    await chmod(stdbuf, 0o755);
    assert.deepEqual((await findWiden({ env: { PATH: directory.path }, signal }))(command), command);
  }
});
