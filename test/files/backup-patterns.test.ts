import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import fc from 'fast-check';
import { Patterns } from '../../src/sources/files/backup/patterns.ts';
import { scan } from '../../src/sources/files/backup/scan.ts';
import { backUpFiles, filesOptions, pathsOf } from '../../testing/files-backup.ts';
import { tempDirectory } from '../../testing/temp.ts';

function makeFiles(top: string, files: Readonly<Record<string, string>>): void {
  for (const [path, content] of Object.entries(files)) {
    mkdirSync(dirname(join(top, path)), { recursive: true });
    writeFileSync(join(top, path), content);
  }
}

test('exclude leaves out what its patterns match, and what is below', async () => {
  await using directory = await tempDirectory();
  makeFiles(directory.path, {
    'a.tmp': '',
    'keep.tmp': '',
    'cache/x': '',
    'sub/cache/y': '',
    'sub/b.TMP': '',
    'sub/c.tmp': '',
  });
  const exclude = ['*.tmp', '!keep.tmp', '/cache/'];
  const backedUp = await backUpFiles(filesOptions([directory.path], { exclude }));
  assert.deepEqual(pathsOf(backedUp), ['./', 'keep.tmp', 'sub/', 'sub/b.TMP', 'sub/cache/', 'sub/cache/y']);
  assert.deepEqual(backedUp.warnings, []);
});

test('include takes only files it matches, and exclude is stronger', async () => {
  await using directory = await tempDirectory();
  makeFiles(directory.path, { 'a.jpg': '', 'b.txt': '', 'sub/c.jpg': '', 'sub/no.jpg': '', 'all/x': '' });
  const options = filesOptions([directory.path], { include: ['*.jpg', 'all/'], exclude: ['no.*'] });
  assert.deepEqual(pathsOf(await backUpFiles(options)), [
    './',
    'a.jpg',
    'all/',
    'all/x',
    'sub/',
    'sub/c.jpg',
  ]);
});

test('patterns hold below each path by itself', async () => {
  await using directory = await tempDirectory();
  makeFiles(directory.path, { 'one/x': '', 'one/y/x': '', 'two/x': '', 'two/z': '' });
  const paths = ['one', 'two'].map((name) => join(directory.path, name));
  const backedUp = await backUpFiles(filesOptions(paths, { exclude: ['/x'] }));
  assert.deepEqual(pathsOf(backedUp), ['one/', 'one/y/', 'one/y/x', 'two/', 'two/z']);
});

test('an ignore file holds for its directory and below, takes back what those above leave out, but not what exclude does', async () => {
  await using directory = await tempDirectory();
  makeFiles(directory.path, {
    '.holdfastignore': '*.log\n/only-here\n# a comment\n\n',
    'only-here': '',
    'a.log': '',
    'sub/only-here': '',
    'sub/b.log': '',
    'sub/.holdfastignore': '!b.log\n!secret\nnested/',
    'sub/secret': '',
    'sub/nested/x': '',
    'sub/deep/nested/x': '',
    'sub/deep/c.log': '',
    'sub/deep/b.log': '',
  });
  const backedUp = await backUpFiles(filesOptions([directory.path], { exclude: ['secret'] }));
  assert.deepEqual(pathsOf(backedUp), [
    './',
    '.holdfastignore',
    'sub/',
    'sub/.holdfastignore',
    'sub/b.log',
    'sub/deep/',
    'sub/deep/b.log',
    'sub/only-here',
  ]);
  const without = await backUpFiles(filesOptions([directory.path], { ignoreFile: '' }));
  assert.equal(without.metadata.files, 11);
});

test('an ignore file that cannot be read is named, and nothing is left out for it', async () => {
  await using directory = await tempDirectory();
  makeFiles(directory.path, { '.holdfastignore/x': '', a: '' });
  const backedUp = await backUpFiles(filesOptions([directory.path]));
  assert.equal(backedUp.metadata.files, 2);
  assert.match(backedUp.warnings.join(), /\.holdfastignore was passed over/);
});

/**
 * Names and patterns that have to do with each other often. ASCII only: to git `?` and `[!a]` are one byte of a name, to us
 * one character.
 */
const name = fc.constantFrom('a', 'b', 'ab', 'a b', '#a', '!b', 'b[1]', 'a*', '\\a', 'A', '.a');
const path = fc.array(name, { minLength: 1, maxLength: 4 }).map((names) => names.join('/'));
const piece = fc.oneof(
  name,
  fc.constantFrom('*', '**', '?', 'a*', '*b', '[ab]', '[!a]', '\\#a', '\\!b', 'b\\[1\\]', '\\\\a'),
);
const pattern = fc
  .tuple(
    fc.constantFrom('', '!', '/', '!/'),
    fc.array(piece, { minLength: 1, maxLength: 3 }),
    fc.constantFrom('', '/', ' ', '/**'),
  )
  .map(([before, pieces, after]) => before + pieces.join('/') + after);
const ignoreText = fc.array(pattern, { maxLength: 4 }).map((lines) => lines.join('\n'));

test('what is left out is what git leaves out', async () => {
  await using directory = await tempDirectory();
  const git = (top: string, args: readonly string[]) =>
    execFileSync('git', ['-C', top, ...args], { encoding: 'utf8' });
  fc.assert(
    fc.property(
      fc.array(path, { minLength: 1, maxLength: 12 }),
      fc.array(fc.tuple(fc.oneof(fc.constant(''), path), ignoreText), { minLength: 1, maxLength: 3 }),
      (paths, ignores) => {
        const top = mkdtempSync(join(directory.path, 'tree-'));
        for (const path of paths) makeAnyway(top, path, '');
        for (const [at, text] of ignores) makeAnyway(top, join(at, '.gitignore'), text);
        git(top, ['init', '-q']);
        const wanted = git(top, ['ls-files', '-z', '--others', '--exclude-standard'])
          .split('\0')
          .filter(Boolean);
        const options = {
          ...filesOptions([]),
          exclude: ['/.git'],
          ignoreFile: '.gitignore',
          namesInMemory: 1000,
        };
        const root = { given: top, path: top, at: '.', isDirectory: true };
        const found = [...scan({ ...options, roots: [root] })].flatMap((batch) => batch.found);
        const files = found.filter(({ kind }) => kind === 'file').map(({ path }) => path);
        rmSync(top, { recursive: true });
        assert.deepEqual(files.toSorted(), wanted.toSorted());
      },
    ),
    { numRuns: 50 },
  );
});

/** A file may be in the way of a directory, or the other way round: then it is not made. */
function makeAnyway(top: string, path: string, content: string): void {
  try {
    mkdirSync(dirname(join(top, path)), { recursive: true });
    writeFileSync(join(top, path), content);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code !== 'EEXIST' && code !== 'ENOTDIR' && code !== 'EISDIR') throw error;
  }
}

test('the memory of a pattern does not grow with what it was asked', () => {
  const patterns = Patterns.of(['*.tmp']);
  for (let index = 0; index < 50_000; index += 1) {
    assert.equal(patterns?.match(`directory/${index}.tmp`), true);
    assert.equal(patterns?.match(`directory/${index}.txt`), false);
  }
});
