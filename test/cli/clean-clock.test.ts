import assert from 'node:assert/strict';
import { test } from 'node:test';
import { calendar, day, hour } from './retention-kit.ts';

test('clean counts periods from the clock of the storage where that of the machine is ahead, and says so', async () => {
  await using the = await calendar('retention: { keep_within: 60000d }\n');
  const made = await the.backUp([hour, day]);
  // The storage's clock is that of the file system: the real one.
  await the.clock.advance(70_000 * day);
  const { stderr } = await the.ok('clean', '--yes');
  assert.match(stderr, /the clock of this machine is ahead of the storage's: here it is 2218-/);
  assert.deepEqual(await the.ids(), made);
  await the.configure('retention: { keep_last: 1 }\nsources:\n  docs: { type: files, paths: [docs] }\n');
  await the.ok('clean', '--yes');
  assert.deepEqual(await the.ids(), made.slice(-1), 'what is counted does not depend on the time');
});
