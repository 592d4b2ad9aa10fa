import assert from 'node:assert/strict';
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { access, chmod, cp, mkdir, readdir, stat, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { promisify } from 'node:util';
import { sourceTree } from '../../testing/source-tree.ts';

const run = promisify(execFile);
const bin = join(import.meta.dirname, '../../bin');
const main = `console.log(JSON.stringify({ args: process.argv.slice(2), node: process.execPath }));
  await import('node:sqlite');`;

/** A checkout or installed package with the launcher in it; `env` has only what the shell needs. */
async function house(files: Readonly<Record<string, string>>) {
  const tree = await sourceTree(files);
  await cp(bin, join(tree.path, 'bin'), { recursive: true });
  await mkdir(join(tree.path, 'tools'));
  for (const tool of ['sh', 'dirname', 'readlink'])
    await symlink(await which(tool), join(tree.path, 'tools', tool));
  const path = join(tree.path, 'bin/holdfast');
  const env = { PATH: join(tree.path, 'tools'), HOME: tree.path };
  return { path, root: tree.path, env, [Symbol.asyncDispose]: () => tree[Symbol.asyncDispose]() };
}

const which = async (tool: string): Promise<string> =>
  (await run('/bin/sh', ['-c', `command -v ${tool}`])).stdout.trim();

async function fakeNode(path: string, version: string): Promise<string> {
  await writeFile(path, `#!/bin/sh\n[ "$1" = --version ] && echo ${version} || echo "ran $0"\n`);
  await chmod(path, 0o755);
  return path;
}

test('it runs the source with arguments as they are, silent about experiments, through links', async () => {
  await using tree = await house({
    'src/cli/main.ts': main,
    'dist/cli/main.js': 'throw 1',
    'package.json': '{"type":"module"}',
  });
  await symlink('../bin/holdfast', join(tree.root, 'tools/inner'));
  await symlink(join(tree.root, 'tools/inner'), join(tree.root, 'outer'));
  const env = { ...tree.env, HOLDFAST_NODE: process.execPath };
  const { stdout, stderr } = await run(join(tree.root, 'outer'), ['a b', '', '*', '$x'], { env, cwd: '/' });
  assert.deepEqual((JSON.parse(stdout) as { args: string[] }).args, ['a b', '', '*', '$x']);
  assert.equal(stderr, '');
});

test('without source it runs what was built', async () => {
  await using tree = await house({ 'dist/cli/main.js': `console.log('built')`, 'package.json': '{}' });
  const { stdout } = await run(tree.path, [], { env: { ...tree.env, HOLDFAST_NODE: process.execPath } });
  assert.equal(stdout, 'built\n');
});

test('the Node it takes: HOLDFAST_NODE, then its own, then one on the PATH that is new enough', async () => {
  await using tree = await house({ 'src/cli/main.ts': '', 'package-lock.json': '{}' });
  const onPath = await fakeNode(join(tree.root, 'tools/node'), 'v24.7.0');
  assert.equal((await run(tree.path, [], { env: tree.env })).stdout, `ran ${onPath}\n`);
  await mkdir(join(tree.root, 'node_modules/node/bin'), { recursive: true });
  const own = await fakeNode(join(tree.root, 'node_modules/node/bin/node'), 'v24.21.0');
  assert.equal((await run(tree.path, [], { env: tree.env })).stdout, `ran ${own}\n`);
  const named = await fakeNode(join(tree.root, 'named'), 'v25.0.0');
  assert.equal(
    (await run(tree.path, [], { env: { ...tree.env, HOLDFAST_NODE: named } })).stdout,
    `ran ${named}\n`,
  );
});

for (const version of ['v20.20.2', 'v24.6.9', 'v24', 'nonsense', '']) {
  test(`Node ${version || 'without a version'} is refused in one line that says what to do`, async () => {
    await using tree = await house({ 'src/cli/main.ts': '', 'package-lock.json': '{}' });
    await fakeNode(join(tree.root, 'tools/node'), version);
    await assert.rejects(run(tree.path, [], { env: tree.env }), (error: { code: number; stderr: string }) => {
      assert.equal(error.code, 1);
      assert.match(
        error.stderr,
        /^holdfast: Node\.js 24\.7 or newer is needed; run: \(cd '.*' && npm ci\)\n$/,
      );
      return true;
    });
  });
}

test('a HOLDFAST_NODE that is too old is not passed over', async () => {
  await using tree = await house({ 'src/cli/main.ts': '' });
  const old = await fakeNode(join(tree.root, 'old'), 'v22.1.0');
  const env = { ...tree.env, HOLDFAST_NODE: old };
  await assert.rejects(run(tree.path, [], { env }), {
    code: 1,
    stderr: /HOLDFAST_NODE=.*old is not Node\.js 24\.7/,
  });
  await assert.rejects(run(tree.path, [], { env: tree.env }), {
    code: 1,
    stderr: /install it from https:\/\/nodejs\.org/,
  });
});

test('signals reach Holdfast itself, and its exit code comes back', async () => {
  const source = `process.on('SIGTERM', () => process.exit(42)); setInterval(() => {}, 1000); console.log(process.pid);`;
  await using tree = await house({ 'src/cli/main.ts': source });
  const env = { ...tree.env, HOLDFAST_NODE: process.execPath };
  const child = spawn(tree.path, [], { env, stdio: ['ignore', 'pipe', 'inherit'] });
  const [pid] = (await once(child.stdout, 'data')) as [Buffer];
  assert.equal(Number(pid.toString()), child.pid, 'no shell stays between');
  child.kill('SIGTERM');
  assert.deepEqual(await once(child, 'exit'), [42, null]);
});

const telling = `import { getCompileCacheDir } from 'node:module';
  import { Worker, isMainThread } from 'node:worker_threads';
  console.log(getCompileCacheDir());
  if (isMainThread) new Worker(new URL(import.meta.url));`;

/** Where the program and its worker thread keep what they compiled, as they see it themselves. */
async function compiledIn(
  tree: Awaited<ReturnType<typeof house>>,
  env: Readonly<Record<string, string>> = {},
) {
  const all = { ...tree.env, HOLDFAST_NODE: process.execPath, ...env };
  const { stdout, stderr } = await run(tree.path, [], { env: all });
  assert.equal(stderr, '');
  return stdout.trim().split('\n');
}

test('what was compiled is kept for the next start, by worker threads too, where nobody else can write', async () => {
  await using tree = await house({ 'src/cli/main.ts': telling, 'package.json': '{"type":"module"}' });
  for (const [env, place] of [
    [{}, '.cache/holdfast/compiled'],
    [{ XDG_CACHE_HOME: join(tree.root, 'src') }, 'src/holdfast/compiled'],
  ] as const) {
    const directory = join(tree.root, place);
    const seen = await compiledIn(tree, env);
    assert.equal(seen.length, 2);
    for (const path of seen) assert.ok(path.startsWith(`${directory}/`), path);
    assert.equal((await stat(directory)).mode & 0o777, 0o700);
    assert.ok((await readdir(directory, { recursive: true })).length > 1);
  }
  await chmod(join(tree.root, '.cache/holdfast/compiled'), 0o777);
  assert.deepEqual(await compiledIn(tree), ['undefined', 'undefined']);
});

test('nothing is kept where it cannot be, or where that is not wanted', async () => {
  await using tree = await house({ 'src/cli/main.ts': telling, 'package.json': '{"type":"module"}' });
  for (const env of [
    { NODE_DISABLE_COMPILE_CACHE: '1' },
    { HOME: join(tree.root, 'package.json') },
    { HOME: join(tree.root, 'none') },
    { HOME: '/proc' },
    { HOME: '' },
  ]) {
    assert.deepEqual(await compiledIn(tree, env), ['undefined', 'undefined'], JSON.stringify(env));
  }
  await assert.rejects(access(join(tree.root, '.cache')));
  const named = await compiledIn(tree, { NODE_COMPILE_CACHE: join(tree.root, 'named') });
  for (const path of named) assert.ok(path.startsWith(join(tree.root, 'named')), path);
  await assert.rejects(access(join(tree.root, '.cache')));
});
