import assert from 'node:assert/strict';
import {
  appendFileSync,
  closeSync,
  linkSync,
  mkdirSync,
  openSync,
  symlinkSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import fc from 'fast-check';
import type { Manifest } from '../../src/contract/manifest.ts';
import { pathBytes, pathText } from '../../src/kernel/byte-path.ts';
import { systemClock } from '../../src/kernel/clock.ts';
import { silentLogger } from '../../src/kernel/log.ts';
import type { BackupSource } from '../../src/operations/contract.ts';
import { verifyRepository } from '../../src/operations/verify.ts';
import type { Repository } from '../../src/repository/repository.ts';
import { backupFiles, type FilesBackupOptions } from '../../src/sources/files/backup/backup.ts';
import { filesMetadataSchema } from '../../src/sources/files/metadata.ts';
import { MemoryStorage } from '../../src/storage/memory/memory-storage.ts';
import { crashAtMutation } from '../../src/storage/wrap/fault-plan.ts';
import { withFaults } from '../../src/storage/wrap/faults.ts';
import { patternedBytes } from '../../testing/bytes.ts';
import { filesOptions } from '../../testing/files-backup.ts';
import {
  backUp,
  makeRepository,
  openTestRepository,
  readBack,
  silentProgress,
} from '../../testing/repository.ts';
import { tempDirectory } from '../../testing/temp.ts';

const anHourMs = 3_600_000;
/** An hour ahead: so nothing was changed shortly before a backup. */
const clock = { ...systemClock, now: () => systemClock.now() + anHourMs };

function source(options: FilesBackupOptions): BackupSource {
  return { name: 'files', kind: 'files', backup: (context) => backupFiles(options, context) };
}

async function backUpTo(repository: Repository, options: FilesBackupOptions): Promise<Manifest> {
  return await backUp(repository, source(options), { clock });
}

async function filesIn(repository: Repository, manifest: Manifest): Promise<Record<string, Buffer>> {
  const contents = await readBack(repository, manifest);
  const files: Record<string, Buffer> = {};
  for await (const { path, kind } of repository.entries(manifest))
    if (kind === 'files.file') files[path] = contents[path] ?? Buffer.alloc(0);
  return files;
}

/** Much faster than `deepEqual` for large buffers. */
function assertSame(files: Record<string, Buffer>, expected: Record<string, Buffer>): void {
  assert.deepEqual(Object.keys(files).toSorted(), Object.keys(expected).toSorted());
  for (const [path, content] of Object.entries(expected)) assert.ok(files[path]?.equals(content), path);
}

test('what was backed up comes back from a repository: many small files, large ones, one with holes', async () => {
  await using directory = await tempDirectory();
  const expected: Record<string, Buffer> = {};
  for (let index = 0; index < 1500; index += 1) {
    const path = `d${index % 40}/f${index}`;
    mkdirSync(join(directory.path, `d${index % 40}`), { recursive: true });
    expected[path] = patternedBytes(index * 7, index);
  }
  expected['large'] = patternedBytes(9_000_000, 1);
  expected['edge'] = patternedBytes(512 * 1024, 2);
  expected['over'] = patternedBytes(512 * 1024 + 1, 3);
  for (const [path, content] of Object.entries(expected)) writeFileSync(join(directory.path, path), content);
  const holes = Buffer.alloc(30_000_000);
  holes.write('middle', 17_000_000);
  const file = openSync(join(directory.path, 'holes'), 'w');
  writeSync(file, 'middle', 17_000_000);
  writeSync(file, '\0', holes.length - 1);
  closeSync(file);

  await using repository = await makeRepository(new MemoryStorage(systemClock));
  const manifest = await backUpTo(repository, filesOptions([directory.path]));
  const files = await filesIn(repository, manifest);
  assertSame(files, { ...expected, holes });
});

test('a second backup of the same adds next to nothing and reads no file', async () => {
  await using directory = await tempDirectory();
  for (let index = 0; index < 2000; index += 1)
    writeFileSync(join(directory.path, `file ${index}`), patternedBytes(1000, index));
  writeFileSync(join(directory.path, 'large'), patternedBytes(6_000_000, 1));
  await using repository = await makeRepository(new MemoryStorage(systemClock));
  const options = filesOptions([directory.path]);
  const first = await backUpTo(repository, options);
  const second = await backUpTo(repository, options);
  assert.equal(second.stats.bytes_read, 0);
  assert.ok(second.stats.bytes_added < 2000, `${second.stats.bytes_added} bytes added`);
  assert.equal(second.entries.stream.root, first.entries.stream.root);
  assert.equal(filesMetadataSchema.parse(second.metadata).unchanged, 2001);

  appendFileSync(join(directory.path, 'file 77'), 'x');
  const third = await backUpTo(repository, options);
  assert.equal(third.stats.bytes_read, 1001);
  assert.equal((await filesIn(repository, third))['file 77']?.length, 1001);
});

test('holes of a gigabyte take no room', async () => {
  await using directory = await tempDirectory();
  const file = openSync(join(directory.path, 'image'), 'w');
  writeSync(file, 'end', 1024 ** 3);
  closeSync(file);
  await using repository = await makeRepository(new MemoryStorage(systemClock));
  const manifest = await backUpTo(repository, filesOptions([directory.path]));
  assert.equal(filesMetadataSchema.parse(manifest.metadata).bytes, 1024 ** 3 + 3);
  assert.ok(manifest.stats.bytes_added < 20_000, `${manifest.stats.bytes_added} bytes added`);
});

test('a crash at every write of a backup of files leaves only whole backups, and the next one succeeds', async () => {
  await using directory = await tempDirectory();
  const before = { first: patternedBytes(300_000, 10) };
  writeFileSync(join(directory.path, 'first'), before.first);
  const start = new MemoryStorage(systemClock);
  await using repository = await makeRepository(start, { encrypted: false });
  const options = filesOptions([directory.path]);
  await backUpTo(repository, options);
  // Enough for two packs.
  const after: Record<string, Buffer> = { ...before };
  for (let index = 0; index < 9; index += 1) after[`d/${index}`] = patternedBytes(2_000_000, index);
  mkdirSync(join(directory.path, 'd'));
  for (const [path, content] of Object.entries(after)) writeFileSync(join(directory.path, path), content);
  for (let mutation = 1, finished = false; !finished; mutation += 1) {
    assert.ok(mutation < 50, 'the backup never got through');
    for (const applied of [false, true]) {
      const storage = await copyOf(start);
      finished = await crashed(storage, mutation, applied, options);
      await assertWhole(storage, [before, after]);
    }
  }
});

async function copyOf(storage: MemoryStorage): Promise<MemoryStorage> {
  const copy = new MemoryStorage(systemClock);
  for await (const { name } of storage.list('')) await copy.put(name, await storage.get(name));
  return copy;
}

/** True when the backup reported success. */
async function crashed(
  storage: MemoryStorage,
  mutation: number,
  applied: boolean,
  options: FilesBackupOptions,
): Promise<boolean> {
  await using repository = await openTestRepository(withFaults(storage, crashAtMutation(mutation, applied)));
  return await backUpTo(repository, options).then(
    () => true,
    () => false,
  );
}

async function assertWhole(
  storage: MemoryStorage,
  [before, after]: readonly [Record<string, Buffer>, Record<string, Buffer>],
): Promise<void> {
  await using repository = await openTestRepository(storage);
  const { signal } = new AbortController();
  const report = await verifyRepository(repository, {
    signal,
    log: silentLogger,
    jobs: 1,
    progress: silentProgress,
    readData: true,
  });
  assert.deepEqual(report.problems, []);
  const names = await repository.names();
  assert.ok(names.length === 1 || names.length === 2);
  for (const [index, name] of names.entries()) {
    const files = await filesIn(repository, await repository.manifest(name));
    assertSame(files, index === 0 ? before : after);
  }
}

test('where a pack is gone, what was in it is read again, and the backup is whole', async () => {
  await using directory = await tempDirectory();
  const expected: Record<string, Buffer> = {};
  for (let index = 0; index < 12; index += 1) expected[`${index}`] = patternedBytes(3_000_000, index);
  for (const [path, content] of Object.entries(expected)) writeFileSync(join(directory.path, path), content);
  const storage = new MemoryStorage(systemClock);
  await makeRepository(storage).then(async (repository) => {
    await backUpTo(repository, filesOptions([directory.path]));
    await repository[Symbol.asyncDispose]();
  });
  const packs = (await Array.fromAsync(storage.list('packs/'))).toSorted(
    (one, other) => other.sizeBytes - one.sizeBytes,
  );
  await storage.delete(packs[0]?.name ?? '');
  await using repository = await openTestRepository(storage);
  const manifest = await backUpTo(repository, filesOptions([directory.path]));
  assert.ok(manifest.stats.bytes_read > 0);
  assertSame(await filesIn(repository, manifest), expected);
});

/** Trees of few names, so that they meet often; what cannot be made is passed over. No link leads anywhere. */
const names = fc.constantFrom('a', 'b', 'ab', 'a.b', '%', '%41', '\n', 'é', 'xff');
const things = fc.array(
  fc.tuple(
    fc.array(names, { minLength: 1, maxLength: 3 }),
    fc.oneof(
      fc.constant('directory' as const),
      fc.uint8Array({ maxLength: 50 }),
      fc.record({ link: fc.array(names, { minLength: 1, maxLength: 2 }) }),
      fc.record({ symlink: fc.constantFrom('/no such/place', '../no such', 'no\nsuch%') }),
    ),
  ),
  { maxLength: 25 },
);

test('any tree comes back as it was, and its second backup is the first byte for byte', async () => {
  await using repository = await makeRepository(new MemoryStorage(systemClock), { encrypted: false });
  await fc.assert(
    fc.asyncProperty(things, async (tree) => {
      await using directory = await tempDirectory();
      const files = new Map<string, Buffer>();
      for (const [parts, thing] of tree) makeThing(directory.path, parts, thing, files);
      const options = filesOptions([directory.path]);
      const first = await backUpTo(repository, options);
      const second = await backUpTo(repository, options);
      assert.equal(second.entries.stream.root, first.entries.stream.root);
      assert.equal(second.stats.bytes_read, 0);
      const contents = await filesIn(repository, second);
      for await (const { path, kind, meta } of repository.entries(second))
        if (kind === 'files.hardlink')
          contents[path] = contents[String(meta['target'])] ?? Buffer.from('no target');
      const wanted = [...files].map(
        ([path, content]) => [pathText(Buffer.from(path, 'latin1')), content] as const,
      );
      assert.deepEqual(contents, Object.fromEntries(wanted));
    }),
    { numRuns: 12 },
  );
});

type Thing = 'directory' | Uint8Array | { readonly link: string[] } | { readonly symlink: string };

/** Paths of files are noted byte by byte, as latin1. */
function makeThing(top: string, parts: readonly string[], thing: Thing, files: Map<string, Buffer>): void {
  const relative = (names: readonly string[]): Buffer =>
    pathBytes(names.map((name) => (name === 'xff' ? '%FF' : pathText(Buffer.from(name)))).join('/'));
  const absolute = (names: readonly string[]): Buffer =>
    Buffer.concat([Buffer.from(`${top}/`), relative(names)]);
  const key = relative(parts).toString('latin1');
  try {
    if (parts.length > 1) mkdirSync(absolute(parts.slice(0, -1)), { recursive: true });
    if (thing === 'directory') mkdirSync(absolute(parts));
    else if (thing instanceof Uint8Array) {
      writeFileSync(absolute(parts), thing, { flag: 'wx' });
      files.set(key, Buffer.from(thing));
    } else if ('symlink' in thing) symlinkSync(thing.symlink, absolute(parts));
    else {
      const target = files.get(relative(thing.link).toString('latin1'));
      if (target === undefined) return;
      linkSync(absolute(thing.link), absolute(parts));
      files.set(key, target);
    }
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (!['EEXIST', 'ENOTDIR', 'ENOENT', 'EISDIR', 'ELOOP', 'EACCES'].includes(code ?? '')) throw error;
  }
}
