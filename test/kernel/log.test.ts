import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync, renameSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { failure } from '../../src/kernel/errors/failure.ts';
import { createLogger, type LogOptions } from '../../src/kernel/log-create.ts';
import { LogFile } from '../../src/kernel/log-file.ts';
import { Secret } from '../../src/kernel/secret.ts';
import { ManualClock } from '../../testing/clock.ts';
import { tempDirectory } from '../../testing/temp.ts';

const clock = new ManualClock(Date.UTC(2026, 0, 2, 3, 4, 5));

async function collecting(options: Partial<LogOptions> = {}, format: 'json' | 'pretty' = 'json') {
  const lines: string[] = [];
  const stream = { write: (text: string) => lines.push(text), format, colour: false };
  const logger = createLogger({ clock, level: 'info', stream, ...options });
  return { logger, lines, records: () => lines.map((line) => JSON.parse(line) as Record<string, unknown>) };
}

test('entries have level, time, message and fields, those of the child included', async () => {
  const { logger, records } = await collecting();
  logger.child({ job: 'j1', phase: 'a' }).child({ phase: 'b' }).warn('slow', { ms: 12n });
  assert.deepEqual(records(), [
    { level: 'warn', time: '2026-01-02T03:04:05.000Z', job: 'j1', phase: 'b', ms: '12', msg: 'slow' },
  ]);
});

test('levels below the chosen one are not written', async () => {
  const { logger, records } = await collecting({ level: 'warn' });
  for (const level of ['debug', 'info', 'warn', 'error'] as const) logger[level](level);
  assert.deepEqual(
    records().map(({ msg }) => msg),
    ['warn', 'error'],
  );
  const silent = await collecting({ level: 'silent' });
  silent.logger.error('x');
  assert.deepEqual(silent.lines, []);
});

test('no secret gets into the log: message, fields, causes, known values', async () => {
  const { logger, lines } = await collecting({ secrets: () => [new Secret('hunter2')] });
  const cause = new Error('connecting to postgres://bob:hunter2@h/d failed');
  logger.error('cannot use postgres://bob:hunter2@h/d', {
    secret: new Secret('hunter2'),
    error: failure('storage_unreachable', { location: 'x', reason: 'said hunter2' }, { cause }),
    env: { PGPASSWORD: 'hunter2' },
  });
  assert.equal(lines.length, 1);
  assert.doesNotMatch(lines.join(''), /hunter2/);
  assert.match(lines.join(''), /HF-2003/);
});

test('for people: one line, the error with its hint below it, and nothing a terminal would obey', async () => {
  const { logger, lines } = await collecting({}, 'pretty');
  logger.error('it \u001b[31mbroke\u0007\nbadly', {
    file: 'a b',
    size: 3,
    error: failure('storage_full', { location: '/x', name: 'n' }),
  });
  assert.equal(
    lines.join(''),
    [
      '03:04:05 ERROR it broke  badly file="a b" size=3',
      '  HF-2005: no space left in /x while writing n',
      '  hint: free some space there and run the same command again; what was stored whole is not stored twice',
      '',
    ].join('\n'),
  );
});

test('the file has its own level, is for its owner only, and needs no flush', async () => {
  await using directory = await tempDirectory();
  const path = join(directory.path, 'logs/holdfast.log');
  const { logger, lines } = await collecting({ level: 'error', file: { path, level: 'debug' } });
  logger.debug('detail');
  assert.deepEqual(lines, []);
  assert.match(readFileSync(path, 'utf8'), /"msg":"detail"}\n$/);
  assert.equal(statSync(path).mode & 0o777, 0o600);
  logger[Symbol.dispose]();
});

test('a file is put aside by size, the oldest go, and no line is cut or lost meanwhile', async () => {
  await using directory = await tempDirectory();
  const path = join(directory.path, 'x.log');
  const file = new LogFile({ path, maxBytes: 100, keepFiles: 2, onTrouble: assert.fail });
  for (let n = 10; n < 60; n += 1) file.write(`line ${n}\n`);
  file.close();
  const names = ['x.log.2', 'x.log.1', 'x.log'];
  const kept = names.map((name) => readFileSync(join(directory.path, name), 'utf8'));
  for (const text of kept) assert.ok(text.length <= 100);
  const numbers = kept
    .join('')
    .split('\n')
    .filter(Boolean)
    .map((line) => Number(/^line (\d\d)$/.exec(line)?.[1]));
  assert.deepEqual(
    numbers,
    Array.from({ length: numbers.length }, (_, index) => 60 - numbers.length + index),
  );
  assert.ok(numbers.length > 20);
  assert.equal(existsSync(`${path}.3`), false);
});

test('a line longer than the limit is written whole', async () => {
  await using directory = await tempDirectory();
  const path = join(directory.path, 'x.log');
  const file = new LogFile({ path, maxBytes: 10, keepFiles: 0, onTrouble: assert.fail });
  file.write(`${'a'.repeat(50)}\n`);
  file.write(`${'b'.repeat(50)}\n`);
  assert.equal(readFileSync(path, 'utf8'), `${'b'.repeat(50)}\n`);
  file.close();
});

test('a file put aside by somebody else is noticed', async () => {
  await using directory = await tempDirectory();
  const path = join(directory.path, 'x.log');
  const file = new LogFile({ path, maxBytes: 1000, keepFiles: 1, onTrouble: assert.fail });
  file.write('one\n');
  renameSync(path, `${path}.aside`);
  file.write('two\n');
  assert.equal(readFileSync(path, 'utf8'), 'two\n');
  renameSync(path, `${path}.again`);
  writeFileSync(path, 'theirs\n');
  file.write('three\n');
  assert.equal(readFileSync(path, 'utf8'), 'theirs\nthree\n');
  file.close();
});

test('a log that cannot be written is told once and stops nothing', async () => {
  await using directory = await tempDirectory();
  const blocked = join(directory.path, 'not-a-directory');
  writeFileSync(blocked, '');
  const { logger, lines } = await collecting({ file: { path: join(blocked, 'x.log') } }, 'pretty');
  logger.info('one');
  logger.info('two');
  assert.equal(lines.filter((line) => line.includes('cannot write the log file')).length, 1);
  assert.equal(lines.length, 3);
});

test('loading the logger does not load pino', () => {
  const url = new URL('../../src/kernel/log-create.ts', import.meta.url).href;
  const script = `import { Module } from 'node:module';
    await import(${JSON.stringify(url)});
    console.log(Object.keys(Module._cache).filter((file) => file.includes('pino')).length);`;
  const { stdout } = spawnSync(process.execPath, ['--input-type=module', '-e', script], { encoding: 'utf8' });
  assert.equal(stdout.trim(), '0');
});
