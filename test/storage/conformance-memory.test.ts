import { silentLogger } from '../../src/kernel/log.ts';
import { MemoryStorage } from '../../src/storage/memory/memory-storage.ts';
import type { Storage } from '../../src/storage/port.ts';
import { everyNth, type Fault } from '../../src/storage/wrap/fault-plan.ts';
import { withFaults } from '../../src/storage/wrap/faults.ts';
import { withLimit } from '../../src/storage/wrap/limit.ts';
import { withLog } from '../../src/storage/wrap/log.ts';
import { withRetry } from '../../src/storage/wrap/retry.ts';
import { storageConformance } from '../../testing/storage-conformance.ts';
import { TestClock } from './support.ts';

function memory(wrap: (storage: Storage, clock: TestClock) => Storage) {
  return async () => {
    const clock = new TestClock();
    const inner = new MemoryStorage(clock);
    return { storage: wrap(inner, clock), cleanup: async () => {}, second: async () => wrap(inner, clock) };
  };
}

const retried = (storage: Storage, clock: TestClock): Storage =>
  withRetry(storage, { clock, random: () => 0.5, attempts: 8 });

const wrapped = (storage: Storage, clock: TestClock): Storage =>
  withLog(withLimit(retried(storage, clock), { concurrency: 3 }), silentLogger, clock);

const faulty = (fault: Fault) => (storage: Storage, clock: TestClock) =>
  retried(withFaults(storage, everyNth(3, fault), clock), clock);

storageConformance(
  'memory',
  memory((storage) => storage),
);
storageConformance('memory with retry, limit and log', memory(wrapped));
storageConformance('memory, every third call failing before', memory(faulty({ kind: 'fail_before' })));
storageConformance('memory, every third answer lost', memory(faulty({ kind: 'fail_after' })));
storageConformance('memory, every third list broken off', memory(faulty({ kind: 'list_fail', items: 2 })));
