import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { systemClock, type Clock } from '../../src/kernel/clock.ts';
import { cephBucket, withoutCeph } from '../../testing/ceph.ts';
import { randomFrom } from '../../testing/cluster-workload.ts';
import { faultProxy, hostileNetwork } from '../../testing/fault-proxy.ts';
import { hostileLife } from './hostile-life.ts';
import { repositoryInBucket } from './s3-settings.ts';
import { Owner } from './trial-owner.ts';
import { trialBox } from './trial-world.ts';

// The whole product through a network that delays, refuses, tears uploads, loses answers and shows old listings: no backup
// that was said to be done is lost, and no byte of any that is visible. HOLDFAST_TRIAL_OPERATIONS=10000 for the full trial.

const operations = Number(process.env['HOLDFAST_TRIAL_OPERATIONS'] ?? 300);
const seed = Number(process.env['HOLDFAST_SEED'] ?? Math.floor(Math.random() * 1e6));
const writers = 2;
/** Listings lag behind by less than a tenth of the grace: that is what a grace is for. */
const lagMs = 500;
const grace = operations > 2000 ? '10s' : '5s';

/** Real time, but for pauses between tries: they would be most of it. */
const impatient: Clock = {
  now: () => systemClock.now(),
  monotonicNs: () => systemClock.monotonicNs(),
  sleep: (ms, signal) => delay(ms / 10, undefined, { signal }),
};

test(
  `${operations} operations of the whole product over a hostile network (HOLDFAST_SEED=${seed})`,
  { skip: withoutCeph(), timeout: 120_000 + operations * 400 },
  async (t) => {
    const random = randomFrom(seed);
    const bucket = await cephBucket();
    let asked = 0;
    const hostile = hostileNetwork(random, 0.2, lagMs);
    await using proxy = await faultProxy(bucket.port, (request) => {
      asked += 1;
      return hostile(request);
    });
    const settings = { part_size: '5MiB', connect_timeout: '5s', timeout: '15s' };
    await using direct = await trialBox(repositoryInBucket(bucket), { writers });
    const owner = new Owner(direct, bucket, t);
    await owner.ok('init');
    const life = await hostileLife({
      random,
      clock: impatient,
      settings: repositoryInBucket({ ...bucket, endpoint: proxy.endpoint }, settings),
      writers,
      grace,
      isOver: () => asked >= operations,
    });
    t.diagnostic(
      [...life.counts]
        .map(([what, count]) => `${what}: ${count}`)
        .toSorted()
        .join(', '),
    );
    const faults = Object.entries(proxy.counts).map(([kind, count]) => `${kind} ${count}`);
    t.diagnostic(`${asked} requests: ${faults.join(', ')}`);
    assert.deepEqual(life.unexpected, []);
    await owner.allRestores(life);
    await owner.spaceComesBack(life);
    for (const kind of ['answer', 'cut_before', 'cut_upload', 'lose_answer', 'cut_answer', 'stale_list'])
      assert.ok((proxy.counts[kind] ?? 0) > 0, `${kind} came to pass`);
  },
);
