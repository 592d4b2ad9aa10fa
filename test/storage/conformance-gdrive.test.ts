import { silentLogger } from '../../src/kernel/log.ts';
import type { Storage } from '../../src/storage/port.ts';
import { everyNth, type Fault } from '../../src/storage/wrap/fault-plan.ts';
import { withFaults } from '../../src/storage/wrap/faults.ts';
import { withLimit } from '../../src/storage/wrap/limit.ts';
import { withLog } from '../../src/storage/wrap/log.ts';
import { withRetry } from '../../src/storage/wrap/retry.ts';
import { storageConformance } from '../../testing/storage-conformance.ts';
import { drivePlace } from './gdrive-support.ts';
import { TestClock } from './support.ts';

type Wrap = (storage: Storage) => Storage;

// Small pages and pieces, so that a few objects go the ways of many and large ones.
function folder(wrap: Wrap) {
  return async () => {
    const place = await drivePlace({ chunk_size: '1MiB' });
    place.server.pageFiles = 40;
    const open = async (): Promise<Storage> => wrap(await place.open());
    return { storage: await open(), cleanup: place.remove, second: open };
  };
}

const wrapped: Wrap = (storage) => {
  const clock = new TestClock();
  const retried = withRetry(storage, { clock, random: () => 0.5 });
  return withLog(withLimit(retried, { concurrency: 4 }), silentLogger, clock);
};

const faulty =
  (fault: Fault): Wrap =>
  (storage) => {
    const clock = new TestClock();
    const broken = withFaults(storage, everyNth(3, fault), clock);
    return withRetry(broken, { clock, random: () => 0.5, attempts: 8 });
  };

const scale = { objects: 100, largeBytes: 6_000_000 };
storageConformance(
  'gdrive',
  folder((storage) => storage),
  scale,
);
storageConformance('gdrive with retry, limit and log', folder(wrapped), scale);
storageConformance('gdrive, every third call failing before', folder(faulty({ kind: 'fail_before' })), scale);
storageConformance('gdrive, every third answer lost', folder(faulty({ kind: 'fail_after' })), scale);
storageConformance('gdrive, every third write torn', folder(faulty({ kind: 'torn_write' })), scale);
