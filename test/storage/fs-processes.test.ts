import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readdir, utimes } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { openFsStorage } from '../../src/storage/fs/open.ts';
import { assertSame, namesOf, pattern } from '../../testing/storage-conformance.ts';
import { seededRandom, temporaryDirectory } from './support.ts';
import { WriterProcess } from './writer-process.ts';

test('two processes put the same objects at once, the directory included: both succeed', async () => {
  await using place = await temporaryDirectory();
  const directory = join(place.path, 'new/repository');
  await using one = new WriterProcess(directory);
  await using two = new WriterProcess(directory);
  assert.deepEqual(await Promise.all([one.next(), two.next()]), ['ready', 'ready']);
  for (let seed = 0; seed < 20; seed += 1) {
    const command = { put: `a/${seed}/b`, seed, size: 200_000 };
    one.tell(command);
    two.tell(command);
  }
  const storage = await openFsStorage(directory, { create: false });
  for (let seed = 0; seed < 20; seed += 1) {
    assert.deepEqual(await Promise.all([one.next(), two.next()]), ['done', 'done']);
    assertSame(await storage.get(`a/${seed}/b`), pattern(200_000, seed));
  }
});

test('two processes put different objects under one name: exactly one wins, whole', async () => {
  await using place = await temporaryDirectory();
  await using one = new WriterProcess(place.path);
  await using two = new WriterProcess(place.path);
  assert.deepEqual(await Promise.all([one.next(), two.next()]), ['ready', 'ready']);
  for (let round = 0; round < 20; round += 1) {
    one.tell({ put: `x/${round}`, seed: 1, size: 100_000 });
    two.tell({ put: `x/${round}`, seed: 2, size: 100_000 });
  }
  const storage = await openFsStorage(place.path, { create: false });
  for (let round = 0; round < 20; round += 1) {
    const answers = await Promise.all([one.next(), two.next()]);
    const winner = answers.indexOf('done') + 1;
    const loser = answers[2 - winner] as { failed: string };
    assert.ok(winner > 0, JSON.stringify(answers));
    assert.equal(loser.failed, 'object_exists');
    assertSame(await storage.get(`x/${round}`), pattern(100_000, winner));
  }
});

test('kill -9 of a writer at random moments: only whole objects, none it reported is missing, litter is swept', async () => {
  const seed = Math.floor(Math.random() * 2 ** 31);
  const random = seededRandom(seed);
  await using place = await temporaryDirectory();
  const reported = new Set<unknown>();
  let from = 0;
  const round = async (): Promise<void> => {
    await using writer = new WriterProcess(place.path);
    assert.equal(await writer.next(), 'ready');
    writer.tell({ endless: 1_500_000, from: (from += 1000) });
    await delay(random() * 60);
    for (const name of await writer.kill()) reported.add(name);
  };
  for (let i = 0; i < 15; i += 1) await Promise.all([round(), round()]);

  const storage = await openFsStorage(place.path, { create: false });
  const names = await namesOf(storage.list(''));
  for (const name of names) {
    const hash = createHash('sha256')
      .update(await storage.get(name))
      .digest('hex');
    assert.equal(name, `objects/${hash}`, `seed ${seed}`);
  }
  for (const name of reported)
    assert.ok(names.includes(String(name)), `${String(name)} was reported done; seed ${seed}`);
  await assertSwept(place.path);
});

/** Young litter stays, as it may be another writer's; at 25 hours it goes, by the times the storage gives. */
async function assertSwept(directory: string): Promise<void> {
  const litter = await readdir(join(directory, '.tmp'));
  assert.ok(litter.length > 0, 'thirty kills leave some unfinished file behind');
  const [young, ...old] = litter.toSorted();
  await openFsStorage(directory, { create: true });
  assert.deepEqual((await readdir(join(directory, '.tmp'))).toSorted(), litter.toSorted());
  const yesterday = new Date(Date.now() - 25 * 3600 * 1000);
  for (const name of old) await utimes(join(directory, '.tmp', name), yesterday, yesterday);
  await openFsStorage(directory, { create: true });
  assert.deepEqual(await readdir(join(directory, '.tmp')), [young]);
}
