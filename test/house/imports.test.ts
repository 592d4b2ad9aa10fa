import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { test } from 'node:test';
import { scanImports } from '../../scripts/import-scan.ts';
import { checkImports } from '../../scripts/import-rules.ts';
import { sourceTree } from '../../testing/source-tree.ts';

const script = join(import.meta.dirname, '../../scripts/check-imports.ts');
const run = (folder: string) => spawnSync(process.execPath, [script, folder], { encoding: 'utf8' });

const good = {
  'cli/main.ts': `import { go } from '../app/go.ts';\ngo();`,
  'app/go.ts': `import { fs } from '../storage/fs/fs.ts';\nimport { readFile } from 'node:fs';\nexport const go = () => fs(readFile);`,
  'storage/port.ts': 'export interface Storage {}',
  'storage/open.ts': `export const open = () => import('./fs/fs.ts');`,
  'storage/fs/fs.ts': `import type { Storage } from '../port.ts';\nimport { help } from './help.ts';\nexport const fs = (x: unknown): Storage => help(x);`,
  'storage/fs/help.ts': `// import { s3 } from '../s3/s3.ts';\nexport const help = (x: unknown) => ({ x, note: "import('../s3/s3.ts')".length });`,
  'storage/s3/s3.ts': `import type { Storage } from '../port.ts';\nexport const s3: Storage = {};`,
  'kernel/self.ts': `export const worker = new URL('./self.ts', import.meta.url);`,
};

const plants = {
  'an import from above': {
    file: 'kernel/up.ts',
    text: `\nimport { go } from '../app/go.ts';\nexport { go };`,
    line: 2,
    rule: /kernel may not import from app/,
  },
  'a type-only import from above': {
    file: 'kernel/up.ts',
    text: `import type { go } from '../app/go.ts';\nexport type Go = typeof go;`,
    line: 1,
    rule: /kernel may not import from app/,
  },
  'a re-export from above': {
    file: 'contract/up.ts',
    text: `export {\n  go,\n} from '../app/go.ts';`,
    line: 3,
    rule: /contract may not import from app/,
  },
  'an import for its effect': {
    file: 'contract/up.ts',
    text: `import '../app/go.ts';`,
    line: 1,
    rule: /contract may not import from app/,
  },
  'a dynamic import from above': {
    file: 'kernel/up.ts',
    text: `export const up = async () => {\n  await import('../app/go.ts');\n};`,
    line: 2,
    rule: /kernel may not import from app/,
  },
  'a worker URL from above': {
    file: 'pipeline/up.ts',
    text: `export const url = new URL('../storage/fs/fs.ts', import.meta.url);`,
    line: 1,
    rule: /pipeline may not import from storage/,
  },
  'siblings on one line': {
    file: 'storage/fs/side.ts',
    text: `import { s } from '../../sources/port.ts';\nexport { s };`,
    more: { 'sources/port.ts': 'export const s = 1;' },
    line: 1,
    rule: /storage and sources stand side by side/,
  },
  'sibling implementations': {
    file: 'storage/s3/side.ts',
    text: `import { fs } from '../fs/fs.ts';\nexport { fs };`,
    line: 1,
    rule: /storage\/s3 and storage\/fs stand side by side/,
  },
  'a cycle': {
    file: 'kernel/a.ts',
    text: `import { b } from './b.ts';\nexport const a = () => b;`,
    more: { 'kernel/b.ts': `import type { a } from './a.ts';\nexport const b = (x: typeof a) => x;` },
    at: 'kernel/b.ts',
    line: 1,
    rule: /import cycle: kernel\/a\.ts -> kernel\/b\.ts -> kernel\/a\.ts/,
  },
  'a folder nobody knows': {
    file: 'helpers/x.ts',
    text: 'export const x = 1;',
    line: 1,
    rule: /not a folder of the house/,
  },
  'a file outside': {
    file: 'kernel/x.ts',
    text: `import '../../testing/temp.ts';`,
    line: 1,
    rule: /outside src/,
  },
  'a file that is not there': {
    file: 'kernel/x.ts',
    text: `import './gone.ts';`,
    line: 1,
    rule: /does not exist/,
  },
} as const;

test('a good tree passes', async () => {
  await using tree = await sourceTree(good);
  const { status, stdout, stderr } = run(tree.path);
  assert.equal(stderr, '');
  assert.equal(stdout.trim(), 'imports of 8 files point down');
  assert.equal(status, 0);
});

for (const [name, plant] of Object.entries(plants)) {
  test(`${name} is found`, async () => {
    await using tree = await sourceTree({
      ...good,
      ...('more' in plant ? plant.more : {}),
      [plant.file]: plant.text,
    });
    const { violations } = checkImports(tree.path);
    assert.equal(violations.length, 1, JSON.stringify(violations));
    assert.equal(violations[0]?.file, 'at' in plant ? plant.at : plant.file);
    assert.equal(violations[0]?.line, plant.line);
    assert.match(violations[0]?.rule ?? '', plant.rule);
  });
}

test('the command names file, line and rule, and fails; so it does on an empty folder', async () => {
  await using tree = await sourceTree({ ...good, 'kernel/up.ts': `\n\nimport { go } from '../app/go.ts';` });
  const planted = run(tree.path);
  assert.equal(planted.status, 1);
  assert.match(planted.stderr, /kernel\/up\.ts:3: kernel may not import from app/);
  await using empty = await sourceTree({});
  assert.equal(run(empty.path).status, 1);
});

test('comments, strings and regular expressions do not mislead the scanner', () => {
  const text = [
    `const a = 'http://x'; import x from './one.ts';`,
    'const r = /["\'`]/; /* import "./no.ts" */',
    'const t = `// ${a}`;',
    `import {`,
    `  type Two, // from './no.ts'`,
    `} from './two.ts';`,
    `const s = obj.import('./no.ts');`,
    `export * from "./three.ts"; export default 3;`,
  ].join('\n');
  assert.deepEqual(
    scanImports(text).map(({ specifier, line }) => `${specifier}:${line}`),
    ['./one.ts:1', './two.ts:6', './three.ts:8'],
  );
});
