/**
 * Writes the golden repositories with WAL of format 1 into test/golden/. They are made once for each format version and
 * never again: every later Holdfast must read what this one wrote.
 */
import { cpSync, existsSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { systemClock } from '../src/kernel/clock.ts';
import { openFsStorage } from '../src/storage/fs/open.ts';
import {
  goldenFacts,
  goldenFiles,
  goldenStretches,
  goldenWalInfo,
  goldenWalVariants,
} from '../testing/golden-wal.ts';
import { makeRepository } from '../testing/repository.ts';

for (const { name, encrypted } of goldenWalVariants) {
  const target = new URL(`../test/golden/${name}/`, import.meta.url);
  if (existsSync(target)) throw new Error(`${target.pathname} is there already`);
  const work = mkdtempSync(join(tmpdir(), 'holdfast-golden-'));
  const storage = await openFsStorage(join(work, 'repository'), { create: true, clock: systemClock });
  {
    await using repository = await makeRepository(storage, { encrypted });
    const archive = await repository.walArchive(goldenWalInfo);
    for (const stretch of goldenStretches) await archive.put(stretch, goldenFacts);
    for (const [file, bytes] of Object.entries(goldenFiles)) await archive.putFile(file, bytes);
  }
  mkdirSync(target, { recursive: true });
  cpSync(join(work, 'repository'), target, {
    recursive: true,
    filter: (path) => !path.includes('/.'),
  });
  rmSync(work, { recursive: true, force: true });
}
