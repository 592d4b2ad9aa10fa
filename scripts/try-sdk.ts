import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { cpSync, mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

const checkout = dirname(import.meta.dirname);

/** Runs the examples in a project that has the package installed, and compiles programs against its types. */
export function trySdk(project: string, databaseUrl: string): void {
  cpSync(join(checkout, 'examples'), join(project, 'examples'), { recursive: true });
  writeFileSync(join(project, 'examples/package.json'), '{ "type": "module" }');
  runExamples(project, databaseUrl);
  compile(project);
}

function runExamples(project: string, databaseUrl: string): void {
  const uploads = join(project, 'uploads');
  mkdirSync(uploads);
  writeFileSync(join(uploads, 'letter.txt'), 'Dear reader');
  const run = (name: string, ...args: string[]): string =>
    execFileSync(process.execPath, [join('examples', name), ...args], {
      cwd: project,
      env: {
        PATH: '/usr/bin:/bin',
        HOME: project,
        HOLDFAST_PASSPHRASE: 'correct horse battery',
        DATABASE_URL: databaseUrl,
      },
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'inherit'],
      timeout: 120_000,
    });
  assert.match(run('backup-files.ts', './uploads', './files', './restored'), /\nrestored 1 files /);
  assert.equal(run('read-one-file.ts', './files', 'letter.txt'), 'Dear reader');
  assert.match(run('progress-and-abort.ts', './uploads', './files', '60'), /\ndone: /);
  assert.match(run('commonjs.cjs', './files'), /\nall is well\n$/);
  assert.match(run('backup-postgres.ts', './files', 'by_sdk'), /^restored 1 tables /);
}

const esm = `import { createBackup, HoldfastError, openRepository, type Backup, type ProgressEvent } from 'holdfast';
const onProgress = (event: ProgressEvent): void => { if (event.type === 'backup') made.push(event.backup); };
const made: Backup[] = [];
export async function run(signal: AbortSignal): Promise<boolean> {
  const repository = await openRepository({ signal });
  for await (const bytes of repository.read('latest', 'a')) bytes satisfies Uint8Array;
  await repository.close();
  try {
    return (await createBackup({ signal, onProgress, source: { name: 'a', type: 'files', paths: ['a'] } })).ok;
  } catch (error) {
    return error instanceof HoldfastError && error.code === 'HF-3001' && error.errorName === 'repository_missing';
  }
}
// @ts-expect-error
createBackup({ source: { name: 'a', type: 'files' } });
// @ts-expect-error
createBackup({ repo: 'a' });
`;

const cjs = `import holdfast = require('holdfast');
import { listBackups } from 'holdfast';
export const both: Promise<holdfast.ListResult>[] = [holdfast.listBackups(), listBackups({ limit: 3 })];
`;

/** With the compiler of this checkout and every check it has, those of the package's own types included. */
function compile(project: string): void {
  writeFileSync(join(project, 'esm.mts'), esm);
  writeFileSync(join(project, 'cjs.cts'), cjs);
  const strict = { strict: true, exactOptionalPropertyTypes: true, skipLibCheck: false, noEmit: true };
  const plain = { ...strict, target: 'es2022', lib: ['es2022', 'dom'], types: [] };
  tsc(project, { ...plain, module: 'nodenext' }, ['esm.mts', 'cjs.cts']);
  tsc(project, { ...plain, module: 'node16' }, ['esm.mts', 'cjs.cts']);
  tsc(project, { ...plain, module: 'esnext', moduleResolution: 'bundler' }, ['esm.mts']);
  const node = { typeRoots: [join(checkout, 'node_modules/@types')], types: ['node'], lib: ['esnext'] };
  tsc(
    project,
    {
      ...strict,
      ...node,
      skipLibCheck: true,
      target: 'esnext',
      module: 'nodenext',
      allowImportingTsExtensions: true,
    },
    ['examples'],
  );
}

function tsc(project: string, compilerOptions: Readonly<Record<string, unknown>>, include: string[]): void {
  writeFileSync(join(project, 'tsconfig.json'), JSON.stringify({ compilerOptions, include }));
  execFileSync(join(checkout, 'node_modules/.bin/tsc'), ['-p', '.'], {
    cwd: project,
    stdio: ['ignore', 'inherit', 'inherit'],
  });
}
