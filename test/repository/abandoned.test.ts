import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { StreamRef } from '../../src/contract/stream.ts';
import { systemClock } from '../../src/kernel/clock.ts';
import type { BackupSource } from '../../src/operations/contract.ts';
import { MemoryStorage } from '../../src/storage/memory/memory-storage.ts';
import { patternedBytes } from '../../testing/bytes.ts';
import { backUp, makeRepository, readBack } from '../../testing/repository.ts';
import { abandonTask, againTask, contentBytes, type AbandonedInput } from './abandoned-task.ts';

function source(input: AbandonedInput): BackupSource {
  return {
    name: 'main',
    kind: 'test',
    backup: async (context) => {
      const stored = context.run(abandonTask, input);
      const stream: StreamRef = await stored.catch(async () => await context.run(againTask, null));
      await context.addEntry({ path: 'content', kind: 'test.bytes', stream, meta: {} });
      return { metadata: {}, warnings: [] };
    },
  };
}

for (const by of ['stream', 'map'] as const) {
  for (const fails of [false, true]) {
    const what = `${by === 'stream' ? 'a stream' : 'a map'} ${fails ? 'by a task that fails' : 'and begun again'}`;
    test(`chunks that were promised for ${what} are stored though it was given up`, async () => {
      await using repository = await makeRepository(new MemoryStorage(systemClock));
      const manifest = await backUp(repository, source({ by, fails }));
      const content = await readBack(repository, manifest);
      assert.ok(content['content']?.equals(patternedBytes(contentBytes, 5)));
    });
  }
}
