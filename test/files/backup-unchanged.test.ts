import assert from 'node:assert/strict';
import { linkSync, lstatSync, mkdirSync, rmSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import type { Entry } from '../../src/contract/stream.ts';
import { PosixHelper } from '../../src/sources/files/posix-helper.ts';
import type { BackupContext } from '../../src/sources/port.ts';
import { patternedBytes } from '../../testing/bytes.ts';
import { backUpFiles, filesOptions } from '../../testing/files-backup.ts';
import { tempDirectory } from '../../testing/temp.ts';

/** As they are written into the list of entries. */
function lines(entries: readonly Entry[]): string {
  return entries.map((entry) => `${JSON.stringify(entry)}\n`).join('');
}

function makeTree(top: string): void {
  mkdirSync(join(top, 'd/e'), { recursive: true });
  writeFileSync(join(top, 'd/small'), 'small');
  writeFileSync(join(top, 'd/e/empty'), '');
  writeFileSync(join(top, 'large'), patternedBytes(1_700_000, 3));
  writeFileSync(join(top, 'z%\n'), 'z');
  linkSync(join(top, 'd/small'), join(top, 'other name'));
  symlinkSync('d/small', join(top, 'link'));
}

/** Counts the files that are handed to tasks. */
function counting(): { paths: string[]; change: (context: BackupContext) => BackupContext } {
  const paths: string[] = [];
  return {
    paths,
    change: (context) => ({
      ...context,
      run: async (module, input, options) => {
        paths.push(...(input as { paths: string[] }).paths);
        return await context.run(module, input, options);
      },
    }),
  };
}

test('what was not touched since the backup before is not read, and the list of entries is the same byte for byte', async () => {
  await using directory = await tempDirectory();
  makeTree(directory.path);
  const options = filesOptions([directory.path]);
  const first = await backUpFiles(options);
  const read = counting();
  const second = await backUpFiles(options, { after: first, change: read.change });
  assert.deepEqual(read.paths, []);
  assert.equal(second.bytesRead, 0);
  assert.equal(lines(second.entries), lines(first.entries));
  assert.equal(second.metadata.unchanged, 4);
  assert.deepEqual({ ...second.metadata, unchanged: 0 }, first.metadata);
});

test('only what was touched is read', async () => {
  await using directory = await tempDirectory();
  makeTree(directory.path);
  const top = directory.path;
  const options = filesOptions([top]);
  const first = await backUpFiles(options);
  writeFileSync(join(top, 'd/new'), 'new');
  writeFileSync(join(top, 'z%\n'), 'Z');
  rmSync(join(top, 'd/e'), { recursive: true });
  const read = counting();
  const second = await backUpFiles(options, { after: first, change: read.change });
  assert.deepEqual(read.paths, [`${top}/d/new`, `${top}/z%25%0A`]);
  assert.equal(second.memory.content('z%25%0A').toString(), 'Z');
  assert.equal(second.memory.content('d/small').toString(), 'small');
  assert.equal(second.metadata.unchanged, 2);
});

test('a change that leaves size and time of modification as they were is seen', async () => {
  await using directory = await tempDirectory();
  const path = join(directory.path, 'file');
  const write = (content: string): void => {
    writeFileSync(path, content);
    utimesSync(path, 1_600_000_000, 1_600_000_000);
  };
  write('one');
  const options = filesOptions([directory.path]);
  const first = await backUpFiles(options);
  write('two');
  const second = await backUpFiles(options, { after: first });
  assert.equal(second.memory.entry('file').meta['mtime'], first.entries[1]?.meta['mtime']);
  assert.equal(second.memory.content('file').toString(), 'two');
});

test('a file that was changed shortly before the backup before, or since, is read again', async () => {
  await using directory = await tempDirectory();
  writeFileSync(join(directory.path, 'file'), 'one');
  const options = filesOptions([directory.path], { now: Date.now });
  const ctimeMs = Math.floor(lstatSync(join(directory.path, 'file')).ctimeMs);
  for (const [startedAtMs, reads] of [
    [ctimeMs - 60_000, 1],
    [ctimeMs + 1900, 1],
    [ctimeMs + 2100, 0],
  ] as const) {
    const first = await backUpFiles(options);
    const read = counting();
    await backUpFiles(options, { after: first, startedAtMs, change: read.change });
    assert.equal(read.paths.length, reads, `started ${startedAtMs - ctimeMs} ms after the change`);
  }
});

test('a time of modification in the future does not make a file be read for ever', async () => {
  await using directory = await tempDirectory();
  writeFileSync(join(directory.path, 'file'), 'one');
  utimesSync(join(directory.path, 'file'), 4_000_000_000, 4_000_000_000);
  const options = filesOptions([directory.path]);
  const second = await backUpFiles(options, { after: await backUpFiles(options) });
  assert.equal(second.metadata.unchanged, 1);
});

test('a file that changed while it was read is read again the next time', async () => {
  await using directory = await tempDirectory();
  makeTree(directory.path);
  const options = filesOptions([directory.path]);
  const first = await backUpFiles(options);
  const changed = first.memory.entries.findIndex(({ path }) => path === 'large');
  const entry = first.memory.entries[changed];
  assert.ok(entry !== undefined);
  first.memory.entries[changed] = { ...entry, meta: { ...entry.meta, changed: true } };
  const second = await backUpFiles(options, { after: first });
  assert.equal(second.metadata.unchanged, 3);
  assert.equal('changed' in second.memory.entry('large').meta, false);
});

test('a backup of another machine is not built on', async () => {
  await using directory = await tempDirectory();
  makeTree(directory.path);
  const first = await backUpFiles(filesOptions([directory.path]));
  const second = await backUpFiles(filesOptions([directory.path], { host: 'another' }), { after: first });
  assert.equal(second.metadata.unchanged, 0);
});

test('what the repository has lost is read again', async () => {
  await using directory = await tempDirectory();
  makeTree(directory.path);
  const options = filesOptions([directory.path]);
  const first = await backUpFiles(options);
  first.memory.gone.add(first.memory.entry('large').stream?.root ?? '');
  const read = counting();
  const second = await backUpFiles(options, { after: first, change: read.change });
  assert.deepEqual(read.paths, [join(directory.path, 'large')]);
  assert.equal(lines(second.entries), lines(first.entries));
});

test('where the list of the backup before is damaged, the rest is read as the first time, and the log says so', async () => {
  await using directory = await tempDirectory();
  makeTree(directory.path);
  const options = filesOptions([directory.path]);
  const first = await backUpFiles(options);
  const logged: string[] = [];
  const change = (context: BackupContext): BackupContext => {
    const { previous } = context;
    assert.ok(previous !== null);
    async function* entries(): AsyncGenerator<Entry> {
      let count = 0;
      for await (const entry of previous?.entries() ?? []) {
        count += 1;
        if (count > 5) throw new Error('a chunk is damaged');
        yield entry;
      }
    }
    const log = { ...context.log, warn: (message: string) => void logged.push(message) };
    return { ...context, log, previous: { ...previous, entries } };
  };
  const second = await backUpFiles(options, { after: first, change });
  assert.equal(lines(second.entries), lines(first.entries));
  assert.ok(second.metadata.unchanged > 0 && second.metadata.unchanged < 4);
  assert.equal(logged.length, 1);
});

test('extended attributes are kept without being read again, and read again when they were not known', async (context) => {
  await using helper = await PosixHelper.start(new AbortController().signal);
  if (helper === null) return context.skip('needs perl on Linux (x86_64 or aarch64)');
  await using directory = await tempDirectory();
  const path = join(directory.path, 'file');
  writeFileSync(path, 'x');
  await helper.setXattrs(Buffer.from(path), { 'user.b': 'eA==', 'user.a': 'eQ==' });
  const [on, off] = (['auto', 'off'] as const).map((xattrs) => filesOptions([directory.path], { xattrs }));
  assert.ok(on !== undefined && off !== undefined);
  const first = await backUpFiles(on);
  const second = await backUpFiles(on, { after: first });
  assert.equal(lines(second.entries), lines(first.entries));
  const without = await backUpFiles(off, { after: second });
  assert.equal(without.metadata.unchanged, 1);
  assert.equal('xattrs' in without.memory.entry('file').meta, false);
  const again = await backUpFiles(on, { after: without });
  assert.equal(again.metadata.unchanged, 1);
  assert.equal(lines(again.entries), lines(first.entries));
});
