import { after } from 'node:test';
import { azureSchema } from '../../src/contract/config-azure.ts';
import { silentLogger } from '../../src/kernel/log.ts';
import { openAzureStorage } from '../../src/storage/azure/open.ts';
import type { Storage } from '../../src/storage/port.ts';
import { withFaults } from '../../src/storage/wrap/faults.ts';
import { withLimit } from '../../src/storage/wrap/limit.ts';
import { withLog } from '../../src/storage/wrap/log.ts';
import { withRetry } from '../../src/storage/wrap/retry.ts';
import { startAzurite } from '../../testing/azurite.ts';
import { storageConformance } from '../../testing/storage-conformance.ts';
import { TestClock } from './support.ts';

type Wrap = (storage: Storage) => Storage;

const scale = { objects: 150, largeBytes: 3_000_000 };
const service = await startAzurite();
after(() => service[Symbol.asyncDispose]());

const plain: Wrap = (storage) => storage;

const wrapped: Wrap = (storage) => {
  const clock = new TestClock();
  const retried = withRetry(storage, { clock, random: () => 0.5 });
  return withLog(withLimit(retried, { concurrency: 4 }), silentLogger, clock);
};

const kinds = ['fail_before', 'fail_after', 'torn_write'] as const;

/** Every third call goes wrong, in each of the ways in turn. */
const faulty: Wrap = (storage) => {
  const clock = new TestClock();
  const broken = withFaults(
    storage,
    ({ index }) => (index % 3 === 0 ? { kind: kinds[(index / 3) % 3] ?? 'fail_before' } : undefined),
    clock,
  );
  return withRetry(broken, { clock, random: () => 0.5, attempts: 8 });
};

function places(wrap: Wrap, prefix: string, blockSize: string) {
  return async () => {
    const container = await service.newContainer();
    const { account, key: account_key, endpoint } = service;
    const settings = azureSchema.parse({ account, account_key, endpoint, block_size: blockSize });
    const open = async (): Promise<Storage> =>
      wrap(
        await openAzureStorage({ scheme: 'azure', container, prefix }, { create: true, settings, env: {} }),
      );
    return { storage: await open(), cleanup: async () => {}, second: open };
  };
}

storageConformance('azure', places(plain, '', '32MiB'), scale);
storageConformance('azure in a folder, in blocks', places(plain, 'some/folder/', '1MiB'), scale);
storageConformance('azure with retry, limit and log', places(wrapped, 'folder/', '1MiB'), scale);
storageConformance('azure, every third call going wrong', places(faulty, 'folder/', '1MiB'), scale);
