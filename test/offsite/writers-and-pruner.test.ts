import assert from 'node:assert/strict';
import { test } from 'node:test';
import { cephBucket, withoutCeph } from '../../testing/ceph.ts';
import { randomFrom } from '../../testing/cluster-workload.ts';
import { repositoryInBucket } from './s3-settings.ts';
import { Owner } from './trial-owner.ts';
import { Processes } from './trial-processes.ts';
import { Trial } from './trial-world.ts';

// Several writers and a pruner on one bucket, killed and begun again at random. What the writers know must come back byte
// for byte; what nobody needs must go. HOLDFAST_TRIAL_MINUTES=10 has ten writers for ten minutes.

const minutes = Number(process.env['HOLDFAST_TRIAL_MINUTES'] ?? 0);
const seed = Number(process.env['HOLDFAST_SEED'] ?? Math.floor(Math.random() * 1e6));
const writers = minutes > 0 ? 10 : 4;
const workMs = minutes > 0 ? minutes * 60_000 : 16_000;
// Long enough that a backup comes to its end within half of it.
const grace = minutes > 0 ? '20s' : '8s';
const mib = 2 ** 20;

test(
  `${writers} writers and a pruner in one bucket, killed at random (HOLDFAST_SEED=${seed})`,
  { skip: withoutCeph(), timeout: workMs + 900_000 },
  async (t) => {
    const bucket = await cephBucket();
    const random = randomFrom(seed);
    using processes = new Processes(random);
    const until = performance.now() + workMs;
    const options = { writers, grace, until, phaseMs: minutes > 0 ? 4000 : 1500 };
    const trial = new Trial(processes, random, repositoryInBucket(bucket), options);
    await using box = await trial.box();
    const owner = new Owner(box, bucket, t);
    await owner.ok('init');
    await trial.run();
    t.diagnostic(
      [...processes.counts]
        .map(([what, count]) => `${what}: ${count}`)
        .toSorted()
        .join(', '),
    );
    const peaks = [...processes.peaks].map(([command, bytes]) => `${command} ${Math.round(bytes / mib)} MiB`);
    t.diagnostic(`peak memory: ${peaks.join(', ')}`);
    assert.deepEqual(trial.unexpected, []);

    await owner.allRestores(trial);
    await owner.spaceComesBack(trial);
    for (const [command, bytes] of processes.peaks)
      assert.ok(bytes < 512 * mib, `${command} took ${Math.round(bytes / mib)} MiB`);
    assert.ok(
      [...processes.counts].some(([what]) => what.endsWith(' killed')),
      'something was killed',
    );
  },
);
