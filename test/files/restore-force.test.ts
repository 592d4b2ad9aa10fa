import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import {
  appendFileSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { isFailure } from '../../src/kernel/errors/failure.ts';
import { PosixHelper } from '../../src/sources/files/posix-helper.ts';
import { planFilesRestore } from '../../src/sources/files/restore/restore.ts';
import { tempDirectory } from '../../testing/temp.ts';
import { metadata, optionsFor, restoreTo, snapshot, writtenBackup } from './restore-support.ts';

const tree = ['./', 'a', 'b', 'c', 'd/', 'd/in', 'e/', 'e/in', 'f => a', 'z'];
const only = ['a', 'b', 'c', 'd', 'e', 'f', 'z'];

/** All chosen paths but `e` and `f` are there already. */
function liveTarget(path: string): string {
  const target = join(path, 'target');
  mkdirSync(join(target, 'd'), { recursive: true });
  for (const name of ['a', 'b', 'c', 'd/old', 'z', 'stays']) writeFileSync(join(target, name), `old ${name}`);
  return target;
}

/** Restores all of it; what is done to the target before the last move is done by a program that uses it. */
async function endedBeforeLast(target: string, act: () => void): Promise<unknown> {
  const memory = await writtenBackup(tree);
  const { signal } = new AbortController();
  let left = Infinity;
  signal.throwIfAborted = () => {
    left -= 1;
    if (left >= 0) return;
    act();
    throw new Error('ended');
  };
  const context = memory.restoreContext(metadata, { signal });
  const phase = (text: string): void => {
    // It looks once for each move.
    if (text === 'putting it in place') left = only.length - 1;
  };
  try {
    await restoreTo(memory, target, { only, force: true }, () => ({
      ...context,
      progress: { ...context.progress, phase },
    }));
  } catch (error) {
    return error;
  }
  return assert.fail('it did not end');
}

for (const helper of [true, false]) {
  const without = helper ? '' : ', without the helper';
  test(`what a program wrote meanwhile survives the undoing of a restore${without}`, async (t) => {
    if (!helper) t.mock.method(PosixHelper, 'start', async () => null);
    await using work = await tempDirectory();
    const target = liveTarget(work.path);
    const at = (name: string): string => join(target, name);
    const error = await endedBeforeLast(target, () => {
      assert.equal(readFileSync(at('c'), 'utf8'), 'content of c');
      writeFileSync(at('.new'), 'by the program');
      renameSync(at('.new'), at('a'));
      appendFileSync(at('b'), ' and more');
      writeFileSync(at('d/in'), 'by the program');
      writeFileSync(at('e/new'), 'by the program');
    });
    assert.ok(isFailure(error, 'restore_not_undone'), String(error));
    const [kept = ''] = readdirSync(work.path).filter((name) => name !== 'target');
    assert.equal(kept, 'target.holdfast-replaced-20261121T143005Z');
    for (const name of ['a', 'b', 'd'])
      assert.match(
        error.message,
        new RegExp(`target/${name} was changed .* kept as ${work.path}/${kept}/${name}`),
      );
    assert.match(error.message, /target\/e was changed since it was restored, and stays(;|$)/);
    assert.doesNotMatch(error.message, /target\/[cfz]/);
    const contents = (names: readonly string[], top: string) =>
      Object.fromEntries(names.map((name) => [name, readFileSync(join(top, name), 'utf8')]));
    assert.deepEqual(contents(['a', 'b', 'c', 'd/in', 'e/in', 'e/new', 'z', 'stays'], target), {
      a: 'by the program',
      b: 'content of b and more',
      c: 'old c',
      'd/in': 'by the program',
      'e/in': 'content of e/in',
      'e/new': 'by the program',
      z: 'old z',
      stays: 'old stays',
    });
    assert.deepEqual(readdirSync(target), ['a', 'b', 'c', 'd', 'e', 'stays', 'z']);
    assert.deepEqual(contents(['a', 'b', 'd/old'], join(work.path, kept)), {
      a: 'old a',
      b: 'old b',
      'd/old': 'old d/old',
    });
    assert.deepEqual(readdirSync(join(work.path, kept)), ['a', 'b', 'd']);
  });

  test(`what a program took away meanwhile is no hindrance to undoing the rest${without}`, async (t) => {
    if (!helper) t.mock.method(PosixHelper, 'start', async () => null);
    await using work = await tempDirectory();
    const target = liveTarget(work.path);
    const before = await snapshot(target);
    const error = await endedBeforeLast(target, () => rmSync(join(target, 'e'), { recursive: true }));
    assert.ok(isFailure(error, 'restore_not_undone'), String(error));
    assert.deepEqual(await snapshot(target), before);
    assert.deepEqual(readdirSync(work.path), ['target']);
  });
}

test('no name of a chosen path is ever missing', async (t) => {
  await using helper = await PosixHelper.start(new AbortController().signal);
  if (helper === null) return t.skip('needs perl on Linux (x86_64 or aarch64)');
  await using work = await tempDirectory();
  const target = liveTarget(work.path);
  const memory = await writtenBackup(tree);
  const exchange = Reflect.get(PosixHelper.prototype, 'exchange');
  const seen: string[] = [];
  t.mock.method(
    PosixHelper.prototype,
    'exchange',
    async function (this: PosixHelper, one: Buffer, other: Buffer) {
      const { ino } = lstatSync(other);
      const errno = await exchange.call(this, one, other);
      assert.notEqual(lstatSync(other).ino, ino);
      seen.push(other.toString().slice(target.length + 1));
      return errno;
    },
  );
  const { warnings } = await restoreTo(memory, target, { only, force: true });
  assert.deepEqual(seen, ['a', 'b', 'c', 'd', 'z']);
  assert.equal(warnings.length, 1);
  assert.equal(statSync(join(target, 'f')).ino, statSync(join(target, 'a')).ino);
  assert.equal(statSync(join(target, 'd'), { bigint: true }).mtimeNs, 1_700_000_000_123_456_789n);
});

test('two restores that both take the place of a target keep what each of them found', async () => {
  await using work = await tempDirectory();
  const target = liveTarget(work.path);
  const memory = await writtenBackup(tree);
  const other = await writtenBackup(['./', 'other']);
  const results = await Promise.all([
    restoreTo(memory, target, { force: true }),
    restoreTo(other, target, { force: true }),
  ]);
  const kept = results.map(({ replaced }) => readdirSync(replaced ?? '').join(' '));
  const all = [readdirSync(target).join(' '), ...kept].toSorted();
  assert.deepEqual(all, ['a b c d e f z', 'a b c d stays z', 'other']);
  assert.equal(readdirSync(work.path).length, 3);
});

/** A restore in a process of its own, which is killed at the nth exchange of names, before or after it. */
function killedRestore(
  target: string,
  chosen: readonly string[],
  nth: number,
  when: 'before' | 'after',
): void {
  const here = (path: string): string => JSON.stringify(new URL(path, import.meta.url).href);
  const script = `
    import { PosixHelper } from ${here('../../src/sources/files/posix-helper.ts')};
    import { metadata, restoreTo, writtenBackup } from ${here('./restore-support.ts')};
    const exchange = PosixHelper.prototype.exchange;
    let calls = 0;
    PosixHelper.prototype.exchange = async function (one, other) {
      calls += 1;
      if (calls === ${nth} && '${when}' === 'before') process.kill(process.pid, 'SIGKILL');
      const errno = await exchange.call(this, one, other);
      if (calls === ${nth}) process.kill(process.pid, 'SIGKILL');
      return errno;
    };
    const memory = await writtenBackup(${JSON.stringify(tree)});
    await restoreTo(memory, ${JSON.stringify(target)}, { only: ${JSON.stringify(chosen)}, force: true });`;
  const { signal, stderr } = spawnSync(
    process.execPath,
    ['--disable-warning=ExperimentalWarning', '--input-type=module', '--eval', script],
    { encoding: 'utf8' },
  );
  assert.equal(signal, 'SIGKILL', stderr);
}

for (const when of ['before', 'after'] as const) {
  test(`a restore killed right ${when} the exchange tells what is what`, async (t) => {
    await using helper = await PosixHelper.start(new AbortController().signal);
    if (helper === null) return t.skip('needs perl on Linux (x86_64 or aarch64)');
    await using work = await tempDirectory();
    const target = liveTarget(work.path);
    killedRestore(target, [], 1, when);
    const left = readdirSync(work.path).find((name) => name !== 'target') ?? '';
    assert.match(left, /^target\.holdfast-exchange-/);
    const old = 'a b c d stays z';
    const restored = 'a b c d e f z';
    const here = when === 'before' ? [old, restored] : [restored, old];
    assert.deepEqual(
      [target, join(work.path, left)].map((path) => readdirSync(path).join(' ')),
      here,
    );
    const memory = await writtenBackup(tree);
    const { summary } = await planFilesRestore(
      optionsFor(target, { force: true }),
      memory.restoreContext(metadata),
    );
    assert.equal(summary.warnings.length, 1);
    assert.match(
      summary.warnings[0] ?? '',
      when === 'before' ? /exchange-\S+ is a whole restore/ : /exchange-\S+ is what was at \S+target before/,
    );
  });

  test(`a restore of chosen paths killed ${when} an exchange loses nothing, and the next tells of it`, async (t) => {
    await using helper = await PosixHelper.start(new AbortController().signal);
    if (helper === null) return t.skip('needs perl on Linux (x86_64 or aarch64)');
    await using work = await tempDirectory();
    const target = liveTarget(work.path);
    killedRestore(target, only, 2, when);
    const [now, then] = when === 'before' ? ['old b', 'content of b'] : ['content of b', 'old b'];
    assert.equal(readFileSync(join(target, 'a'), 'utf8'), 'content of a');
    assert.equal(readFileSync(join(target, 'b'), 'utf8'), now);
    assert.equal(readFileSync(join(target, 'c'), 'utf8'), 'old c');
    const kept = join(work.path, readdirSync(work.path).find((name) => name !== 'target') ?? '');
    assert.match(kept, /target\.holdfast-replacing-/);
    assert.equal(readFileSync(join(kept, 'a'), 'utf8'), 'old a');
    const between = readdirSync(kept).find((name) => name.startsWith('.holdfast-exchange-')) ?? '';
    assert.equal(readFileSync(join(kept, between), 'utf8'), then);
    const memory = await writtenBackup(tree);
    const options = optionsFor(target, { only: ['c'], force: true });
    const { summary } = await planFilesRestore(options, memory.restoreContext(metadata));
    assert.match(
      summary.warnings.join('\n'),
      /replacing-\S+ has what was in \S+target, under the same paths/,
    );
    assert.match(
      summary.warnings.join('\n'),
      when === 'before' ? /exchange-\d+ is restored and did not/ : /exchange-\d+ is what was in/,
    );
    assert.match(summary.warnings.join('\n'), /restoring-\S+ is left of a restore that was ended/);
  });
}
