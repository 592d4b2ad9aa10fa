import assert from 'node:assert/strict';
import { mkdirSync, readdirSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { failure } from '../../src/kernel/errors/failure.ts';
import type { RestoreContext } from '../../src/sources/port.ts';
import { writing } from '../../src/sources/files/restore/failure.ts';
import { dataRanges } from '../../src/sources/files/restore/sparse.ts';
import type { MemoryBackup } from '../../testing/memory-backup.ts';
import { tempDirectory } from '../../testing/temp.ts';
import {
  metadata,
  opened,
  optionsFor,
  refused,
  restoreTo,
  snapshot,
  writtenBackup,
} from './restore-support.ts';
import { planFilesRestore, runFilesRestore } from '../../src/sources/files/restore/restore.ts';

const large = Buffer.alloc(5_000_000, 'large');

async function mixedBackup(): Promise<MemoryBackup> {
  const memory = await writtenBackup([
    './',
    'a/',
    ...Array.from({ length: 40 }, (_, index) => `a/${index}`),
    'a/shut/',
    'a/shut/in',
    ['b', large],
    'c => a/0',
    'd -> a',
    ['e', large.subarray(1)],
  ]);
  Object.assign(memory.entry('a/shut').meta, { mode: 0o555 });
  return memory;
}

/** Counts what a restore asks for, and does something at the nth. */
function interrupted(
  context: RestoreContext,
  at: number,
  act: () => void,
): { context: RestoreContext; calls: () => number } {
  let calls = 0;
  const call = (): void => {
    calls += 1;
    if (calls === at) act();
  };
  return {
    calls: () => calls,
    context: {
      ...context,
      entries: async function* () {
        for await (const entry of context.entries()) {
          call();
          yield entry;
        }
      },
      open: async function* (stream) {
        for await (const piece of context.open(stream)) {
          call();
          yield piece;
        }
      },
      readTogether: async (streams) => {
        call();
        return await context.readTogether(streams);
      },
      run: async (task, input, options) => {
        call();
        return await context.run(task, input, options);
      },
    },
  };
}

for (const [how, mode] of [
  ['a new target', 'create'],
  ['a target that is replaced', 'replace'],
  ['chosen paths', 'add'],
] as const) {
  test(`wherever it fails or is stopped, all is as it was: ${how}`, async () => {
    await using work = await tempDirectory();
    await using _opened = opened(work.path);
    const memory = await mixedBackup();
    memory.pieceBytes = 500_000;
    const target = join(work.path, 'target');
    if (mode !== 'create') {
      mkdirSync(join(target, 'a'), { recursive: true });
      writeFileSync(join(target, 'a/precious'), 'precious');
      writeFileSync(join(target, 'b'), 'old');
    }
    const options = optionsFor(target, {
      force: true,
      only: mode === 'add' ? ['a/*', 'b', 'c', 'd', 'e'] : [],
    });
    const plan = await planFilesRestore(options, memory.restoreContext(metadata));
    assert.equal(plan.summary.mode, mode);
    const before = await snapshot(work.path);
    let at = 1;
    for (; ; at += 7) {
      const controller = new AbortController();
      const stop = failure('interrupted', { what: 'here', next: 'again' });
      const base = memory.restoreContext(metadata, { signal: controller.signal, jobs: 2 });
      const act = (): void => {
        if (at % 2 === 0) controller.abort(stop);
        else throw stop;
      };
      const { context, calls } = interrupted(base, at, act);
      const outcome = await runFilesRestore(plan, context).then(
        () => 'done',
        (error: unknown) => error,
      );
      if (outcome === 'done') {
        // Stopped when all was in place already, or not at all.
        assert.ok(calls() < at + 7, `it went on for ${calls() - at} more after it was stopped at ${at}`);
        break;
      }
      assert.equal(outcome, stop);
      assert.deepEqual(await snapshot(work.path), before, `stopped at ${at}`);
    }
    assert.ok(at > 100, `only ${at} places to stop at`);
    assert.notDeepEqual(await snapshot(work.path), before);
  });
}

test('a stream that is shorter or longer than it says is refused', async () => {
  await using work = await tempDirectory();
  for (const path of ['a', 'b']) {
    const memory = await writtenBackup(['./', 'a', ['b', large]]);
    const { stream } = memory.entry(path);
    Object.assign(memory.entry(path), { stream: { ...stream, size_bytes: (stream?.size_bytes ?? 0) + 1 } });
    await assert.rejects(
      restoreTo(memory, join(work.path, 'target')),
      refused('object_damaged', new RegExp(`${path} has \\d+ bytes instead of`)),
    );
    assert.deepEqual(readdirSync(work.path), []);
  }
});

for (const [what, reason, damage] of [
  ['changed', /its content is another/, (path: string) => writeFileSync(path, 'X', { flag: 'r+' })],
  ['cut', /it has \d+ bytes instead of 5000000/, (path: string) => truncateSync(path, 0)],
] as const) {
  test(`a file that is ${what} while others are written is noticed when it is read back`, async () => {
    await using work = await tempDirectory();
    const memory = await writtenBackup(['./', ['b', large]]);
    const target = join(work.path, 'target');
    memory.pieceBytes = 1_000_000;
    const spoil = (context: RestoreContext): RestoreContext => ({
      ...context,
      run: async (task, input, options) => {
        const [staging] = readdirSync(work.path);
        if (task.exportName === 'finishFiles') damage(join(work.path, staging ?? '', 'b'));
        return await context.run(task, input, options);
      },
    });
    await assert.rejects(restoreTo(memory, target, {}, spoil), refused('restore_differs', reason));
    assert.deepEqual(readdirSync(work.path), []);
    const { checked } = await restoreTo(memory, target, { check: false }, spoil);
    assert.equal(checked, 0);
  });
}

test('of a write and a close that fail, the write is told', async () => {
  const fails = (code: string): Error => Object.assign(new Error(code), { code });
  const work = async (): Promise<void> => {
    await using _file = { [Symbol.asyncDispose]: () => Promise.reject(fails('EIO')) };
    throw fails('EDQUOT');
  };
  await assert.rejects(
    writing('/a', work),
    refused('restore_write_failed', /\/a: your quota there is used up/),
  );
});

test('what is written of a file with holes: everything but whole blocks of zeros', () => {
  const bytes = Buffer.alloc(20_000);
  assert.deepEqual(dataRanges(bytes, 0), []);
  bytes[5000] = 1;
  assert.deepEqual(dataRanges(bytes, 0), [{ from: 4096, to: 8192 }]);
  assert.deepEqual(dataRanges(bytes, 4000), [{ from: 4192, to: 8288 }]);
  assert.deepEqual(dataRanges(bytes.subarray(4500, 5001), 4500), [{ from: 0, to: 501 }]);
  bytes[8192] = 1;
  bytes[19_999] = 1;
  assert.deepEqual(dataRanges(bytes, 0), [
    { from: 4096, to: 12_288 },
    { from: 16_384, to: 20_000 },
  ]);
});
