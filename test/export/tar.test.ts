import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdir, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { tarEnd, tarHeader, type TarMember } from '../../src/sources/files/tar/writer.ts';
import { comparePaths } from '../../src/sources/files/path-order.ts';
import { importTarFile } from '../../src/sources/files/tar/import.ts';
import { MemoryBackup } from '../../testing/memory-backup.ts';
import { tempDirectory, type TempDirectory } from '../../testing/temp.ts';
import { failing } from '../postgres/support.ts';
import { describeTree, exported, imported, makeTree } from './tar-trees.ts';
import { shell } from './support.ts';

const base: TarMember = {
  type: 'file',
  name: Buffer.from('file'),
  mode: 0o644,
  uid: 0,
  gid: 0,
  mtime: 0n,
  size: 0,
};

/** False when it is there, else a line saying why the test is skipped; with `CI` set it has to be there. */
function withoutBsdtar(): string | false {
  if ((process.env['CI'] ?? '') !== '') return false;
  return spawnSync('bsdtar', ['--version']).status === 0 ? false : 'skipped: there is no bsdtar here';
}

describe('tar files', () => {
  let directory: TempDirectory;
  let described: string;
  const at = (...names: string[]): string => join(directory.path, ...names);

  before(async () => {
    directory = await tempDirectory();
    await makeTree(directory.path, 'tree');
    described = await describeTree(at('tree'));
    assert.match(described, /user\.note|holes/);
  });
  after(() => directory[Symbol.asyncDispose]());

  const all = '--xattrs --xattrs-include="*"';
  const formats = {
    posix: `--format=posix ${all}`,
    'posix with holes': `--format=posix --sparse ${all}`,
    'posix in the order of the disk, names with dots': `--format=posix --sort=none ${all}`,
  };
  for (const [name, options] of Object.entries(formats)) {
    it(`of GNU tar (${name}) are read, and written so that GNU tar gives the same tree`, async () => {
      await shell(`tar ${options} -C tree -cf in.tar .`, directory.path);
      const backup = await imported(at('in.tar'), false, directory.path);
      assert.deepEqual(backup.warnings, []);
      const paths = backup.memory.entries.map(({ path }) => path);
      assert.deepEqual(paths, paths.toSorted(comparePaths), 'entries have their order');
      await writeFile(at('out.tar'), await exported(backup));
      await shell(`rm -rf out; mkdir out; tar -C out ${all} --numeric-owner -xpf out.tar`, directory.path);
      assert.equal(await describeTree(at('out')), described);
    });
  }

  const skip = withoutBsdtar();
  it('are opened by bsdtar, and those of bsdtar are read', { skip }, async () => {
    // Fractions of seconds before 1970 mean something else to bsdtar than to GNU tar and to us; and bsdtar sets the time
    // of the place itself before it writes into it, with its own files, too.
    const alike = (tree: string): Promise<string> =>
      shell(
        `touch -r tree ${tree}; touch -r tree/plain/file ${tree}/plain/-dash; touch -d 2020-02-02Z ${tree}/plain ${tree}`,
        directory.path,
      );
    await shell('cp -a tree tree-bsd', directory.path);
    await alike('tree-bsd');
    const wanted = await describeTree(at('tree-bsd'));
    await shell('bsdtar --format=pax --xattrs -C tree-bsd -cf in.tar .', directory.path);
    const backup = await imported(at('in.tar'), false, directory.path);
    assert.deepEqual(backup.warnings, []);
    await writeFile(at('out.tar'), await exported(backup));
    for (const tar of ['bsdtar', `tar ${all}`]) {
      await shell(`rm -rf out; mkdir out; ${tar} -C out --numeric-owner -xpf out.tar`, directory.path);
      await alike('out');
      assert.equal(await describeTree(at('out')), wanted, tar);
    }
  });

  it('keep holes as holes', async () => {
    await shell(`tar --format=posix --sparse -C tree -cf in.tar holes allholes mixed`, directory.path);
    const out = await exported(await imported(at('in.tar'), false, directory.path));
    assert.ok(out.length < 2_000_000, `${out.length} bytes`);
    await writeFile(at('out.tar'), out);
    await shell(
      `rm -rf out; mkdir out; tar -C out -xpf out.tar; cd out; cmp holes ../tree/holes`,
      directory.path,
    );
    assert.ok(Number(await shell('du -k out/holes | cut -f1', directory.path)) < 2000);
  });

  it('of other formats are read as far as these go', async () => {
    for (const format of ['gnu', 'oldgnu', 'ustar', 'v7']) {
      const names = format === 'ustar' || format === 'v7' ? 'plain empty big link' : '.';
      const options = `--format=${format} --exclude=./holes --exclude=./allholes`;
      await shell(`tar ${options} -C tree -czf in.tgz ${names} 2>/dev/null || true`, directory.path);
      const backup = await imported(at('in.tgz'), true, directory.path);
      assert.equal(
        backup.memory.content('big').toString(),
        await shell('cat tree/big', directory.path),
        format,
      );
      assert.deepEqual(backup.memory.entry('plain/new%0Aline').meta['mode'], 0o644);
    }
  });

  it('hold what was chosen, and the content of a link whose first name was not', async () => {
    await shell(`tar --format=posix -C tree -cf in.tar .`, directory.path);
    const backup = await imported(at('in.tar'), false, directory.path);
    await writeFile(at('out.tar'), await exported(backup, ['plain']));
    await shell('rm -rf out; mkdir out; tar -C out -xpf out.tar', directory.path);
    assert.equal(
      await shell('ls out; cat out/plain/file; stat -c %h out/plain/file', directory.path),
      'plain\ncontent\n2\n',
    );
    await assert.rejects(exported(backup, ['nowhere at all']), failing('restore_selects_nothing'));
  });

  it('may have sizes, owners and times beyond the fields of a header', async () => {
    const huge = tarHeader({ ...base, size: 9 * 2 ** 30, uid: 5_000_000, mtime: 8_589_934_592_000_000_001n });
    await writeFile(at('huge.tar'), huge);
    const listed = await shell(
      'TZ=UTC tar --numeric-owner --full-time -tvf huge.tar 2>/dev/null || true',
      directory.path,
    );
    assert.match(listed, /5000000\/0\s+9663676416 2242-03-16 12:56:32\.000000001/);
  });

  it('that are cut short anywhere are refused, and so are changed headers', async () => {
    await shell('tar --format=posix -C tree -cf whole.tar plain; gzip -k whole.tar', directory.path);
    const size = Number(await shell('stat -c %s whole.tar', directory.path));
    for (let cut = 100; cut < size - 10_240; cut += 3331) {
      await shell(`head -c ${cut} whole.tar > cut.tar`, directory.path);
      await assert.rejects(
        imported(at('cut.tar'), false, directory.path),
        failing('import_damaged'),
        String(cut),
      );
    }
    await shell('head -c -20 whole.tar.gz > cut.tgz', directory.path);
    await assert.rejects(imported(at('cut.tgz'), true, directory.path), failing('import_damaged'));
    await shell(
      'cp whole.tar bad.tar; printf Q | dd of=bad.tar bs=1 seek=1 conv=notrunc status=none',
      directory.path,
    );
    await assert.rejects(imported(at('bad.tar'), false, directory.path), failing('import_damaged'));
  });

  it('with names that lead elsewhere are refused', async () => {
    const inside = { ...base, name: Buffer.from('a/b') };
    const link = { ...base, type: 'symlink', name: Buffer.from('a'), link: Buffer.from('/etc') } as const;
    const hard = { ...base, type: 'hardlink', link: Buffer.from('/etc/passwd') } as const;
    const hostile: TarMember[][] = [
      [{ ...base, name: Buffer.from('../up') }],
      [{ ...base, name: Buffer.from('a/../../up') }],
      [{ ...base, name: Buffer.from('/etc/passwd') }],
      [link, inside],
      [inside, link],
      [{ ...base, name: Buffer.from('a') }, inside],
      [hard],
      [{ ...hard, link: Buffer.from('not/there') }],
    ];
    for (const members of hostile) {
      await writeFile(at('hostile.tar'), Buffer.concat([...members.map(tarHeader), tarEnd]));
      await assert.rejects(imported(at('hostile.tar'), false, directory.path), failing('import_unsupported'));
    }
  });

  it('may say a name twice: the last one counts, as with tar', async () => {
    await mkdir(at('twice'));
    await shell(
      `echo one > f; ln f g; tar -cf ../twice.tar f g; rm f g; echo two > f; tar -rf ../twice.tar f; cd ..; mkdir twice-out; tar -C twice-out -xf twice.tar`,
      at('twice'),
    );
    const { memory } = await imported(at('twice.tar'), false, directory.path);
    for (const name of ['f', 'g'])
      assert.equal(memory.content(name).toString(), await shell(`cat twice-out/${name}`, directory.path));
  });

  it('leave devices and pipes out, with a warning', async () => {
    await shell('mkfifo pipe; tar -cf pipe.tar pipe', directory.path);
    const { warnings, metadata, memory } = await imported(at('pipe.tar'), false, directory.path);
    assert.equal(warnings.length, 1);
    assert.equal(metadata['left_out'], 1);
    assert.deepEqual(
      memory.entries.map(({ path }) => path),
      ['.'],
    );
  });

  it('whose reading is stopped leave nothing behind, nor does one that is refused', async () => {
    await mkdir(at('temporary'));
    await shell('tar -C tree -cf in.tar big random plain', directory.path);
    const controller = new AbortController();
    const memory = new MemoryBackup();
    memory.interrupt = () => controller.abort(new Error('stopped'));
    const options = {
      path: at('in.tar'),
      gzip: false,
      shown: 'in.tar',
      temporaryDirectory: at('temporary'),
      now: Date.now,
    };
    await assert.rejects(
      importTarFile(options, memory.backupContext({ signal: controller.signal })),
      /stopped/,
    );
    await shell('head -c 100000 in.tar > cut.tar', directory.path);
    await assert.rejects(imported(at('cut.tar'), false, at('temporary')), failing('import_damaged'));
    assert.deepEqual(await readdir(at('temporary')), []);
  });
});
