import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { closeSync, mkdirSync, openSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import fc from 'fast-check';
import { pathText } from '../../src/kernel/byte-path.ts';
import { comparePaths } from '../../src/sources/files/path-order.ts';
import { scan } from '../../src/sources/files/backup/scan.ts';
import { filesOptions } from '../../testing/files-backup.ts';
import { tempDirectory } from '../../testing/temp.ts';

function scanned(top: string, more: { oneFileSystem?: boolean; namesInMemory?: number } = {}): string[] {
  const roots = [{ given: top, path: pathText(Buffer.from(top)), at: '.', isDirectory: true }];
  const options = { ...filesOptions([]), roots, namesInMemory: 100_000, ...more };
  return [...scan(options)].flatMap(({ found }) => found.map(({ path }) => path));
}

test('a directory with more names than are held in memory comes in the same order', async () => {
  await using directory = await tempDirectory();
  for (const name of ['many', 'many/inner', 'z']) mkdirSync(join(directory.path, name));
  for (let index = 0; index < 3000; index += 1)
    closeSync(openSync(join(directory.path, index % 3 === 0 ? 'many/inner' : 'many', `${index}`), 'w'));
  const held = scanned(directory.path);
  assert.equal(held.length, 3004);
  assert.deepEqual(scanned(directory.path, { namesInMemory: 100 }), held);
  assert.deepEqual(held.toSorted(comparePaths), held);
});

test('110,000 names in one directory are sorted on disk by default', async () => {
  await using directory = await tempDirectory();
  const script = 'for my $n (0..109_999) { open my $f, ">", "file $n" or die }';
  execFileSync('perl', ['-e', script], { cwd: directory.path });
  const found = scanned(directory.path);
  assert.equal(found.length, 110_001);
  assert.deepEqual(found.slice(0, 4), ['.', 'file 0', 'file 1', 'file 10']);
  assert.equal(found.at(-1), 'file 99999');
});

test('the order of paths is that of a walk, whatever bytes their names have', () => {
  const name = fc
    .uint8Array({ minLength: 1, maxLength: 3 })
    .filter((bytes) => !bytes.includes(0) && !bytes.includes(0x2f));
  const path = fc.array(name, { minLength: 1, maxLength: 4 });
  const compareNames = (one: Uint8Array[], other: Uint8Array[]): number => {
    const [first, ...rest] = one;
    const [otherFirst, ...otherRest] = other;
    if (first === undefined || otherFirst === undefined) return one.length - other.length;
    return Buffer.compare(first, otherFirst) || compareNames(rest, otherRest);
  };
  const text = (names: Uint8Array[]): string => names.map((bytes) => pathText(bytes)).join('/');
  fc.assert(
    fc.property(path, path, (one, other) => {
      // What is called `.` is nothing but the top, which comes before all.
      fc.pre(text(one) !== '.' && text(other) !== '.');
      assert.equal(Math.sign(comparePaths(text(one), text(other))), Math.sign(compareNames(one, other)));
      assert.equal(comparePaths('.', text(one)), -1);
    }),
    { numRuns: 2000 },
  );
});

test('what is mounted below is not entered when that is wished', async (context) => {
  await using directory = await tempDirectory();
  mkdirSync(join(directory.path, 'mounted'));
  writeFileSync(join(directory.path, 'file'), '');
  // A mount of its own for nobody else: it is gone with the process.
  const script = `mount -t tmpfs none mounted && touch mounted/inside && exec "$@"`;
  const program = `
    import { scan } from ${JSON.stringify(import.meta.resolve('../../src/sources/files/backup/scan.ts'))};
    const options = ${JSON.stringify({ ...filesOptions([]), namesInMemory: 1000 })};
    const roots = [{ path: ${JSON.stringify(directory.path)}, at: '.' }];
    const paths = (oneFileSystem) =>
      [...scan({ ...options, roots, oneFileSystem })].flatMap(({ found }) => found.map(({ path }) => path));
    console.log(JSON.stringify([paths(true), paths(false)]));`;
  const node = [
    process.execPath,
    '--disable-warning=ExperimentalWarning',
    '--input-type=module',
    '-e',
    program,
  ];
  let answer: string;
  try {
    answer = execFileSync(
      'unshare',
      ['--user', '--map-root-user', '--mount', 'sh', '-c', script, 'sh', ...node],
      {
        cwd: directory.path,
        encoding: 'utf8',
      },
    );
  } catch (error) {
    if (!/unshare|mount/.test(String((error as { stderr?: unknown }).stderr))) throw error;
    return context.skip('needs mounts of its own (unshare --user --mount)');
  }
  assert.deepEqual(JSON.parse(answer), [
    ['.', 'file', 'mounted'],
    ['.', 'file', 'mounted', 'mounted/inside'],
  ]);
});
