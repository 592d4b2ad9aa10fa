import assert from 'node:assert/strict';
import { cpSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { systemClock } from '../../src/kernel/clock.ts';
import { openFsStorage } from '../../src/storage/fs/open.ts';
import {
  goldenFacts,
  goldenFiles,
  goldenStretches,
  goldenWalInfo,
  goldenWalVariants,
} from '../../testing/golden-wal.ts';
import { openTestRepository } from '../../testing/repository.ts';
import { failureOf } from '../../testing/wal-archive.ts';

for (const variant of goldenWalVariants) {
  test(`WAL that the first version stored is found, read and added to: ${variant.name}`, async (t) => {
    const directory = mkdtempSync(join(tmpdir(), 'holdfast-golden-'));
    t.after(() => rmSync(directory, { recursive: true, force: true }));
    cpSync(fileURLToPath(new URL(`../golden/${variant.name}`, import.meta.url)), directory, {
      recursive: true,
    });
    const storage = await openFsStorage(directory, { create: false, clock: systemClock });
    await using repository = await openTestRepository(storage, { encrypted: variant.encrypted });
    const archive = await repository.walArchive(goldenWalInfo);
    assert.deepEqual(await Array.fromAsync(repository.walArchiveIds()), [archive.id]);
    const timelines = [...new Set(goldenStretches.map(({ timeline }) => timeline))];
    assert.deepEqual(await archive.timelines(), timelines);
    const found = [];
    for (const timeline of timelines) {
      for await (const stretch of archive.stretches(timeline)) {
        assert.deepEqual(await archive.facts(stretch), goldenFacts);
        found.push({ timeline, start: stretch.start, bytes: await archive.read(stretch) });
      }
    }
    assert.equal(found.length, goldenStretches.length);
    for (const [index, { timeline, start, bytes }] of goldenStretches.entries()) {
      assert.deepEqual([found[index]?.timeline, found[index]?.start], [timeline, start]);
      assert.equal(Buffer.compare(found[index]?.bytes ?? new Uint8Array(0), bytes), 0);
      assert.equal(await archive.put({ timeline, start, bytes }, goldenFacts), 'already_there');
      const other = bytes.with(bytes.length - 1, (bytes.at(-1) ?? 0) ^ 1);
      const error = await failureOf(archive.put({ timeline, start, bytes: other }, goldenFacts));
      assert.equal(error.errorName, 'wal_differs');
    }
    assert.deepEqual(
      (await Array.fromAsync(archive.files())).toSorted(),
      Object.keys(goldenFiles).toSorted(),
    );
    for (const [name, bytes] of Object.entries(goldenFiles))
      assert.deepEqual(Buffer.from((await archive.getFile(name)) ?? []), Buffer.from(bytes));
  });
}
