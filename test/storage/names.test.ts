import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import fc from 'fast-check';
import { openFsStorage } from '../../src/storage/fs/open.ts';
import { MemoryStorage } from '../../src/storage/memory/memory-storage.ts';
import { assertListPrefix, isObjectName } from '../../src/storage/names.ts';
import { namesOf, rejectsWith } from '../../testing/storage-conformance.ts';
import { temporaryDirectory, TestClock } from './support.ts';

const segments = fc.stringMatching(/^[a-c0_-][a-c0._-]{0,3}$/);
const objectNames = fc.array(segments, { minLength: 1, maxLength: 4 }).map((parts) => parts.join('/'));

test('every made name is a name, and every beginning of it a prefix', () => {
  fc.assert(
    fc.property(objectNames, (name) => {
      assert.ok(isObjectName(name));
      for (let end = 0; end <= name.length; end += 1) assertListPrefix(name.slice(0, end));
    }),
  );
});

test('no text that leads out of a directory or hides is a name', () => {
  fc.assert(
    fc.property(
      fc.string({ unit: fc.constantFrom('a', '.', '/', '\\', '\0', ' ', 'A', 'ß'), maxLength: 8 }),
      (text) => {
        const parts = text.split('/');
        const good = parts.every((part) => /^a[a.]*$/.test(part));
        assert.equal(isObjectName(text), good, JSON.stringify(text));
      },
    ),
  );
});

test('a long name is shortened in the message, and its characters are escaped', async () => {
  const storage = new MemoryStorage(new TestClock());
  const error = await rejectsWith('storage_name', storage.get(`\u001b[31m${'x'.repeat(5000)}`));
  assert.ok(error.message.length < 300);
  assert.ok(!error.message.includes('\u001b'));
});

test('memory and file system list any set of names alike, for any prefix', async () => {
  await using place = await temporaryDirectory();
  let run = 0;
  await fc.assert(
    fc.asyncProperty(fc.uniqueArray(objectNames, { maxLength: 15 }), async (candidates) => {
      // A file system cannot have a name that is a folder of another.
      const names = candidates.filter((name) => !candidates.some((other) => other.startsWith(`${name}/`)));
      const memory = new MemoryStorage(new TestClock());
      const files = await openFsStorage(join(place.path, String((run += 1))), { create: true });
      for (const name of names)
        await Promise.all([memory.put(name, Buffer.from(name)), files.put(name, Buffer.from(name))]);
      const prefixes = new Set([
        '',
        ...names.flatMap((name) => Array.from(name, (_, end) => name.slice(0, end + 1))),
      ]);
      for (const prefix of prefixes) {
        const expected = await namesOf(memory.list(prefix));
        assert.deepEqual(await namesOf(files.list(prefix)), expected, `prefix ${prefix}`);
        assert.deepEqual(expected, expected.toSorted());
      }
    }),
    { numRuns: 25 },
  );
});
