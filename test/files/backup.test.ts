import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  linkSync,
  lstatSync,
  mkdirSync,
  openSync,
  closeSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  truncateSync,
  utimesSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { test } from 'node:test';
import { pathText } from '../../src/kernel/byte-path.ts';
import {
  directoryMetaSchema,
  entryKinds,
  fileMetaSchema,
  hardlinkMetaSchema,
  symlinkMetaSchema,
} from '../../src/sources/files/metadata.ts';
import { PosixHelper } from '../../src/sources/files/posix-helper.ts';
import type { BackupContext } from '../../src/sources/port.ts';
import { patternedBytes } from '../../testing/bytes.ts';
import { backUpFiles, filesOptions, pathsOf } from '../../testing/files-backup.ts';
import { MemoryBackup } from '../../testing/memory-backup.ts';
import { passesOverRights } from '../../testing/privileges.ts';
import { tempDirectory } from '../../testing/temp.ts';

/** Makes directories and files; names that end in a slash are directories. */
function makeTree(top: string, tree: Readonly<Record<string, string | Uint8Array>>): void {
  for (const [name, content] of Object.entries(tree)) {
    const path = join(top, name);
    mkdirSync(name.endsWith('/') ? path : join(path, '..'), { recursive: true });
    if (!name.endsWith('/')) writeFileSync(path, content);
  }
}

test('directories, files and links, with what belongs to them, in the order of their names', async () => {
  await using directory = await tempDirectory();
  const top = directory.path;
  makeTree(top, { 'b/inner.txt': 'inner', 'b.txt': 'b', a: '', 'empty/': '' });
  symlinkSync('b/inner.txt', join(top, 'link'));
  symlinkSync('/nowhere at all', join(top, 'dangling'));
  chmodSync(join(top, 'b.txt'), 0o4751);
  utimesSync(join(top, 'b.txt'), 1, 1_600_000_000.25);
  const backedUp = await backUpFiles(filesOptions([top]));
  assert.deepEqual(pathsOf(backedUp), [
    './',
    'a',
    'b/',
    'b/inner.txt',
    'b.txt',
    'dangling',
    'empty/',
    'link',
  ]);
  const { memory } = backedUp;
  assert.equal(memory.content('b/inner.txt').toString(), 'inner');
  assert.deepEqual(memory.entry('a').stream, { size_bytes: 0, root: null, depth: 0 });
  const stats = lstatSync(join(top, 'b.txt'), { bigint: true });
  const { xattrs: _none, ...meta } = fileMetaSchema.parse(memory.entry('b.txt').meta);
  assert.deepEqual(meta, {
    mode: 0o4751,
    uid: Number(stats.uid),
    gid: Number(stats.gid),
    mtime: '1600000000250000000',
    ctime: String(stats.ctimeNs),
    inode: String(stats.ino),
  });
  assert.equal(symlinkMetaSchema.parse(memory.entry('link').meta).target, 'b/inner.txt');
  assert.equal(symlinkMetaSchema.parse(memory.entry('dangling').meta).target, '/nowhere at all');
  const topStats = lstatSync(top, { bigint: true });
  assert.equal(directoryMetaSchema.parse(memory.entry('.').meta).mtime, String(topStats.mtimeNs));
  assert.deepEqual(backedUp.metadata, {
    schema: 1,
    roots: [{ path: top, at: '.' }],
    files: 3,
    directories: 3,
    symlinks: 2,
    hardlinks: 0,
    bytes: 6,
    unchanged: 0,
    changed: 0,
    vanished: 0,
    unreadable: 0,
    left_out: 0,
    xattrs: backedUp.metadata.xattrs,
  });
  assert.deepEqual(backedUp.warnings, []);
  assert.equal(backedUp.incomplete, undefined);
  assert.equal(backedUp.bytesRead, 6);
  assert.equal(memory.outran, false);
});

test('names of any bytes come through, in the order of their bytes', async () => {
  await using directory = await tempDirectory();
  const names = ['\n', ' ', '%41', '-', 'A', 'a', '\\', 'é', '\uFFFD', '😀', '%']
    .map((name) => Buffer.from(name))
    .concat([Buffer.from([0xff, 0xfe]), Buffer.from([0x61, 0xc3]), Buffer.from([0x61, 0x80, 0x62])]);
  for (const name of names) writeFileSync(Buffer.concat([Buffer.from(`${directory.path}/`), name]), name);
  const { memory, entries } = await backUpFiles(filesOptions([directory.path]));
  const sorted = names.toSorted((one, other) => Buffer.compare(one, other));
  assert.deepEqual(
    entries.map(({ path }) => path),
    ['.', ...sorted.map((name) => pathText(name))],
  );
  for (const name of names) assert.deepEqual(memory.content(pathText(name)), name);
});

test('a file with several names is stored once, under the first of them that is in the backup', async () => {
  await using directory = await tempDirectory();
  const top = directory.path;
  makeTree(top, { 'b/one': 'shared', c: 'other', 'no.tmp': 'x' });
  linkSync(join(top, 'b/one'), join(top, 'b/two'));
  linkSync(join(top, 'b/one'), join(top, 'z'));
  linkSync(join(top, 'no.tmp'), join(top, 'yes'));
  const { memory, metadata } = await backUpFiles(filesOptions([top], { exclude: ['*.tmp'] }));
  assert.equal(memory.content('b/one').toString(), 'shared');
  for (const path of ['b/two', 'z']) {
    assert.equal(memory.entry(path).kind, entryKinds.hardlink);
    assert.equal(memory.entry(path).stream, null);
    assert.equal(hardlinkMetaSchema.parse(memory.entry(path).meta).target, 'b/one');
  }
  assert.equal(memory.entry('yes').kind, entryKinds.file);
  assert.equal(metadata.hardlinks, 2);
  assert.equal(metadata.bytes, 'shared'.length + 'other'.length + 1);
});

test('when the first name of a file is gone at its turn, the next one is the file', async () => {
  await using directory = await tempDirectory();
  const top = directory.path;
  makeTree(top, { one: 'shared' });
  for (const name of ['two', 'x']) linkSync(join(top, 'one'), join(top, name));
  const change = beforeFirstTask(() => rmSync(join(top, 'one')));
  const { memory, metadata } = await backUpFiles(filesOptions([top]), { change });
  assert.equal(memory.content('two').toString(), 'shared');
  assert.equal(hardlinkMetaSchema.parse(memory.entry('x').meta).target, 'two');
  assert.deepEqual([metadata.files, metadata.hardlinks, metadata.vanished], [1, 1, 1]);
});

test('names of a file whose first name is another file at its turn are read themselves', async () => {
  await using directory = await tempDirectory();
  const top = directory.path;
  makeTree(top, { one: 'shared', other: 'of no concern' });
  for (const name of ['two', 'x']) linkSync(join(top, 'one'), join(top, name));
  const replace = (): void => {
    writeFileSync(join(top, '.new'), 'quite another');
    renameSync(join(top, '.new'), join(top, 'one'));
  };
  const { memory, metadata } = await backUpFiles(filesOptions([top]), { change: beforeFirstTask(replace) });
  assert.equal(memory.content('one').toString(), 'quite another');
  assert.equal(memory.content('two').toString(), 'shared');
  assert.equal(hardlinkMetaSchema.parse(memory.entry('x').meta).target, 'two');
  assert.deepEqual([metadata.files, metadata.hardlinks], [3, 1]);
});

test('names of one file that all become others are each read', async () => {
  await using directory = await tempDirectory();
  const top = directory.path;
  makeTree(top, { one: 'shared', mine: 'of two', zzz: 'end' });
  linkSync(join(top, 'one'), join(top, 'two'));
  linkSync(join(top, 'mine'), join(top, 'mine too'));
  // Replaced by files that have several names as well.
  const replace = (): void => {
    renameSync(join(top, 'mine'), join(top, 'one'));
    rmSync(join(top, 'two'));
    writeFileSync(join(top, 'two'), 'new');
  };
  const { memory } = await backUpFiles(filesOptions([top]), { change: beforeFirstTask(replace) });
  assert.equal(memory.content('one').toString(), 'of two');
  assert.equal(memory.content('two').toString(), 'new');
  assert.equal(memory.content('mine too').toString(), 'of two');
});

test('many files with several names are remembered on disk', async () => {
  await using directory = await tempDirectory();
  const count = 300;
  mkdirSync(join(directory.path, 'a'));
  mkdirSync(join(directory.path, 'b'));
  for (let index = 0; index < count; index += 1) {
    writeFileSync(join(directory.path, `a/${index}`), `${index}`);
    linkSync(join(directory.path, `a/${index}`), join(directory.path, `b/${index}`));
  }
  const { memory, metadata } = await backUpFiles(filesOptions([directory.path], { heldInMemory: 64 }));
  assert.deepEqual([metadata.files, metadata.hardlinks], [count, count]);
  for (let index = 0; index < count; index += 1)
    assert.equal(hardlinkMetaSchema.parse(memory.entry(`b/${index}`).meta).target, `a/${index}`);
});

test('holes cost nothing, and what is between them is kept', async () => {
  await using directory = await tempDirectory();
  const path = join(directory.path, 'image');
  const size = 100 * 1024 * 1024 + 12_345;
  const file = openSync(path, 'w');
  const data = patternedBytes(3_000_000, 5);
  writeSync(file, data, 0, data.length, 40_000_000);
  writeSync(file, 'end', size - 3);
  closeSync(file);
  const { memory, metadata } = await backUpFiles(filesOptions([directory.path]));
  const { meta, stream } = memory.entry('image');
  assert.equal(fileMetaSchema.parse(meta).sparse, true);
  assert.equal(stream?.size_bytes, size);
  assert.equal(metadata.bytes, size);
  assert.ok(memory.content('image').equals(readFileSync(path)));
  const stored = [...memory.blobs.values()].reduce((sum, blob) => sum + blob.length, 0);
  assert.ok(stored < 7_000_000, `${stored} bytes of blobs`);
});

test('a file that grows while it is read is read again, kept as it was read last, and named', async () => {
  await using directory = await tempDirectory();
  const path = join(directory.path, 'log');
  writeFileSync(path, patternedBytes(1_500_000, 1));
  let writes = 0;
  const memoryHook = (): void => {
    writes += 1;
    writeFileSync(path, 'more', { flag: 'a' });
  };
  const { memory, metadata, warnings, incomplete } = await backUpWith(directory.path, memoryHook);
  assert.ok(writes >= 3);
  const content = memory.content('log');
  assert.equal(memory.entry('log').stream?.size_bytes, content.length);
  assert.ok(content.length > 1_500_000);
  assert.ok(content.equals(readFileSync(path).subarray(0, content.length)));
  assert.equal(fileMetaSchema.parse(memory.entry('log').meta).changed, true);
  assert.equal(metadata.changed, 1);
  assert.match(warnings.join(), /log changed while it was read/);
  assert.equal(incomplete, undefined);
});

test('a file that shrinks while it is read comes to an end', async () => {
  await using directory = await tempDirectory();
  const path = join(directory.path, 'log');
  let size = 3_000_000;
  writeFileSync(path, patternedBytes(size, 1));
  const shrink = (): void => truncateSync(path, (size = Math.max(0, size - 700_000)));
  const { memory } = await backUpWith(directory.path, shrink);
  const { stream } = memory.entry('log');
  assert.equal(stream?.size_bytes, memory.content('log').length);
  assert.ok(stream.size_bytes < 3_000_000);
});

test('a file that was changed once is read again and is then as it should be', async () => {
  await using directory = await tempDirectory();
  const path = join(directory.path, 'log');
  writeFileSync(path, patternedBytes(1_500_000, 1));
  let changed = false;
  const { memory, warnings } = await backUpWith(directory.path, () => {
    if (!changed) writeFileSync(path, 'more', { flag: 'a' });
    changed = true;
  });
  assert.ok(memory.content('log').equals(readFileSync(path)));
  assert.equal(memory.entry('log').meta['changed'], undefined);
  assert.deepEqual(warnings, []);
});

test('a file that was changed right before it is read is named, unless it comes to rest', async () => {
  await using directory = await tempDirectory();
  const top = directory.path;
  makeTree(top, { small: 'x', large: patternedBytes(1_500_000, 1), empty: '' });
  const ages = [
    [5, 0],
    [-1500, 3],
    [150, 0],
    // Of a clock that was set back: nothing to wait for.
    [-60_000, 0],
  ] as const;
  for (const [ageMs, changed] of ages) {
    const now = (): number => lstatSync(join(top, 'empty')).ctimeMs + ageMs;
    const { memory, metadata, warnings } = await backUpFiles(filesOptions([top], { now }));
    assert.deepEqual([ageMs, metadata.changed, warnings.length], [ageMs, changed, changed]);
    assert.equal(memory.entry('small').meta['changed'], changed > 0 ? true : undefined);
    assert.equal(memory.content('small').toString(), 'x');
    assert.ok(memory.content('large').equals(readFileSync(join(top, 'large'))));
  }
});

test('what is gone, or something else, at its turn is named and not in the backup', async () => {
  await using directory = await tempDirectory();
  const top = directory.path;
  makeTree(top, { gone: 'x', link: 'x', pipe: 'x', directory: 'x', stays: 'x' });
  const change = beforeFirstTask(() => {
    for (const name of ['gone', 'link', 'pipe', 'directory']) rmSync(join(top, name));
    symlinkSync('stays', join(top, 'link'));
    execFileSync('mkfifo', [join(top, 'pipe')]);
    mkdirSync(join(top, 'directory'));
  });
  const backedUp = await backUpFiles(filesOptions([top]), { change });
  assert.deepEqual(pathsOf(backedUp), ['./', 'stays']);
  assert.equal(backedUp.metadata.vanished, 4);
  assert.equal(backedUp.incomplete, undefined);
  assert.match(backedUp.warnings.join('\n'), /gone is not in the backup: it was gone/);
  assert.equal(backedUp.warnings.length, 4);
});

test('a file that is replaced by a new one is read as it is then', async () => {
  await using directory = await tempDirectory();
  const path = join(directory.path, 'file');
  writeFileSync(path, 'before');
  const change = beforeFirstTask(() => {
    writeFileSync(`${directory.path}.new`, 'quite another');
    renameSync(`${directory.path}.new`, path);
  });
  const { memory } = await backUpFiles(filesOptions([directory.path]), { change });
  assert.equal(memory.content('file').toString(), 'quite another');
  const meta = fileMetaSchema.parse(memory.entry('file').meta);
  assert.equal(meta.inode, String(lstatSync(path, { bigint: true }).ino));
});

test('what may not be read is named, and the backup is incomplete', async (context) => {
  if (passesOverRights()) return context.skip('root may read everything');
  await using directory = await tempDirectory();
  const top = directory.path;
  makeTree(top, { secret: 'x', 'closed/inside': 'x', open: 'x' });
  chmodSync(join(top, 'secret'), 0);
  chmodSync(join(top, 'closed'), 0);
  const backedUp = await backUpFiles(filesOptions([top]));
  chmodSync(join(top, 'closed'), 0o700);
  assert.deepEqual(pathsOf(backedUp), ['./', 'open']);
  assert.equal(backedUp.metadata.unreadable, 2);
  assert.equal(backedUp.incomplete, '2 files or directories could not be read');
  assert.match(backedUp.warnings.join('\n'), /secret is not in the backup: it could not be read \(EACCES\)/);
});

test('a path too long for the system is named, and the backup is incomplete', async () => {
  await using directory = await tempDirectory();
  const part = 'x'.repeat(250);
  const makeDeep = `for (1..17) { mkdir "${part}" or die; chdir "${part}" or die } open F, ">file" or die`;
  execFileSync('perl', ['-e', makeDeep], { cwd: directory.path });
  try {
    const backedUp = await backUpFiles(filesOptions([directory.path]));
    assert.equal(backedUp.metadata.unreadable, 1);
    assert.equal(backedUp.incomplete, '1 file or directory could not be read');
    const [warning = ''] = backedUp.warnings;
    assert.ok(warning.startsWith(join(directory.path, part.slice(0, 100))), warning);
    assert.match(
      warning,
      /…x+\S* \(\d{4} characters\) is not in the backup: it could not be read \(ENAMETOOLONG\)$/,
    );
    assert.ok(warning.length < 500, warning);
    assert.ok(backedUp.metadata.directories > 14);
  } finally {
    execFileSync('rm', ['-rf', part], { cwd: directory.path });
  }
});

test('sockets and pipes are named and left out, and no pipe is opened', async () => {
  await using directory = await tempDirectory();
  execFileSync('mkfifo', [join(directory.path, 'pipe')]);
  writeFileSync(join(directory.path, 'file'), 'x');
  const server = createServer();
  await new Promise<void>((resolve) => void server.listen(join(directory.path, 'socket'), resolve));
  const backedUp = await backUpFiles(filesOptions([directory.path]));
  await new Promise((resolve) => void server.close(resolve));
  assert.deepEqual(pathsOf(backedUp), ['./', 'file']);
  assert.equal(backedUp.metadata.left_out, 2);
  assert.equal(backedUp.incomplete, undefined);
  assert.match(backedUp.warnings.join('\n'), /pipe is not in the backup: it is a pipe/);
  assert.match(backedUp.warnings.join('\n'), /socket is not in the backup: it is a socket/);
});

test('of many things with warnings the first are named and the others counted', async () => {
  await using directory = await tempDirectory();
  const names = Array.from({ length: 80 }, (_, index) => join(directory.path, `pipe${index}`));
  execFileSync('mkfifo', names);
  const { warnings, metadata } = await backUpFiles(filesOptions([directory.path]));
  assert.equal(metadata.left_out, 80);
  assert.equal(warnings.length, 51);
  assert.equal(warnings.at(-1), 'and 30 more like these; in all: 80 sockets, pipes and devices');
});

test('several paths each go under their names, made different where they are the same', async () => {
  await using directory = await tempDirectory();
  const top = directory.path;
  makeTree(top, { 'x/data/f': '1', 'y/data/f': '2', 'single.txt': '3' });
  const paths = ['y/data', 'x/data/', 'single.txt'].map((path) => join(top, path));
  const backedUp = await backUpFiles(filesOptions(paths));
  assert.deepEqual(pathsOf(backedUp), ['data/', 'data/f', 'data-2/', 'data-2/f', 'single.txt']);
  assert.equal(backedUp.memory.content('data/f').toString(), '2');
  assert.deepEqual(backedUp.metadata.roots, [
    { path: join(top, 'y/data'), at: 'data' },
    { path: join(top, 'x/data'), at: 'data-2' },
    { path: join(top, 'single.txt'), at: 'single.txt' },
  ]);
});

test('a single file, and a path that is a link to a directory', async () => {
  await using directory = await tempDirectory();
  const top = directory.path;
  makeTree(top, { 'real/f': '1' });
  symlinkSync('real', join(top, 'link'));
  assert.deepEqual(pathsOf(await backUpFiles(filesOptions([join(top, 'real/f')]))), ['f']);
  const through = await backUpFiles(filesOptions([join(top, 'link')]));
  assert.deepEqual(pathsOf(through), ['./', 'f']);
  assert.deepEqual(through.metadata.roots, [{ path: join(top, 'link'), at: '.' }]);
});

test('paths that are missing are named; without any there is no backup', async () => {
  await using directory = await tempDirectory();
  const top = directory.path;
  makeTree(top, { 'here/f': '1' });
  const [here, missing] = ['here', 'missing'].map((name) => join(top, name)) as [string, string];
  const backedUp = await backUpFiles(filesOptions([here, missing]));
  assert.deepEqual(pathsOf(backedUp), ['here/', 'here/f']);
  assert.equal(backedUp.incomplete, `1 of 2 paths could not be read: ${missing}`);
  assert.deepEqual(backedUp.warnings, [`${missing} is not in the backup: no such file or directory`]);
  for (const [paths, told] of [
    [[missing], /^nothing to back up: its only path cannot be read; /],
    [[missing, `${missing}2`], /^nothing to back up: none of its 2 paths can be read; /],
  ] as const)
    await assert.rejects(backUpFiles(filesOptions([...paths])), {
      errorName: 'files_paths_missing',
      message: told,
    });
});

test('paths of which one lies in another are refused, and one given twice counts once', async () => {
  await using directory = await tempDirectory();
  const top = directory.path;
  makeTree(top, { 'a/b/f': '1', 'ab/f': '2' });
  symlinkSync('a/b', join(top, 'link'));
  const path = (name: string): string => join(top, name);
  for (const paths of [
    ['a', 'a/b'],
    ['link', 'a'],
    ['link', 'a/b'],
  ])
    await assert.rejects(backUpFiles(filesOptions(paths.map(path))), { errorName: 'files_paths_overlap' });
  assert.deepEqual(pathsOf(await backUpFiles(filesOptions([path('a/b'), path('a/b')]))), ['./', 'f']);
  assert.equal((await backUpFiles(filesOptions([path('a'), path('ab')]))).metadata.files, 2);
});

test('a repository of backups in the tree is left out', async () => {
  await using directory = await tempDirectory();
  makeTree(directory.path, {
    'backups/holdfast.json': '{ "holdfast": "repository", "format": 1 }',
    'backups/packs/ab/abcd': 'x',
    'not/holdfast.json': '{ "holdfast": "something else" }',
    'not/packs/x': 'x',
    'fresh/holdfast.json': '{ "holdfast": "repository" }',
  });
  const backedUp = await backUpFiles(filesOptions([directory.path]));
  assert.deepEqual(pathsOf(backedUp), ['./', 'not/', 'not/holdfast.json', 'not/packs/', 'not/packs/x']);
  for (const name of ['backups', 'fresh'])
    assert.match(backedUp.warnings.join(), new RegExp(`${name} is not in the backup: it is a repository`));
});

test('of a cache only the mark is kept, when that is wished', async () => {
  await using directory = await tempDirectory();
  makeTree(directory.path, {
    'cache/CACHEDIR.TAG': 'Signature: 8a477f597d28d172789f06886806bc55\n# a comment',
    'cache/sub/x': 'x',
    'other/CACHEDIR.TAG': 'no signature',
    'other/x': 'x',
  });
  const backedUp = await backUpFiles(filesOptions([directory.path], { excludeCaches: true }));
  const kept = ['./', 'cache/', 'cache/CACHEDIR.TAG', 'other/', 'other/CACHEDIR.TAG', 'other/x'];
  assert.deepEqual(pathsOf(backedUp), kept);
  assert.equal((await backUpFiles(filesOptions([directory.path]))).metadata.files, 4);
});

test('what the kernel makes up is not read', async (context) => {
  if (process.platform !== 'linux') return context.skip('needs /proc');
  const backedUp = await backUpFiles(filesOptions(['/proc/self']));
  assert.deepEqual(pathsOf(backedUp), ['./']);
  assert.match(backedUp.warnings.join(), /the kernel makes it up \(proc\)/);
});

test('extended attributes of files, directories and links are kept', async (context) => {
  await using helper = await PosixHelper.start(new AbortController().signal);
  if (helper === null) return context.skip('needs perl on Linux (x86_64 or aarch64)');
  await using directory = await tempDirectory();
  const top = directory.path;
  makeTree(top, { 'd/f': 'x', plain: 'x' });
  for (const name of ['d', 'd/f'])
    await helper.setXattrs(Buffer.from(join(top, name)), { 'user.z': 'eg==', 'user.a': 'AP8=' });
  const { memory, metadata } = await backUpFiles(filesOptions([top], { xattrs: 'on' }));
  assert.equal(metadata.xattrs, true);
  for (const name of ['d', 'd/f']) {
    assert.deepEqual(memory.entry(name).meta['xattrs'], { 'user.a': 'AP8=', 'user.z': 'eg==' });
  }
  assert.equal('xattrs' in memory.entry('plain').meta, false);
  const without = await backUpFiles(filesOptions([top], { xattrs: 'off' }));
  assert.equal(without.metadata.xattrs, false);
  assert.equal('xattrs' in without.memory.entry('d/f').meta, false);
});

test('an abort in the middle ends the backup with its reason', async () => {
  await using directory = await tempDirectory();
  for (let index = 0; index < 20; index += 1)
    writeFileSync(join(directory.path, `${index}`), patternedBytes(600_000, index));
  const controller = new AbortController();
  const reason = new Error('enough');
  const change = beforeFirstTask(() => controller.abort(reason));
  await assert.rejects(
    backUpFiles(filesOptions([directory.path]), { change, signal: controller.signal }),
    /enough/,
  );
  await assert.rejects(
    backUpFiles(filesOptions([directory.path]), { signal: AbortSignal.abort(reason) }),
    /enough/,
  );
});

test('a failing store ends the backup with its error', async () => {
  await using directory = await tempDirectory();
  for (let index = 0; index < 2000; index += 1) writeFileSync(join(directory.path, `${index}`), 'x');
  const change = beforeFirstTask(() => {
    throw new Error('no room');
  });
  await assert.rejects(backUpFiles(filesOptions([directory.path]), { change }), /no room/);
});

/** Does something after the files were found, before any is read. */
function beforeFirstTask(work: () => void): (context: BackupContext) => BackupContext {
  let done = false;
  return (context) => ({
    ...context,
    run: async (module, input, options) => {
      if (!done) {
        done = true;
        work();
      }
      return await context.run(module, input, options);
    },
  });
}

/** Backs up a directory, doing something each time a piece of a large file has been read. */
async function backUpWith(path: string, work: () => void) {
  const memory = new MemoryBackup();
  memory.interrupt = work;
  return await backUpFiles(filesOptions([path]), { memory });
}
