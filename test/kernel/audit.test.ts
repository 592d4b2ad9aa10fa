import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { appendFileSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { AuditTrail, systemActor } from '../../src/kernel/audit.ts';
import { failure } from '../../src/kernel/errors/failure.ts';
import { Secret } from '../../src/kernel/secret.ts';
import { ManualClock } from '../../testing/clock.ts';
import { tempDirectory } from '../../testing/temp.ts';

const actor = { user: 'bob', host: 'db1', onBehalfOf: 'alice' };
const clock = new ManualClock(Date.UTC(2026, 0, 2, 3, 4, 5));
const read = (path: string): Record<string, unknown>[] =>
  readFileSync(path, 'utf8')
    .trimEnd()
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as Record<string, unknown>);

test('who, what, when, how it ended, and what it touched', async () => {
  await using directory = await tempDirectory();
  const path = join(directory.path, 'state/audit.jsonl');
  const trail = new AuditTrail({ path, clock, actor, onTrouble: assert.fail });
  const operation = await trail.start('backup', ['shop', '--tag', 'a=b']);
  await operation.done(['0123']);
  const common = { time: '2026-01-02T03:04:05.000Z', operation: operation.id, verb: 'backup' };
  const who = { user: 'bob', host: 'db1', on_behalf_of: 'alice', pid: process.pid };
  assert.deepEqual(read(path), [
    { ...common, event: 'started', arguments: ['shop', '--tag', 'a=b'], ...who },
    { ...common, event: 'done', touched: ['0123'], ...who },
  ]);
  assert.equal(statSync(path).mode & 0o777, 0o600);
});

test('a failure is written with its code and without secrets', async () => {
  await using directory = await tempDirectory();
  const path = join(directory.path, 'audit.jsonl');
  const trail = new AuditTrail({
    path,
    clock,
    actor,
    onTrouble: assert.fail,
    secrets: () => [new Secret('hunter2')],
  });
  const operation = await trail.start('restore', [
    'latest',
    '--to',
    'postgres://u:hunter3@h/d',
    '--password=hunter4',
  ]);
  await operation.failed(failure('storage_unreachable', { location: 'x', reason: 'said hunter2' }), ['4567']);
  const other = await trail.start('verify', []);
  await other.failed(new TypeError('postgres://u:hunter5@h'));
  assert.doesNotMatch(readFileSync(path, 'utf8'), /hunter\d/);
  const [, failed, , bug] = read(path);
  assert.equal(failed?.['code'], 'HF-2003');
  assert.equal(failed?.['message'], 'cannot reach x: said ***');
  assert.deepEqual(failed?.['touched'], ['4567']);
  assert.equal(bug?.['code'], null);
});

test('nothing already there is changed; a torn last line does not swallow the next', async () => {
  await using directory = await tempDirectory();
  const path = join(directory.path, 'audit.jsonl');
  appendFileSync(path, '{"event":"done"}\n{"event":"sta');
  const trail = new AuditTrail({ path, clock, actor, onTrouble: assert.fail });
  await trail.start('list', ['a\nb']);
  const lines = readFileSync(path, 'utf8').split('\n');
  assert.deepEqual(lines.slice(0, 2), ['{"event":"done"}', '{"event":"sta']);
  assert.equal((JSON.parse(lines[2] ?? '') as Record<string, unknown>)['verb'], 'list');
  assert.equal(lines.length, 4);
});

test('an audit file that cannot be written is told, and the operation goes on', async () => {
  await using directory = await tempDirectory();
  const blocked = join(directory.path, 'not-a-directory');
  writeFileSync(blocked, '');
  const told: string[] = [];
  const trail = new AuditTrail({
    path: join(blocked, 'audit.jsonl'),
    clock,
    actor,
    onTrouble: (text) => told.push(text),
  });
  const operation = await trail.start('backup', []);
  await operation.done();
  assert.equal(told.length, 2);
  assert.match(told[0] ?? '', /misses "started".*ENOTDIR|misses "started".*EEXIST/);
  assert.match(told[1] ?? '', /misses "done"/);
});

test('lines of several processes never mix', async () => {
  await using directory = await tempDirectory();
  const path = join(directory.path, 'audit.jsonl');
  const module = new URL('../../src/kernel/audit.ts', import.meta.url).href;
  const script = `const { AuditTrail } = await import(${JSON.stringify(module)});
    const trail = new AuditTrail({ path: ${JSON.stringify(path)}, clock: { now: () => 0 }, actor: { user: 'u', host: 'h' },
      onTrouble: (text) => { throw new Error(text); } });
    await Promise.all(Array.from({ length: 50 }, (_, n) => trail.start('x'.repeat(3000), [String(n)])));`;
  const children = [1, 2, 3].map(() =>
    spawn(process.execPath, ['--input-type=module', '-e', script], { stdio: 'inherit' }),
  );
  const codes = await Promise.all(children.map(async (child) => (await once(child, 'exit'))[0] as number));
  assert.deepEqual(codes, [0, 0, 0]);
  const lines = read(path);
  assert.equal(lines.length, 150);
  assert.equal(new Set(lines.map(({ operation }) => operation)).size, 150);
});

test('this process knows who it is', () => {
  const { user, host } = systemActor();
  assert.ok(user.length > 0 && host.length > 0);
});
