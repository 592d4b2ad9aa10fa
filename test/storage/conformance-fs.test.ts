import { join } from 'node:path';
import { silentLogger } from '../../src/kernel/log.ts';
import { openFsStorage } from '../../src/storage/fs/open.ts';
import type { Storage } from '../../src/storage/port.ts';
import { everyNth, type Fault } from '../../src/storage/wrap/fault-plan.ts';
import { withFaults } from '../../src/storage/wrap/faults.ts';
import { withLimit } from '../../src/storage/wrap/limit.ts';
import { withLog } from '../../src/storage/wrap/log.ts';
import { withRetry } from '../../src/storage/wrap/retry.ts';
import { storageConformance } from '../../testing/storage-conformance.ts';
import { withoutHardLinks } from './fs-calls.ts';
import { temporaryDirectory, TestClock } from './support.ts';

type Open = (directory: string) => Promise<Storage>;

function files(open: Open) {
  return async () => {
    const place = await temporaryDirectory();
    const directory = join(place.path, 'repository');
    return { storage: await open(directory), cleanup: place.remove, second: () => open(directory) };
  };
}

const plain: Open = (directory) => openFsStorage(directory, { create: true });

const wrapped: Open = async (directory) => {
  const clock = new TestClock();
  const retried = withRetry(await plain(directory), { clock, random: () => 0.5 });
  return withLog(withLimit(retried, { concurrency: 4 }), silentLogger, clock);
};

const faulty =
  (fault: Fault): Open =>
  async (directory) => {
    const clock = new TestClock();
    const broken = withFaults(await plain(directory), everyNth(3, fault), clock);
    return withRetry(broken, { clock, random: () => 0.5, attempts: 8 });
  };

const smaller = { objects: 300, largeBytes: 5_000_000 };
storageConformance('fs', files(plain));
storageConformance('fs with retry, limit and log', files(wrapped), smaller);
storageConformance('fs, every third call failing before', files(faulty({ kind: 'fail_before' })), smaller);
storageConformance('fs, every third answer lost', files(faulty({ kind: 'fail_after' })), smaller);
storageConformance('fs, every third write torn', files(faulty({ kind: 'torn_write' })), smaller);
storageConformance(
  'fs without hard links',
  files((directory) => openFsStorage(directory, { create: true, calls: withoutHardLinks })),
  smaller,
);
