import assert from 'node:assert/strict';
import { readFile, rename, symlink, writeFile, type FileHandle, open } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import fc from 'fast-check';
import { DirectWriter } from '../../src/sources/direct-write.ts';
import { tempDirectory } from '../../testing/temp.ts';

async function written(path: string, pieces: readonly Uint8Array[], handle: FileHandle): Promise<Buffer> {
  const writer = await DirectWriter.open(handle, path);
  try {
    for (const piece of pieces) {
      const lent = Uint8Array.from(piece);
      await writer.write(lent);
      lent.fill(0xee); // It was promised that it may be used otherwise.
    }
    await writer.finish();
  } finally {
    await writer.close();
    await handle.close();
  }
  return await readFile(path);
}

test('what is written in pieces of any size is in the file', async () => {
  await using place = await tempDirectory();
  let count = 0;
  const sizes = fc.array(fc.oneof(fc.nat(9000), fc.nat(3 * 1024 * 1024), fc.constant(4096)), {
    maxLength: 6,
  });
  await fc.assert(
    fc.asyncProperty(sizes, async (lengths) => {
      const pieces = lengths.map((length, index) => new Uint8Array(length).map((_, at) => at * 31 + index));
      count += 1;
      const path = join(place.path, String(count));
      assert.ok((await written(path, pieces, await open(path, 'wx'))).equals(Buffer.concat(pieces)));
    }),
    { numRuns: 40 },
  );
});

test('a file that takes the place of the one that is open is not written to', async () => {
  await using place = await tempDirectory();
  const [path, moved, other] = ['new', 'moved', 'other'].map((name) => join(place.path, name));
  const handle = await open(path ?? '', 'wx');
  await rename(path ?? '', moved ?? '');
  await writeFile(other ?? '', 'theirs');
  await symlink(other ?? '', path ?? '');
  const content = Buffer.alloc(100_000, 7);
  await written(path ?? '', [content], handle);
  assert.equal(await readFile(other ?? '', 'utf8'), 'theirs');
  assert.ok((await readFile(moved ?? '')).equals(content));
});
