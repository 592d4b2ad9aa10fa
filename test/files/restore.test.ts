import assert from 'node:assert/strict';
import { statSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { tempDirectory } from '../../testing/temp.ts';
import {
  attributes,
  differences,
  listing,
  makeTree,
  opened,
  restoreTo,
  treeBackup,
} from './restore-support.ts';

test('everything comes back as it was', async () => {
  await using work = await tempDirectory();
  const original = join(work.path, 'original');
  const restored = join(work.path, 'new', 'restored');
  await makeTree(original);
  await using _opened = opened(work.path);
  const memory = await treeBackup(original);
  const result = await restoreTo(memory, restored);
  assert.deepEqual(result.warnings, []);
  assert.equal(await differences(original, restored), '');
  assert.deepEqual(await listing(restored), await listing(original));
  assert.equal(await attributes(restored), await attributes(original));
  assert.equal(result.checked, result.files);
  for (const name of ['sparse', 'hole']) {
    assert.ok(statSync(join(restored, name)).blocks <= statSync(join(original, name)).blocks, name);
  }
  assert.equal(statSync(join(restored, 'full')).blocks, statSync(join(original, 'full')).blocks);
  assert.equal(memory.bytesRead, memory.bytesTotal);
});
