import assert from 'node:assert/strict';
import { test } from 'node:test';
import { recoverableOf } from '../../src/app/recoverable.ts';
import { unscannedFacts } from '../../src/contract/wal.ts';
import { addToLsn } from '../../src/postgres/lsn.ts';
import { segmentBytes } from '../../testing/recovery-model.ts';
import { ClusterWorld, modelBegin } from './cluster-world.ts';

test('how far many backups recover is found by one look at the archive', async () => {
  const world = await ClusterWorld.make();
  const { archive, storage } = world;
  const bytes = new Uint8Array(segmentBytes);
  const last = {
    ...unscannedFacts,
    scanned: true,
    transactions: 1,
    first_at_us: 1,
    last_at_us: Date.parse('2026-11-21T21:00:00Z') * 1000,
  };
  const count = 300;
  for (let index = 0; index < count; index += 1)
    await archive.put({ timeline: 1, start: addToLsn(modelBegin, index * segmentBytes), bytes }, last, {
      unseen: true,
    });
  const manifests = [];
  for (let index = 0; index < 30; index += 1) {
    const start = addToLsn(modelBegin, index * segmentBytes);
    manifests.push(await world.backUp(1, start, addToLsn(start, 8192)));
  }
  const reads = { get: 0, list: 0 };
  const { get, list } = { get: storage.get.bind(storage), list: storage.list.bind(storage) };
  storage.get = (...args) => ((reads.get += 1), get(...args));
  storage.list = (...args) => ((reads.list += 1), list(...args));
  const found = await recoverableOf(world.repository, manifests, new AbortController().signal);
  assert.equal(found.size, 30);
  for (const { to, gap } of found.values()) assert.deepEqual([to?.at, gap], ['2026-11-21T21:00:00Z', null]);
  assert.ok(reads.get <= 12 && reads.list <= 8, JSON.stringify(reads));
});
