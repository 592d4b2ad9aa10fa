import assert from 'node:assert/strict';
import { cpSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { systemClock } from '../../src/kernel/clock.ts';
import { silentLogger } from '../../src/kernel/log.ts';
import { verifyRepository } from '../../src/operations/verify.ts';
import { openFsStorage } from '../../src/storage/fs/open.ts';
import { goldenContents, goldenVariants } from '../../testing/golden.ts';
import {
  backUp,
  bytesSource,
  openTestRepository,
  readBack,
  silentProgress,
} from '../../testing/repository.ts';

const signal = new AbortController().signal;
const verifyOptions = { signal, log: silentLogger, jobs: 1, progress: silentProgress, readData: true };

for (const variant of goldenVariants) {
  test(`a repository written by the first version opens, verifies, restores and takes more: ${variant.name}`, async (t) => {
    const directory = mkdtempSync(join(tmpdir(), 'holdfast-golden-'));
    t.after(() => rmSync(directory, { recursive: true, force: true }));
    cpSync(fileURLToPath(new URL(`../golden/${variant.name}`, import.meta.url)), directory, {
      recursive: true,
    });
    const storage = await openFsStorage(directory, { create: false, clock: systemClock });
    await using repository = await openTestRepository(storage, { encrypted: variant.encrypted });
    const names = await repository.names();
    assert.equal(names.length, goldenContents.length);
    for (const [index, name] of names.entries()) {
      const manifest = await repository.manifest(name);
      assert.deepEqual(await readBack(repository, manifest), goldenContents[index]);
    }
    assert.deepEqual((await verifyRepository(repository, verifyOptions)).problems, []);
    const [first = {}] = goldenContents;
    const again = await backUp(repository, bytesSource(first, variant.chunking), {
      compression: variant.compression,
    });
    // Chunk boundaries and ids are part of the format's promise: the same bytes are found again.
    assert.ok(again.stats.bytes_added < 4_000, `${again.stats.bytes_added} bytes`);
  });
}
