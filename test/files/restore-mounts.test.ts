import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { isMountPoint, mountPoints, mountWithin } from '../../src/sources/files/restore/mounts.ts';
import { planFilesRestore } from '../../src/sources/files/restore/restore.ts';
import { tempDirectory } from '../../testing/temp.ts';
import { mountSmall } from '../storage/small-mount.ts';
import {
  isRoot,
  metadata,
  optionsFor,
  refused,
  restoreTo,
  run,
  snapshot,
  writtenBackup,
} from './restore-support.ts';

const tree = ['./', 'a', 'd/', 'd/e/', 'd/e/in'];
const skip = !isRoot && 'only root mounts';

test('nothing takes the place of a directory with a disk mounted in it', { skip }, async () => {
  await using work = await tempDirectory();
  const target = join(work.path, 'the target');
  const point = join(target, 'd/e/disk');
  await using mount = await mountSmall(point);
  writeFileSync(join(point, 'p'), 'precious');
  writeFileSync(join(target, 'a'), 'old');
  const before = await snapshot(work.path);
  const memory = await writtenBackup(tree);
  const restore = (only: readonly string[]) => restoreTo(memory, target, { force: true, only });
  const mounted = refused('restore_target_unusable', /mounted at \S+the target\/d\/e\/disk, and .*umount/);
  for (const only of [[], ['d'], ['d/e'], ['a', 'd']]) {
    const options = optionsFor(target, { force: true, only });
    await assert.rejects(planFilesRestore(options, memory.restoreContext(metadata)), mounted);
    await assert.rejects(restore(only), mounted);
    assert.deepEqual(await snapshot(work.path), before);
  }
  // Beside it there is nothing to be afraid of.
  await restore(['a', 'd/e/in']);
  assert.equal(readFileSync(join(point, 'p'), 'utf8'), 'precious');
  assert.equal(readFileSync(join(target, 'd/e/in'), 'utf8'), 'content of d/e/in');
  await mount.unmount();
  await restore([]);
});

test('a directory mounted from the same file system counts, and so does a file', { skip }, async () => {
  await using work = await tempDirectory();
  const memory = await writtenBackup(tree);
  for (const kind of ['directory', 'file']) {
    const target = join(work.path, kind);
    const [source, point] = [join(work.path, `${kind} elsewhere`), join(target, 'd')];
    mkdirSync(target);
    for (const path of [source, point])
      if (kind === 'file') writeFileSync(path, path);
      else mkdirSync(path);
    await run('mount', ['--bind', source, point]);
    try {
      for (const only of [[], ['d']])
        await assert.rejects(
          restoreTo(memory, target, { force: true, only }),
          refused('restore_target_unusable', /something is mounted at/),
        );
      if (kind === 'directory')
        await assert.rejects(
          restoreTo(memory, target, { force: true, only: ['d/e'] }),
          refused('restore_target_unusable', /d is another file system/),
        );
    } finally {
      await run('umount', [point]);
    }
  }
});

test('what is mounted while a restore is written is seen before it takes the place', { skip }, async () => {
  await using work = await tempDirectory();
  const target = join(work.path, 'target');
  mkdirSync(join(target, 'd'), { recursive: true });
  const before = await snapshot(work.path);
  const memory = await writtenBackup(tree);
  for (const only of [[], ['a', 'd']]) {
    await using stack = new AsyncDisposableStack();
    const mounting = refused('restore_target_unusable', /mounted at \S+target\/d/);
    let mounted: Promise<unknown> | undefined;
    const restoring = restoreTo(memory, target, { force: true, only }, (context) => ({
      ...context,
      readTogether: async (streams) => {
        mounted ??= mountSmall(join(target, 'd')).then((mount) => stack.use(mount));
        await mounted;
        return await context.readTogether(streams);
      },
    }));
    await assert.rejects(restoring, mounting);
    await stack.disposeAsync();
    assert.deepEqual(await snapshot(work.path), before);
  }
});

test('without a table of mounts, what is on another device is found', { skip }, async () => {
  await using work = await tempDirectory();
  const point = join(work.path, 'a/b/disk');
  await using _mount = await mountSmall(point);
  const points = await mountPoints(work.path, join(work.path, 'no table'));
  assert.equal(points, undefined);
  for (const [path, found] of [
    ['a', point],
    ['a/b/disk', point],
  ] as const)
    assert.equal((await mountWithin(Buffer.from(join(work.path, path)), points))?.toString(), found);
  mkdirSync(join(work.path, 'c/d'), { recursive: true });
  symlinkSync(point, join(work.path, 'c/link'));
  assert.equal(await mountWithin(Buffer.from(join(work.path, 'c')), points), undefined);
});

test('the table of mounts is read byte for byte', async () => {
  await using work = await tempDirectory();
  const table = join(work.path, 'table');
  const name = Buffer.concat([Buffer.from(join(work.path, 'a b\\\xe4'), 'latin1')]);
  mkdirSync(name);
  const line = (point: string): string => `36 35 98:0 / ${point} rw,noatime - ext3 /dev/root rw\n`;
  const escaped = String.raw`${work.path}/a\040b\134` + '\xe4';
  const lines = ['/', work.path, escaped, `${work.path}/gone`, `${work.path}-other`].map(line).join('');
  writeFileSync(table, Buffer.from(lines, 'latin1'));
  const points = await mountPoints(work.path, table);
  assert.deepEqual(points, new Set([work.path, name.toString('latin1'), `${work.path}/gone`]));
  assert.deepEqual(await mountWithin(name, points), name);
  assert.ok(isMountPoint(name, points));
  // Something else is mounted over that one.
  assert.equal(await mountWithin(Buffer.from(join(work.path, 'gone')), points), undefined);
  assert.equal(await mountWithin(Buffer.from(join(work.path, 'a')), points), undefined);
});

test('without force nothing makes way, whatever is mounted', { skip }, async () => {
  await using work = await tempDirectory();
  const target = join(work.path, 'target');
  await using _mount = await mountSmall(join(target, 'disk'));
  const memory = await writtenBackup(tree);
  const context = memory.restoreContext(metadata);
  const { summary } = await planFilesRestore(optionsFor(target, { only: ['a'] }), context);
  assert.equal(summary.mode, 'add');
  await assert.rejects(restoreTo(memory, target), refused('restore_target_exists', /is not empty/));
});
