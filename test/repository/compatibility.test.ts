import assert from 'node:assert/strict';
import { test } from 'node:test';
import { systemClock } from '../../src/kernel/clock.ts';
import { encodeCheckedJson } from '../../src/repository/checked-json.ts';
import { MemoryStorage } from '../../src/storage/memory/memory-storage.ts';
import { makeRepository, openTestRepository } from '../../testing/repository.ts';

async function withConfig(
  change: (config: Record<string, unknown>) => Record<string, unknown>,
): Promise<MemoryStorage> {
  const storage = new MemoryStorage(systemClock);
  await (await makeRepository(storage, { encrypted: false }))[Symbol.asyncDispose]();
  const { check: _, ...config } = JSON.parse(
    Buffer.from(await storage.get('holdfast.json')).toString(),
  ) as Record<string, unknown>;
  await storage.delete('holdfast.json');
  await storage.put('holdfast.json', encodeCheckedJson(change(config)));
  return storage;
}

test('a repository of a newer format is refused as newer, not as damaged', async () => {
  const storage = await withConfig((config) => ({ ...config, format: 2, unheard_of: true }));
  await assert.rejects(openTestRepository(storage), { errorName: 'repository_newer', exitCode: 4 });
});

test('a feature that reading needs is refused by name', async () => {
  const features = { read: ['erasure-codes'], write: [], delete: [], check: [] };
  const storage = await withConfig((config) => ({ ...config, features }));
  await assert.rejects(openTestRepository(storage), {
    errorName: 'repository_newer',
    message: /erasure-codes/,
  });
});

test('a configuration changed by somebody without the key is refused even with a right check value', async () => {
  const storage = await withConfig((config) => ({ ...config, created_at: '2020-01-01T00:00:00.000Z' }));
  await assert.rejects(openTestRepository(storage), { errorName: 'repository_damaged' });
});
