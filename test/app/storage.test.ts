import assert from 'node:assert/strict';
import { test } from 'node:test';
import { guarded } from '../../src/app/storage.ts';
import { silentLogger, type LogFields, type Logger } from '../../src/kernel/log.ts';
import { MemoryStorage } from '../../src/storage/memory/memory-storage.ts';
import { atCalls } from '../../src/storage/wrap/fault-plan.ts';
import { withFaults } from '../../src/storage/wrap/faults.ts';
import { sandbox } from '../cli/program-runner.ts';
import { TestClock } from '../storage/support.ts';

test('a passing fault is got over and told, and every try is logged', async () => {
  const clock = new TestClock();
  const said: [string, string, LogFields][] = [];
  const logger: Logger = {
    ...silentLogger,
    debug: (text, fields = {}) => void said.push(['debug', text, fields]),
    warn: (text, fields = {}) => void said.push(['warn', text, fields]),
  };
  const faulty = withFaults(new MemoryStorage(clock), atCalls({ 1: { kind: 'fail_after' } }), clock);
  const storage = guarded(faulty, { log: logger, clock, random: () => 0.5 });
  await storage.put('a', new Uint8Array(3));
  assert.deepEqual(
    said.map(([level, text, { outcome }]) => [level, text, outcome]),
    [
      ['debug', 'storage put', 'HF-2003'],
      ['warn', 'storage put failed and is tried again', undefined],
      ['debug', 'storage put', 'done'],
    ],
  );
});

test('at most 32 calls run at once', async () => {
  const clock = new TestClock();
  const inner = new MemoryStorage(clock);
  const waiting: (() => void)[] = [];
  const get = async (): Promise<Uint8Array> => {
    await new Promise<void>((resolve) => waiting.push(resolve));
    return new Uint8Array(1);
  };
  const storage = guarded(Object.assign(inner, { get }), { log: silentLogger, clock, random: Math.random });
  const calls = Array.from({ length: 40 }, (_, i) => storage.get(`n${i}`));
  await new Promise(setImmediate);
  assert.equal(waiting.length, 32);
  for (let done = 0; done < 40; done += 1) {
    waiting.shift()?.();
    await new Promise(setImmediate);
  }
  assert.equal((await Promise.all(calls)).length, 40);
});

test('the program opens its repository so', async () => {
  await using box = await sandbox();
  const made = await box.run(['init', '--repo', 'r', '--no-encryption', '--log-level', 'debug']);
  assert.match(made.stderr, /DEBUG storage put name=holdfast\.json outcome=done/);
});
