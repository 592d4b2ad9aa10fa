import assert from 'node:assert/strict';
import { chmodSync, lstatSync, mkdirSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { directoryMetaSchema, fileMetaSchema, symlinkMetaSchema } from '../../src/sources/files/metadata.ts';
import { backUpFiles, filesOptions, pathsOf } from '../../testing/files-backup.ts';
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
