/**
 * Writes the golden repositories of format 1 into test/golden/. They are made once for each format version and never
 * again: every later Holdfast must open what this one wrote.
 */
import { cpSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { systemClock } from '../src/kernel/clock.ts';
import { openFsStorage } from '../src/storage/fs/open.ts';
import { goldenContents, goldenVariants } from '../testing/golden.ts';
import { backUp, bytesSource, makeRepository } from '../testing/repository.ts';

for (const variant of goldenVariants) {
  const work = mkdtempSync(join(tmpdir(), 'holdfast-golden-'));
  const storage = await openFsStorage(join(work, 'repository'), { create: true, clock: systemClock });
  {
    await using repository = await makeRepository(storage, { encrypted: variant.encrypted });
    for (const contents of goldenContents) {
      await backUp(repository, bytesSource(contents, variant.chunking), { compression: variant.compression });
    }
  }
  const target = new URL(`../test/golden/${variant.name}/`, import.meta.url);
  rmSync(target, { recursive: true, force: true });
  mkdirSync(target, { recursive: true });
  cpSync(join(work, 'repository'), target, {
    recursive: true,
    filter: (path) => !path.includes('/.'),
  });
  rmSync(work, { recursive: true, force: true });
}
