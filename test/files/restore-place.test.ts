import assert from 'node:assert/strict';
import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { planFilesRestore } from '../../src/sources/files/restore/restore.ts';
import { PosixHelper } from '../../src/sources/files/posix-helper.ts';
import { tempDirectory } from '../../testing/temp.ts';
import { mountSmall } from '../storage/small-mount.ts';
import {
  isRoot,
  metadata,
  optionsFor,
  refused,
  restoreTo,
  snapshot,
  writtenBackup,
} from './restore-support.ts';

const simple = ['./', 'a/', 'a/one', 'two'];

test('a target that is not there is made, with what leads to it', async () => {
  await using work = await tempDirectory();
  const memory = await writtenBackup(simple);
  const target = join(work.path, 'x/y/z');
  const result = await restoreTo(memory, target);
  assert.equal(readFileSync(join(target, 'a/one'), 'utf8'), 'content of a/one');
  assert.deepEqual(
    { files: result.files, directories: result.directories, links: result.links, replaced: result.replaced },
    { files: 2, directories: 2, links: 0, replaced: null },
  );
  assert.deepEqual(readdirSync(join(work.path, 'x/y')), ['z']);
});

test('an empty target is used, a link to it is followed', async () => {
  await using work = await tempDirectory();
  const memory = await writtenBackup(simple);
  mkdirSync(join(work.path, 'real'));
  symlinkSync('real', join(work.path, 'link'));
  await restoreTo(memory, join(work.path, 'link'));
  assert.deepEqual(readdirSync(join(work.path, 'real')), ['a', 'two']);
  assert.deepEqual(readdirSync(work.path), ['link', 'real']);
  assert.equal(statSync(join(work.path, 'real')).mode & 0o7777, 0o755);
});

test('a target with something in it is refused; with force it is kept under another name', async () => {
  await using work = await tempDirectory();
  const memory = await writtenBackup(simple);
  const target = join(work.path, 'target');
  mkdirSync(target);
  writeFileSync(join(target, 'old'), 'precious');
  const before = await snapshot(work.path);
  await assert.rejects(
    restoreTo(memory, target),
    refused('restore_target_exists', /target is there already and is not empty/),
  );
  assert.deepEqual(await snapshot(work.path), before);
  for (const ending of ['', '-2']) {
    const { ino } = lstatSync(target);
    const { replaced } = await restoreTo(memory, target, { force: true });
    assert.equal(replaced, `${target}.holdfast-replaced-20261121T143005Z${ending}`);
    assert.equal(lstatSync(replaced).ino, ino);
    assert.deepEqual(readdirSync(target), ['a', 'two']);
  }
  assert.equal(readFileSync(`${target}.holdfast-replaced-20261121T143005Z/old`, 'utf8'), 'precious');
  assert.equal(readdirSync(work.path).length, 3);
});

test('without the helper, what is there is replaced by two renames', async (t) => {
  t.mock.method(PosixHelper, 'start', async () => null);
  await using work = await tempDirectory();
  const memory = await writtenBackup(simple);
  const target = join(work.path, 'target');
  mkdirSync(join(target, 'old'), { recursive: true });
  const { replaced } = await restoreTo(memory, target, { force: true });
  assert.deepEqual(readdirSync(replaced ?? ''), ['old']);
  assert.deepEqual(readdirSync(target), ['a', 'two']);
  const wanted = 1_700_000_000_123_456_789n;
  const off = statSync(join(target, 'two'), { bigint: true }).mtimeNs - wanted;
  assert.ok(off < 1000n && off > -1000n, `times are exact to a microsecond, not ${off} ns off`);
});

test('without the helper, extended attributes are missed with a warning', async (t) => {
  t.mock.method(PosixHelper, 'start', async () => null);
  await using work = await tempDirectory();
  const memory = await writtenBackup(simple);
  Object.assign(memory.entry('two').meta, { xattrs: { 'user.a': 'Yg==' } });
  const { warnings } = await restoreTo(memory, join(work.path, 'target'));
  assert.deepEqual(warnings, [
    'extended attributes of 1 path were not restored: that needs perl, which is not installed',
  ]);
});

test('attributes that cannot be set are a warning', async () => {
  await using work = await tempDirectory();
  const memory = await writtenBackup(simple);
  Object.assign(memory.entry('two').meta, { xattrs: { 'nonsense.a': 'Yg==', 'user.b': 'Yg==' } });
  const { warnings } = await restoreTo(memory, join(work.path, 'target'));
  assert.deepEqual(warnings, [
    'the extended attribute nonsense.a of 1 path could not be restored: the file system there does not have such attributes',
  ]);
});

test('what can be no target is refused', async () => {
  await using work = await tempDirectory();
  const memory = await writtenBackup(simple);
  writeFileSync(join(work.path, 'file'), '');
  symlinkSync('nowhere', join(work.path, 'dangling'));
  const before = await snapshot(work.path);
  const restore = (name: string) => restoreTo(memory, join(work.path, name), { force: true });
  await assert.rejects(restore('file'), refused('restore_target_unusable', /it is no directory/));
  await assert.rejects(restore('file/below'), refused('restore_target_unusable', /file is no directory/));
  await assert.rejects(restore('dangling'), refused('restore_target_unusable', /symbolic link to nothing/));
  await assert.rejects(
    restoreTo(memory, '/', { force: true }),
    refused('restore_target_unusable', /root of the file system/),
  );
  await assert.rejects(restore('long/'.repeat(900)), refused('restore_target_unusable', /longer than/));
  assert.deepEqual(await snapshot(work.path), before);
});

test('a plan changes nothing and counts everything', async () => {
  await using work = await tempDirectory();
  const memory = await writtenBackup([...simple, 'z -> two', 'zz => two', 'zzz => two']);
  const before = await snapshot(work.path);
  const { summary, needs } = await planFilesRestore(
    optionsFor(join(work.path, 'x')),
    memory.restoreContext(metadata),
  );
  assert.deepEqual(await snapshot(work.path), before);
  assert.deepEqual(summary, {
    kind: 'files',
    mode: 'create',
    target: join(work.path, 'x'),
    files: 2,
    directories: 2,
    links: 3,
    bytes: 'content of a/onecontent of two'.length,
    warnings: [],
  });
  assert.deepEqual(
    memory.entries.filter(needs).map(({ path }) => path),
    ['a/one', 'two'],
  );
});

test('a single file goes into the directory, new or there', async () => {
  await using work = await tempDirectory();
  const memory = await writtenBackup(['hosts']);
  await restoreTo(memory, join(work.path, 'new'));
  assert.deepEqual(readdirSync(join(work.path, 'new')), ['hosts']);
  assert.equal(statSync(join(work.path, 'new')).mode & 0o777, 0o777 & ~process.umask());
  mkdirSync(join(work.path, 'there'), { mode: 0o750 });
  const { ino } = statSync(join(work.path, 'there'));
  await restoreTo(memory, join(work.path, 'there'));
  assert.deepEqual(readdirSync(join(work.path, 'there')), ['hosts']);
  assert.deepEqual(
    [statSync(join(work.path, 'there')).ino, statSync(join(work.path, 'there')).mode & 0o777],
    [ino, 0o750],
  );
});

test('what a killed restore left is told, and left', async () => {
  await using work = await tempDirectory();
  const memory = await writtenBackup(simple);
  const left = join(work.path, 'target.holdfast-restoring-0a0b0c');
  mkdirSync(left);
  const { warnings } = await restoreTo(memory, join(work.path, 'target'));
  assert.equal(warnings.length, 1);
  assert.ok(warnings[0]?.startsWith(`${left} is left of a restore that was ended`));
  assert.ok(existsSync(left));
});

test(
  'an empty target whose parent cannot be written is filled where it is',
  { skip: isRoot && 'root writes everywhere' },
  async () => {
    await using work = await tempDirectory();
    const memory = await writtenBackup([...simple, 'shut/', 'shut/in']);
    Object.assign(memory.entry('shut').meta, { mode: 0o555 });
    const target = join(work.path, 'above/target');
    mkdirSync(target, { recursive: true });
    chmodSync(join(work.path, 'above'), 0o555);
    await restoreTo(memory, target);
    assert.deepEqual(readdirSync(target), ['a', 'shut', 'two']);
    assert.equal(statSync(join(target, 'shut')).mode & 0o777, 0o555);
    await assert.rejects(
      restoreTo(memory, target, { force: true }),
      refused('restore_target_unusable', /above cannot be written: permission denied/),
    );
    await assert.rejects(
      restoreTo(memory, join(work.path, 'above/new')),
      refused('restore_target_unusable', /above cannot be written: permission denied/),
    );
    chmodSync(join(work.path, 'above'), 0o755);
    chmodSync(join(target, 'shut'), 0o755);
  },
);

test(
  'an empty mounted file system is filled where it is; a full one is told in time or undone',
  { skip: !isRoot && 'only root mounts' },
  async () => {
    await using work = await tempDirectory();
    const memory = await writtenBackup([...simple]);
    const target = join(work.path, 'mounted');
    await using _mount = await mountSmall(target);
    await restoreTo(memory, target);
    assert.deepEqual(readdirSync(target), ['a', 'two']);
    assert.equal(statSync(target, { bigint: true }).mtimeNs, 1_700_000_000_123_456_789n);
    assert.equal(statSync(target).mode & 0o7777, 0o755);
    await assert.rejects(
      restoreTo(memory, target, { force: true }),
      refused('restore_target_unusable', /something is mounted there/),
    );
    const big = await writtenBackup(['./', ['big', Buffer.alloc(3_000_000, 7)]]);
    await assert.rejects(
      restoreTo(big, join(target, 'x')),
      refused('restore_target_unusable', /bytes are needed there/),
    );
    const before = await snapshot(target);
    for (const size of [30_000, 5_000_000]) {
      // Said to have holes, it is not known beforehand how much room it takes.
      const lines = Array.from(
        { length: Math.ceil(6_000_000 / size) },
        (_, index) => [`f${index}`, Buffer.alloc(size, 7)] as const,
      );
      const holes = await writtenBackup(['./', ...lines]);
      for (const entry of holes.entries.slice(1)) Object.assign(entry.meta, { sparse: true });
      await assert.rejects(
        restoreTo(holes, join(target, 'x')),
        refused('restore_write_failed', /mounted\/x\/f\d+: its disk is full; free some space/),
      );
      assert.deepEqual(await snapshot(target), before);
    }
  },
);
