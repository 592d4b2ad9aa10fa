import assert from 'node:assert/strict';
import { linkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { Emitter } from '../../src/sources/files/backup/emitter.ts';
import { LinkTable } from '../../src/sources/files/backup/links.ts';
import { Notes } from '../../src/sources/files/backup/notes.ts';
import { scan, type ScannedFile } from '../../src/sources/files/backup/scan.ts';
import { UnitReader } from '../../src/sources/files/backup/unit-reader.ts';
import { planUnit } from '../../src/sources/files/backup/units.ts';
import { entryKinds } from '../../src/sources/files/metadata.ts';
import { MemoryBackup } from '../../testing/memory-backup.ts';
import { tempDirectory } from '../../testing/temp.ts';

const anyStream = { size_bytes: 6, root: null, depth: 0 };

for (const changedBetween of [false, true]) {
  const what = changedBetween ? 'is read when the file changed after its' : 'links to its';
  test(`a further name ${what} unchanged first name was looked at`, async () => {
    await using directory = await tempDirectory();
    const path = (name: string): string => join(directory.path, name);
    writeFileSync(path('one'), 'shared');
    linkSync(path('one'), path('two'));
    const root = { given: directory.path, path: directory.path, at: '.', isDirectory: true };
    const options = { exclude: [], include: [], ignoreFile: '', excludeCaches: false, oneFileSystem: false };
    const [batch] = [...scan({ ...options, roots: [root], namesInMemory: 10 })];
    assert.ok(batch);
    const found = batch.found.map((one) =>
      changedBetween && one.path === 'two' ? { ...(one as ScannedFile), ctime: `${Date.now()}000000` } : one,
    );
    const memory = new MemoryBackup();
    const context = memory.backupContext();
    using links = new LinkTable(10);
    const unit = await planUnit({ ...batch, found }, root, links, undefined, context);
    for (const slot of unit.slots)
      if (slot.found.path === 'one')
        Object.assign(slot, { how: 'known', known: { stream: anyStream, sparse: false, xattrs: {} } });
    const reader = new UnitReader(context, context.signal, null, () => Date.now() + 3_600_000);
    await new Emitter(context, reader, links, new Notes([], 1)).add(await reader.read(unit));
    assert.equal(memory.entry('two').kind, changedBetween ? entryKinds.file : entryKinds.hardlink);
    if (changedBetween) assert.equal(memory.content('two').toString(), 'shared');
  });
}
