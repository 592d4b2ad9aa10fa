import assert from 'node:assert/strict';
import {
  chmodSync,
  lstatSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { planFilesRestore, runFilesRestore } from '../../src/sources/files/restore/restore.ts';
import { isPattern, pathPattern } from '../../src/sources/files/restore/glob.ts';
import { tempDirectory } from '../../testing/temp.ts';
import { metadata, optionsFor, refused, restoreTo, run, snapshot, writtenBackup } from './restore-support.ts';

const tree = [
  './',
  '100%25 %FF',
  'a/',
  'a/b/',
  'a/b/deep.txt',
  'a/b/link -> /etc',
  'a/b/other',
  'a/one.txt',
  'b/',
  'b/again => a/b/deep.txt',
  'b/third => a/b/deep.txt',
  'z[1]',
];

async function names(directory: string): Promise<string[]> {
  const { stdout } = await run('find', [directory, '-mindepth', '1', '-printf', '%P\\0'], {
    encoding: 'latin1',
  });
  return stdout.split('\0').filter(Boolean).toSorted();
}

const choices: readonly (readonly [only: readonly string[], restored: readonly string[]])[] = [
  [['a/b'], ['a', 'a/b', 'a/b/deep.txt', 'a/b/link', 'a/b/other']],
  [['./a/b/'], ['a', 'a/b', 'a/b/deep.txt', 'a/b/link', 'a/b/other']],
  [['/srv/uploads/a/b/other'], ['a', 'a/b', 'a/b/other']],
  [
    ['a/one.txt', 'a/b/other'],
    ['a', 'a/b', 'a/b/other', 'a/one.txt'],
  ],
  [
    ['a', 'a/b/other'],
    ['a', 'a/b', 'a/b/deep.txt', 'a/b/link', 'a/b/other', 'a/one.txt'],
  ],
  [['*/*.txt'], ['a', 'a/one.txt']],
  [['**/*.txt'], ['a', 'a/b', 'a/b/deep.txt', 'a/one.txt']],
  [['a/**/link'], ['a', 'a/b', 'a/b/link']],
  [['z[1]'], ['z[1]']],
  [['z?1]'], ['z[1]']],
  [['100%25 %FF'], ['100% \u00FF']],
  [['100% %FF'], ['100% \u00FF']],
  [['100*'], ['100% \u00FF']],
  [['b'], ['b', 'b/again', 'b/third']],
  [['b/third'], ['b', 'b/third']],
];

for (const [only, restored] of choices) {
  test(`--only ${only.join(' ')}`, async () => {
    await using work = await tempDirectory();
    const memory = await writtenBackup(tree);
    const target = join(work.path, 'target');
    const plan = await planFilesRestore(optionsFor(target, { only }), memory.restoreContext(metadata));
    const result = await restoreTo(memory, target, { only });
    assert.deepEqual(await names(target), restored);
    assert.equal(plan.summary.files + plan.summary.directories + plan.summary.links, restored.length + 1);
    assert.equal(result.bytes, memory.bytesRead);
    const needed = memory.entries.filter((entry) => plan.needs(entry)).map(({ path }) => path);
    const contents = memory.entries.filter(({ stream, path }) => stream !== null && needed.includes(path));
    assert.equal(
      contents.reduce((sum, { stream }) => sum + (stream?.size_bytes ?? 0), 0),
      result.bytes,
    );
  });
}

test('hard links that are chosen without their first name are still one file', async () => {
  await using work = await tempDirectory();
  const memory = await writtenBackup(tree);
  const target = join(work.path, 'target');
  await restoreTo(memory, target, { only: ['b'] });
  assert.equal(readFileSync(join(target, 'b/again'), 'utf8'), 'content of a/b/deep.txt');
  assert.equal(statSync(join(target, 'b/again')).ino, statSync(join(target, 'b/third')).ino);
  assert.equal(statSync(join(target, 'b'), { bigint: true }).mtimeNs, 1_700_000_000_123_456_789n);
});

test('a path that is there wins over what it means as a pattern', async () => {
  await using work = await tempDirectory();
  const memory = await writtenBackup(['./', 'a*/', 'a*/in', 'ab', 'weird1.txt', 'weird[1].txt']);
  for (const [only, restored] of [
    ['weird[1].txt', ['weird[1].txt']],
    ['/srv/uploads/weird[1].txt', ['weird[1].txt']],
    ['a*', ['a*', 'a*/in']],
    ['weird?.txt', ['weird1.txt']],
  ] as const) {
    const target = join(work.path, `to ${only.replaceAll('/', '_')}`);
    const plan = await planFilesRestore(
      optionsFor(target, { only: [only] }),
      memory.restoreContext(metadata),
    );
    await runFilesRestore(plan, memory.restoreContext(metadata));
    assert.deepEqual(await names(target), restored);
    const needed = memory.entries.filter((entry) => plan.needs(entry)).length;
    assert.equal(needed, 1);
  }
});

test('files that a backup lacks are told in good grammar', async () => {
  await using work = await tempDirectory();
  const memory = await writtenBackup(tree);
  for (const [unreadable, told] of [
    [1, '1 file could not be read when the backup was taken, and is not in it'],
    [2, '2 files could not be read when the backup was taken, and are not in it'],
  ] as const) {
    const context = memory.restoreContext({ ...metadata, unreadable });
    const { summary } = await planFilesRestore(optionsFor(join(work.path, 'target')), context);
    assert.ok(summary.warnings.includes(told), summary.warnings.join());
  }
});

test('what means nothing is refused, with what may have been meant', async () => {
  await using work = await tempDirectory();
  const memory = await writtenBackup(tree);
  const only = (...texts: string[]) => restoreTo(memory, join(work.path, 'target'), { only: texts });
  await assert.rejects(
    only('a', 'one.txt'),
    refused('restore_selects_nothing', /one\.txt means.*nearest: a\/one\.txt/),
  );
  await assert.rejects(only('a/onne.txt'), refused('restore_selects_nothing', /nearest: a\/one\.txt/));
  await assert.rejects(only('**/*.jpg'), refused('restore_selects_nothing', /jpg means; .* what is in it$/));
  // The place itself is nothing that anybody has misspelt.
  for (const far of ['x', '.x', 'video.mp4'])
    await assert.rejects(only(far), refused('restore_selects_nothing', /means; .* what is in it$/));
  assert.deepEqual(readdirSync(work.path), []);
});

async function liveTarget(path: string): Promise<string> {
  const target = join(path, 'target');
  mkdirSync(join(target, 'a'), { recursive: true, mode: 0o750 });
  writeFileSync(join(target, 'a/mine'), 'mine');
  return target;
}

test('into a target that is not empty: chosen paths go to their places, the rest stays', async () => {
  await using work = await tempDirectory();
  const memory = await writtenBackup(tree);
  Object.assign(memory.entry('a/b').meta, { mode: 0o555 });
  const target = await liveTarget(work.path);
  const result = await restoreTo(memory, target, { only: ['a/b/*', 'a/one.txt', 'b/again'] });
  assert.deepEqual(result.warnings, []);
  assert.deepEqual(await names(target), [
    'a',
    'a/b',
    'a/b/deep.txt',
    'a/b/link',
    'a/b/other',
    'a/mine',
    'a/one.txt',
    'b',
    'b/again',
  ]);
  assert.equal(statSync(join(target, 'a')).mode & 0o7777, 0o750);
  assert.equal(statSync(join(target, 'a/b')).mode & 0o7777, 0o555);
  assert.equal(statSync(join(target, 'a/b'), { bigint: true }).mtimeNs, 1_700_000_000_123_456_789n);
  assert.equal(statSync(join(target, 'b/again')).ino, statSync(join(target, 'a/b/deep.txt')).ino);
  assert.deepEqual(readdirSync(work.path), ['target']);
  chmodSync(join(target, 'a/b'), 0o755);
});

test('what is there already is refused; with force it is kept in a directory beside the target', async () => {
  await using work = await tempDirectory();
  const memory = await writtenBackup(tree);
  const target = await liveTarget(work.path);
  writeFileSync(join(target, 'a/one.txt'), 'old');
  mkdirSync(join(target, 'a/b'));
  const before = await snapshot(target);
  await assert.rejects(
    restoreTo(memory, target, { only: ['a/one.txt', 'b'] }),
    refused('restore_target_exists', /target\/a\/one\.txt is there already/),
  );
  assert.deepEqual(await snapshot(target), before);
  const { warnings, replaced } = await restoreTo(memory, target, { only: ['a/one.txt', 'a/b'], force: true });
  const kept = `${target}.holdfast-replaced-20261121T143005Z`;
  assert.equal(replaced, kept);
  assert.deepEqual(warnings, [`what was at 2 paths is kept in ${kept}, under the same path`]);
  assert.deepEqual(await names(kept), ['a', 'a/b', 'a/one.txt']);
  assert.equal(lstatSync(kept).mode & 0o7777, 0o700);
  assert.equal(readFileSync(join(kept, 'a/one.txt'), 'utf8'), 'old');
  assert.equal(readFileSync(join(target, 'a/one.txt'), 'utf8'), 'content of a/one.txt');
  assert.ok(lstatSync(join(kept, 'a/b')).isDirectory());
  assert.deepEqual(await names(target), [
    'a',
    'a/b',
    'a/b/deep.txt',
    'a/b/link',
    'a/b/other',
    'a/mine',
    'a/one.txt',
  ]);
  const again = await restoreTo(memory, target, { only: ['a/one.txt'], force: true });
  assert.equal(again.replaced, `${kept}-2`);
  assert.deepEqual(again.warnings, [
    `what was at ${target}/a/one.txt is kept in ${kept}-2, under the same path`,
  ]);
  assert.deepEqual(readdirSync(work.path).length, 3);
});

test('links in the target are not followed', async () => {
  await using work = await tempDirectory();
  const memory = await writtenBackup(tree);
  const target = join(work.path, 'target');
  const outside = join(work.path, 'outside');
  mkdirSync(outside);
  mkdirSync(target);
  symlinkSync(outside, join(target, 'a'));
  const before = await snapshot(work.path);
  for (const only of [['a/one.txt'], ['a/b/other']]) {
    await assert.rejects(
      restoreTo(memory, target, { only, force: true }),
      refused('restore_target_unusable', /target\/a is no directory \(links are not followed\)/),
    );
  }
  assert.deepEqual(await snapshot(work.path), before);
});

test('moves that are done are undone when it ends before the last', async () => {
  await using work = await tempDirectory();
  const memory = await writtenBackup(tree);
  Object.assign(memory.entry('a/b').meta, { mode: 0o555 });
  const target = await liveTarget(work.path);
  writeFileSync(join(target, 'a/one.txt'), 'old');
  const before = await snapshot(work.path);
  const only = ['a/b', 'a/one.txt', 'b', 'z[1]'];
  for (const moves of [0, 1, 2, 3]) {
    const { signal } = new AbortController();
    let left = Infinity;
    signal.throwIfAborted = () => {
      left -= 1;
      if (left < 0) throw new Error(`ended after ${moves}`);
    };
    const context = memory.restoreContext(metadata, { signal });
    const phase = (text: string): void => {
      // It looks once for each move.
      if (text === 'putting it in place') left = moves;
    };
    const run = restoreTo(memory, target, { only, force: true }, () => ({
      ...context,
      progress: { ...context.progress, phase },
    }));
    await assert.rejects(run, new RegExp(`ended after ${moves}`));
    assert.deepEqual(await snapshot(work.path), before);
  }
});

test('what comes into the target after the plan was made is not written over', async () => {
  await using work = await tempDirectory();
  const memory = await writtenBackup(tree);
  for (const [only, come] of [
    [['a/one.txt', 'z[1]'], 'z[1]'],
    [['a/one.txt', 'b'], 'b/'],
  ] as const) {
    const target = await liveTarget(work.path);
    const plan = await planFilesRestore(optionsFor(target, { only }), memory.restoreContext(metadata));
    if (come === 'b/') mkdirSync(join(target, 'b'));
    else writeFileSync(join(target, come), 'come');
    const before = await snapshot(work.path);
    await assert.rejects(
      runFilesRestore(plan, memory.restoreContext(metadata)),
      refused('restore_target_exists', /is there already/),
    );
    assert.deepEqual(await snapshot(work.path), before);
    await rm(target, { recursive: true });
  }
});

test('patterns', () => {
  const table: readonly (readonly [pattern: string, path: string, matches: boolean])[] = [
    ['*', 'a', true],
    ['*', 'a/b', false],
    ['*', '.hidden', true],
    ['a/*/c', 'a/b/c', true],
    ['a/**', 'a/b/c', true],
    ['**/c', 'c', true],
    ['**/c', 'a/b/c', true],
    ['a/**/c', 'a/c', true],
    ['a/**/b/**/c', 'a/x/b/b/y/c', true],
    ['a/**/b/**/c', 'a/x/y/c', false],
    ['[a-c]x', 'bx', true],
    ['[!a-c]x', 'bx', false],
    ['[^a-c]x', 'dx', true],
    ['[]]x', ']x', true],
    ['[c-a]x', 'bx', false],
    ['[', '[', true],
    [String.raw`\*`, '*', true],
    [String.raw`\*`, 'a', false],
    ['a.c', 'abc', false],
    ['?', 'ü', true],
    ['?', '😀', true],
    ['a+(b)|c{2}$', 'a+(b)|c{2}$', true],
    ['*a*a*a*a*a*a*a*a*b', 'a'.repeat(40), false],
  ];
  for (const [pattern, path, matches] of table)
    assert.equal(pathPattern(pattern)(path), matches, `${pattern} ${path}`);
  assert.ok(isPattern('a*') && isPattern('a?') && isPattern('[a]') && !isPattern('a.b'));
});
