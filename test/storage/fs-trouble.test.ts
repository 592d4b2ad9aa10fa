import assert from 'node:assert/strict';
import { chmod, mkdir, readdir, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { chooseDefaultDirectory } from '../../src/storage/fs/default-directory.ts';
import { freeBytes } from '../../src/storage/fs/free-space.ts';
import { openFsStorage } from '../../src/storage/fs/open.ts';
import { namesOf, pattern, rejectsWith } from '../../testing/storage-conformance.ts';
import { temporaryDirectory } from './support.ts';
import { WriterProcess } from './writer-process.ts';

const isRoot = process.getuid?.() === 0;
const nobody = 65534;

test('a directory replaced or removed under us is unreachable, also in the middle of a listing', async () => {
  await using place = await temporaryDirectory();
  const directory = join(place.path, 'repository');
  const storage = await openFsStorage(directory, { create: true });
  for (const name of ['a/1', 'b/1', 'c/1']) await storage.put(name, pattern(10, 1));
  const seen: string[] = [];
  const reading = async (): Promise<void> => {
    for await (const info of storage.list('')) {
      seen.push(info.name);
      if (seen.length > 1) continue;
      await rename(directory, join(place.path, 'elsewhere'));
      await mkdir(directory);
    }
  };
  await rejectsWith('storage_unreachable', reading());
  assert.deepEqual(seen, ['a/1']);
  await rm(directory, { recursive: true });
  const error = await rejectsWith('storage_unreachable', namesOf(storage.list('')));
  assert.match(error.message, /its directory is gone/);
});

test('a limit on file sizes says storage_file_limit', async () => {
  await using place = await temporaryDirectory();
  await using writer = new WriterProcess(place.path, { prelude: 'ulimit -f 100;' });
  assert.equal(await writer.next(), 'ready');
  writer.tell({ put: 'big', seed: 1, size: 1_000_000 });
  const answer = (await writer.next()) as { failed: string; message: string };
  assert.equal(answer.failed, 'storage_file_limit', answer.message);
  writer.tell({ put: 'small', seed: 1, size: 1000 });
  assert.equal(await writer.next(), 'done');
  assert.deepEqual(await readdir(join(place.path, '.tmp')), []);
});

test('another user is told who owns the directory and what to type', async (t) => {
  if (!isRoot) return t.skip('needs root, to run a process as another user');
  await using place = await temporaryDirectory();
  await chmod(place.path, 0o755);
  const directory = join(place.path, 'repo dir');
  await (await openFsStorage(directory, { create: true })).put('one', pattern(10, 1));

  await using closed = new WriterProcess(directory, { uid: nobody });
  const denied = (await closed.next()) as Record<string, string>;
  assert.equal(denied['failed'], 'storage_denied', JSON.stringify(denied));
  assert.match(
    denied['message'] ?? '',
    /belongs to root \(uid 0\) with mode 0700, and Holdfast runs as \S+ \(uid 65534\)/,
  );
  assert.equal(
    denied['hint'],
    'run it as the owner: sudo -u root holdfast …; or, only if the repository is to belong to nobody from now on: ' +
      `sudo chown -R nobody '${directory}', or name another place with --repo`,
  );

  await using missing = new WriterProcess(join(place.path, 'not-yet/there'), { uid: nobody });
  const notMade = (await missing.next()) as Record<string, string>;
  assert.equal(notMade['failed'], 'storage_denied');
  assert.match(
    notMade['message'] ?? '',
    /no permission to create in .*: .* belongs to root \(uid 0\) with mode 0755/,
  );
  assert.match(notMade['hint'] ?? '', /^run: sudo install -d -m 700 -o nobody \S+not-yet\/there,/);
});

test('a folder that another user left in our repository is ours to take back', async (t) => {
  if (!isRoot) return t.skip('needs root, to run a process as another user');
  await using place = await temporaryDirectory();
  await chmod(place.path, 0o777);
  const directory = join(place.path, 'r');
  await using writer = new WriterProcess(directory, { uid: nobody });
  assert.equal(await writer.next(), 'ready');
  await mkdir(join(directory, 'a'), { mode: 0o700 });
  writer.tell({ list: '' });
  const answer = (await writer.next()) as Record<string, string>;
  assert.equal(answer['failed'], 'storage_denied', JSON.stringify(answer));
  assert.equal(
    answer['hint'],
    `take back what another user left in it: sudo chown -R nobody ${directory}, or name another place with --repo`,
  );
});

test('an unreadable folder fails a listing instead of shortening it', async () => {
  await using place = await temporaryDirectory();
  await chmod(place.path, 0o777);
  await using writer = new WriterProcess(join(place.path, 'r'), isRoot ? { uid: nobody } : {});
  assert.equal(await writer.next(), 'ready');
  writer.tell({ put: 'a/one', seed: 1, size: 10 });
  assert.equal(await writer.next(), 'done');
  await chmod(join(place.path, 'r/a'), 0);
  writer.tell({ list: '' });
  const answer = (await writer.next()) as Record<string, string>;
  // Else it could not be removed.
  await chmod(join(place.path, 'r/a'), 0o700);
  assert.equal(answer['failed'], 'storage_denied', JSON.stringify(answer));
  assert.match(answer['message'] ?? '', /no permission to list/);
  assert.match(answer['hint'] ?? '', /^run: chmod u\+rwX \S+\/r\/a,/);
});

test('a directory that is missing, a file, a link, or relative', async () => {
  await using place = await temporaryDirectory();
  const missing = await rejectsWith(
    'storage_missing',
    openFsStorage(join(place.path, 'no'), { create: false }),
  );
  assert.match(missing.hint, /holdfast init --repo /);
  const file = join(place.path, 'file');
  await writeFile(file, 'mine');
  for (const create of [true, false]) {
    await rejectsWith('storage_layout', openFsStorage(file, { create }));
    await rejectsWith('storage_layout', openFsStorage(join(file, 'below'), { create }));
    await rejectsWith('storage_url', openFsStorage('relative/path', { create }));
  }
  await symlink('loop', join(place.path, 'loop'));
  await rejectsWith('storage_layout', openFsStorage(join(place.path, 'loop'), { create: false }));
  await symlink(join(place.path, 'nowhere'), join(place.path, 'dangling'));
  await rejectsWith('storage_missing', openFsStorage(join(place.path, 'dangling'), { create: false }));

  await openFsStorage(join(place.path, 'real'), { create: true });
  await symlink('real', join(place.path, 'link'));
  const linked = await openFsStorage(join(place.path, 'link'), { create: false });
  await linked.put('one', pattern(1, 1));
  assert.deepEqual(await readdir(join(place.path, 'real')), ['.tmp', 'one']);
});

test('foreign files are not listed and do not disturb', async () => {
  await using place = await temporaryDirectory();
  const storage = await openFsStorage(place.path, { create: true });
  await storage.put('a/one', pattern(1, 1));
  await mkdir(join(place.path, 'lost+found'));
  for (const name of ['.DS_Store', 'README.TXT', 'a/.nfs0001', 'a/Thumbs.db', 'a/ü'])
    await writeFile(join(place.path, name), 'x');
  await symlink('/nowhere', join(place.path, 'a/dangling'));
  await writeFile(join(place.path, '.tmp/unfinished'), 'x');
  assert.deepEqual(await namesOf(storage.list('')), ['a/one']);
});

test('a directory where an object should be, and a file where a folder should be', async () => {
  await using place = await temporaryDirectory();
  const storage = await openFsStorage(place.path, { create: true });
  await storage.put('folder/one', pattern(1, 1));
  const taken = await rejectsWith('storage_layout', storage.put('folder', pattern(1, 1)));
  assert.match(taken.message, /folder is a directory where folder should be/);
  await rejectsWith('storage_layout', storage.put('folder/one/below', pattern(1, 1)));
  assert.deepEqual(await namesOf(storage.list('')), ['folder/one']);
});

test('the default directory is used where it can be, and left loudly where it cannot', async () => {
  await using place = await temporaryDirectory();
  const home = join(place.path, 'home');
  const good = join(place.path, 'backups');
  assert.deepEqual(await chooseDefaultDirectory({ preferred: good, home }), { directory: good });
  assert.deepEqual(await readdir(join(good, '.tmp')), [], 'the probe is gone');

  const file = join(place.path, 'file');
  await writeFile(file, '');
  const fallen = await chooseDefaultDirectory({ preferred: join(file, 'backups'), home });
  assert.equal(fallen.directory, join(home, '.local/share/holdfast/backups'));
  assert.equal(fallen.fellBack?.from, join(file, 'backups'));
  assert.match(fallen.fellBack?.reason ?? '', /is a file where a directory should be/);
  assert.match(fallen.fellBack?.mend ?? '', /--repo/);

  const dataHome = join(place.path, 'xdg');
  const xdg = await chooseDefaultDirectory({ preferred: file, home, dataHome });
  assert.equal(xdg.directory, join(dataHome, 'holdfast/backups'));

  const error = await rejectsWith(
    'storage_nowhere',
    chooseDefaultDirectory({ preferred: file, home: join(file, 'home') }),
  );
  assert.ok(
    error.message.includes(file) && error.message.includes(join(file, 'home/.local/share/holdfast/backups')),
  );
});

test('free space of a place that is not there is coded', async () => {
  await rejectsWith('storage_missing', freeBytes('/no/such/place'));
});
