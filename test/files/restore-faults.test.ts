import { type Call, faults } from './faults.ts';
import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { isFailure } from '../../src/kernel/errors/failure.ts';
import { PosixHelper } from '../../src/sources/files/posix-helper.ts';
import { tempDirectory } from '../../testing/temp.ts';
import { refused, restoreTo, snapshot, writtenBackup } from './restore-support.ts';

const tree = ['./', 'a', 'b', 'd/', 'd/in', 'new', 'z/', 'z/in'];
const only = ['a', 'b', 'd', 'new', 'z'];
/** Files that are there before, by the path that makes way for what is chosen. */
const old: Readonly<Record<string, string>> = { a: 'a', b: 'b', d: 'd/old', z: 'z/old' };

function liveTarget(path: string): string {
  const target = join(path, 'target');
  for (const name of ['d', 'z']) mkdirSync(join(target, name), { recursive: true });
  for (const name of [...Object.values(old), 'stays']) writeFileSync(join(target, name), `old ${name}`);
  return target;
}

/** Fails the nth of the calls that are meant, and when it is `lasting` all after it. */
function nthFault(
  nth: number,
  code: string,
  lasting: boolean,
  isMeant: (call: Call) => boolean,
): Disposable & { readonly failed: () => boolean } {
  let calls = 0;
  const using = faults((call) => {
    if (!isMeant(call)) return undefined;
    calls += 1;
    return calls === nth || (lasting && calls > nth) ? code : undefined;
  });
  return { failed: () => calls >= nth, [Symbol.dispose]: () => using[Symbol.dispose]() };
}

function assertRestored(target: string): void {
  assert.deepEqual(readdirSync(target), ['a', 'b', 'd', 'new', 'stays', 'z']);
  for (const path of ['a', 'b', 'd/in', 'new', 'z/in'])
    assert.equal(readFileSync(join(target, path), 'utf8'), `content of ${path}`);
}

/** What is at each path that was there is the old one, or the error says where that is. */
function assertToldOf(target: string, error: Error): void {
  for (const [path, file] of Object.entries(old)) {
    if (existsSync(join(target, file)) && readFileSync(join(target, file), 'utf8') === `old ${file}`)
      continue;
    const told = new RegExp(`${target}/${path} could not be put back \\(.*?\\); .*? is kept as ([^;]+)`);
    const kept = told.exec(error.message)?.[1] ?? assert.fail(`${path} is not told of: ${error.message}`);
    assert.equal(readFileSync(kept + file.slice(path.length), 'utf8'), `old ${file}`);
  }
  if (existsSync(join(target, 'new'))) assert.match(error.message, /target\/new could not be put back/);
}

for (const helper of [true, false]) {
  for (const lasting of [false, true]) {
    const how = `${lasting ? ' for good' : ''}${helper ? '' : ', without the helper'}`;

    for (const name of ['rename', 'unlink'] as const) {
      test(`a ${name} of chosen paths that fails${how} is undone, or told of`, async (t) => {
        if (!helper) t.mock.method(PosixHelper, 'start', async () => null);
        const memory = await writtenBackup(tree);
        let undone = 0;
        for (let nth = 1; ; nth += 1) {
          await using work = await tempDirectory();
          const target = liveTarget(work.path);
          const before = await snapshot(target);
          const mine = ({ name: called }: Call): boolean => called === name;
          using fault = nthFault(nth, 'ENOSPC', lasting, mine);
          const error: unknown = await restoreTo(memory, target, { only, force: true }).catch(
            (one: unknown) => one,
          );
          if (!(error instanceof Error)) {
            // What is left to be done then can do without.
            for (const path of only)
              assert.ok(!existsSync(join(target, old[path] ?? 'none')) || path.length === 1);
            assert.equal(readFileSync(join(target, 'z/in'), 'utf8'), 'content of z/in');
            if (!fault.failed()) break;
            continue;
          }
          undone += 1;
          if (isFailure(error, 'restore_not_undone')) {
            assert.ok(lasting, `${nth}: ${error.message}`);
            assertToldOf(target, error);
            continue;
          }
          assert.ok(isFailure(error, 'restore_write_failed'), String(error));
          assert.deepEqual(await snapshot(target), before, `${name} ${nth} failed`);
          if (!lasting) assert.deepEqual(readdirSync(work.path), ['target'], `${name} ${nth} failed`);
        }
        assert.ok(undone > 0);
      });
    }
  }
}

test('chosen paths that cannot be made durable are taken back; what fails after that is told', async () => {
  const memory = await writtenBackup(tree);
  let undone = 0;
  let told = 0;
  for (let nth = 1; ; nth += 1) {
    await using work = await tempDirectory();
    const target = liveTarget(work.path);
    const before = await snapshot(target);
    const inPlace = ({ name, path }: Call): boolean => name === 'fsync' && !path.includes('restoring');
    using fault = nthFault(nth, 'EIO', false, inPlace);
    const outcome = await restoreTo(memory, target, { only, force: true }).catch((one: unknown) => one);
    if (outcome instanceof Error) {
      undone += 1;
      assert.ok(isFailure(outcome, 'restore_write_failed'), String(outcome));
      assert.deepEqual(await snapshot(target), before, `fsync ${nth} failed`);
      assert.deepEqual(readdirSync(work.path), ['target']);
      continue;
    }
    assertRestored(target);
    if (!fault.failed()) break;
    told += 1;
    const { warnings = [] } = outcome as { warnings?: readonly string[] };
    assert.match(
      warnings.join('\n'),
      /kept in (\S+), under the same path\nthe name of \1 could not be flushed \(its disk fails/,
    );
  }
  // The target, and the way to what is kept in the directory beside it.
  assert.deepEqual([undone, told], [3, 1]);
});

for (const helper of [true, false]) {
  const without = helper ? '' : ', without the helper';
  test(`a whole restore that cannot be made durable says what is where${without}`, async (t) => {
    if (!helper) t.mock.method(PosixHelper, 'start', async () => null);
    const memory = await writtenBackup(tree);
    let failures = 0;
    for (let nth = 1; ; nth += 1) {
      await using work = await tempDirectory();
      const target = liveTarget(work.path);
      using fault = nthFault(nth, 'EIO', false, ({ name, path }) => name === 'fsync' && path === work.path);
      const outcome = await restoreTo(memory, target, { force: true }).catch((one: unknown) => one);
      assert.deepEqual(readdirSync(target), ['a', 'b', 'd', 'new', 'z']);
      if (!fault.failed()) break;
      failures += 1;
      assert.ok(isFailure(outcome, 'restore_not_undone'), String(outcome));
      const [, kept = ''] = /flushed \(its disk fails .*before is kept as (\S+)$/.exec(outcome.message) ?? [];
      assert.equal(readFileSync(join(kept, 'd/old'), 'utf8'), 'old d/old');
      assert.equal(readdirSync(work.path).length, 2);
    }
    assert.equal(failures, helper ? 2 : 1);
  });
}

test('a restore to a new place that cannot be made durable says that it is there', async () => {
  const memory = await writtenBackup(tree);
  for (const place of ['', 'above', 'above/more']) {
    await using work = await tempDirectory();
    const target = join(work.path, 'above/more/target');
    const isMeant = ({ name, path }: Call): boolean => name === 'fsync' && path === join(work.path, place);
    using _fault = nthFault(1, 'EIO', false, isMeant);
    await assert.rejects(
      restoreTo(memory, target),
      refused('restore_not_undone', /all of it is in its place, but \S+more could not be flushed/),
    );
    assert.deepEqual(readdirSync(target), ['a', 'b', 'd', 'new', 'z']);
  }
});

test('a whole restore whose exchange fails leaves the target as it was', async (t) => {
  t.mock.method(PosixHelper, 'start', async () => null);
  const memory = await writtenBackup(tree);
  for (let nth = 1; ; nth += 1) {
    await using work = await tempDirectory();
    const target = liveTarget(work.path);
    const before = await snapshot(target);
    using fault = nthFault(nth, 'EIO', false, ({ name }) => name === 'rename');
    const outcome = await restoreTo(memory, target, { force: true }).catch((one: unknown) => one);
    if (!fault.failed()) break;
    assert.ok(isFailure(outcome, 'restore_write_failed'), String(outcome));
    assert.deepEqual(await snapshot(target), before, `rename ${nth} failed`);
    assert.deepEqual(readdirSync(work.path), ['target']);
  }
});
