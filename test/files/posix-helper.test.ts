import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { lstatSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { tellsErrors } from '../../src/sources/files/restore/flush.ts';
import { PosixHelper } from '../../src/sources/files/posix-helper.ts';
import { tempDirectory } from '../../testing/temp.ts';

const never = new AbortController().signal;

async function startHelper(context: TestContext): Promise<PosixHelper | undefined> {
  const helper = await PosixHelper.start(never);
  if (helper === null) context.skip('needs perl on Linux (x86_64 or aarch64)');
  return helper ?? undefined;
}

function tool(name: string, args: readonly string[]): string {
  return execFileSync(name, args, { encoding: 'utf8' });
}

function hasTool(context: TestContext, name: string): boolean {
  try {
    execFileSync(name, ['--version'], { stdio: 'ignore' });
    return true;
  } catch {
    context.skip(`needs ${name} (package attr)`);
    return false;
  }
}

test('reads what setfattr set, and sets what getfattr reads', async (context) => {
  await using helper = await startHelper(context);
  if (helper === undefined || !hasTool(context, 'setfattr')) return;
  await using directory = await tempDirectory();
  const [one, other] = ['one', 'other'].map((name) => join(directory.path, name)) as [string, string];
  for (const path of [one, other]) writeFileSync(path, 'x');
  tool('setfattr', ['-n', 'user.zebra', '-v', '0x00ff0a25', one]);
  tool('setfattr', ['-n', 'user.empty', one]);
  tool('setfattr', ['-n', 'user.größe', '-v', 'groß', one]);
  const [found, none, missing] = await helper.xattrs(
    [one, other, `${one}x`].map((path) => Buffer.from(path)),
  );
  assert.deepEqual(found, {
    'user.empty': '',
    'user.größe': Buffer.from('groß').toString('base64'),
    'user.zebra': 'AP8KJQ==',
  });
  assert.deepEqual(Object.keys(found as object), ['user.empty', 'user.größe', 'user.zebra']);
  assert.deepEqual(none, {});
  assert.equal(missing, 'ENOENT');

  assert.deepEqual(await helper.setXattrs(Buffer.from(other), found as Record<string, string>), {});
  const dump = (path: string) => tool('getfattr', ['-d', '-e', 'hex', '--absolute-names', path]);
  assert.equal(dump(other).replace(other, one), dump(one));
});

test('tells which attribute could not be set, and why', async (context) => {
  await using helper = await startHelper(context);
  if (helper === undefined) return;
  await using directory = await tempDirectory();
  const path = join(directory.path, 'file');
  writeFileSync(path, 'x');
  const errors = await helper.setXattrs(Buffer.from(path), { 'user.good': 'eA==', 'nonsense.bad': 'eA==' });
  assert.deepEqual(errors, { 'nonsense.bad': 'ENOTSUP' });
  assert.deepEqual(await helper.xattrs([Buffer.from(path)]), [{ 'user.good': 'eA==' }]);
});

test('does not follow links', async (context) => {
  await using helper = await startHelper(context);
  if (helper === undefined) return;
  await using directory = await tempDirectory();
  const [file, link] = ['file', 'link'].map((name) => join(directory.path, name)) as [string, string];
  writeFileSync(file, 'x');
  symlinkSync('file', link);
  const before = lstatSync(file, { bigint: true }).mtimeNs;
  await helper.setXattrs(Buffer.from(file), { 'user.of-file': 'eA==' });
  assert.deepEqual(await helper.xattrs([Buffer.from(link)]), [{}]);
  assert.deepEqual(await helper.setMtimes([{ path: Buffer.from(link), mtimeNs: 5n }]), [null]);
  assert.equal(lstatSync(link, { bigint: true }).mtimeNs, 5n);
  assert.equal(lstatSync(file, { bigint: true }).mtimeNs, before);
});

test('sets times to the nanosecond, before 1970 too, and leaves the time of access', async (context) => {
  await using helper = await startHelper(context);
  if (helper === undefined) return;
  await using directory = await tempDirectory();
  const times = [1_700_000_000_123_456_789n, 0n, -1n, -1_000_000_000n, -1_500_000_001n, 999_999_999n];
  const paths = times.map((_, index) => join(directory.path, `file ${index}`));
  for (const path of paths) writeFileSync(path, 'x');
  const accessed = paths.map((path) => lstatSync(path, { bigint: true }).atimeNs);
  const wanted = paths.map((path, index) => ({ path: Buffer.from(path), mtimeNs: times[index] ?? 0n }));
  const missing = { path: Buffer.from(join(directory.path, 'missing')), mtimeNs: 0n };
  assert.deepEqual(await helper.setMtimes([...wanted, missing]), [...times.map(() => null), 'ENOENT']);
  const found = paths.map((path) => lstatSync(path, { bigint: true }));
  assert.deepEqual(
    found.map(({ mtimeNs }) => mtimeNs),
    times,
  );
  assert.deepEqual(
    found.map(({ atimeNs }) => atimeNs),
    accessed,
  );
});

test('exchanges two names in one step', async (context) => {
  await using helper = await startHelper(context);
  if (helper === undefined) return;
  await using directory = await tempDirectory();
  const [one, other] = ['one', 'other'].map((name) => join(directory.path, name)) as [string, string];
  mkdirSync(one);
  writeFileSync(join(one, 'inside'), '1');
  writeFileSync(other, '2');
  assert.equal(await helper.exchange(Buffer.from(one), Buffer.from(other)), null);
  assert.equal(readFileSync(one, 'utf8'), '2');
  assert.equal(readFileSync(join(other, 'inside'), 'utf8'), '1');
  assert.equal(await helper.exchange(Buffer.from(one), Buffer.from(`${one}x`)), 'ENOENT');
});

test('flushes a whole file system', async (context) => {
  await using helper = await startHelper(context);
  if (helper === undefined) return;
  await using directory = await tempDirectory();
  assert.equal(await helper.openFileSystem(Buffer.from(join(directory.path, 'missing'))), 'ENOENT');
  assert.equal(await helper.openFileSystem(Buffer.from(directory.path)), null);
  writeFileSync(join(directory.path, 'file'), 'x');
  assert.equal(await helper.flushFileSystem(), null);
});

test('relies on flushing a whole file system only where the kernel tells of errors', () => {
  for (const kernel of ['5.8.0', '5.10.0-28-amd64', '6.1.0', '10.0']) assert.equal(tellsErrors(kernel), true);
  for (const kernel of ['5.7.19', '4.18.0-553.el8', '2.6.32', 'none'])
    assert.equal(tellsErrors(kernel), false);
});

test('names of any bytes, thousands of them, in overlapping calls that are answered each', async (context) => {
  await using helper = await startHelper(context);
  if (helper === undefined) return;
  await using directory = await tempDirectory();
  const paths = Array.from({ length: 3000 }, (_, index) =>
    Buffer.concat([Buffer.from(`${directory.path}/\n%`), Buffer.from([0xff, 0x80]), Buffer.from(`${index}`)]),
  );
  for (const path of paths) writeFileSync(path, '');
  const value = (index: number) => Buffer.from(`value ${index}`).toString('base64');
  await Promise.all(paths.map((path, index) => helper.setXattrs(path, { 'user.index': value(index) })));
  const all = await Promise.all([helper.xattrs(paths), helper.xattrs(paths.toReversed())]);
  assert.deepEqual(
    all[0],
    paths.map((_, index) => ({ 'user.index': value(index) })),
  );
  assert.deepEqual(all[1], all[0].toReversed());
  assert.deepEqual(await helper.xattrs([]), []);
});

test('an abort ends the process and rejects what waits', async (context) => {
  const controller = new AbortController();
  await using helper = await PosixHelper.start(controller.signal);
  if (helper === null) {
    context.skip('needs perl on Linux (x86_64 or aarch64)');
    return;
  }
  const waiting = helper.xattrs(Array.from({ length: 5000 }, () => Buffer.from('/')));
  controller.abort(new Error('enough'));
  await assert.rejects(waiting, /enough/);
  await assert.rejects(helper.xattrs([Buffer.from('/')]), /enough/);
  await assert.rejects(PosixHelper.start(controller.signal), /enough/);
});

test('a helper that is gone says so', async (context) => {
  const helper = await startHelper(context);
  if (helper === undefined) return;
  await helper[Symbol.asyncDispose]();
  await assert.rejects(helper.xattrs([Buffer.from('/')]), { errorName: 'posix_helper_failed' });
});
