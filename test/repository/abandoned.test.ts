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
      const stop = new AbortController();
      const onMessage = (): void => stop.abort(new Error('begun anew'));
      const stored = context.run(abandonTask, input, { signal: stop.signal, onMessage });
      const stream: StreamRef = await stored.catch(async () => await context.run(againTask, null));
      await context.addEntry({ path: 'content', kind: 'test.bytes', stream, meta: {} });
      return { metadata: {}, warnings: [] };
    },
  };
}

for (const by of ['stream', 'map'] as const) {
  for (const ending of ['again', 'fails', 'aborted'] as const) {
    const ends = {
      again: 'and begun again',
      fails: 'by a task that fails',
      aborted: 'by a task that is aborted',
    };
    const what = `${by === 'stream' ? 'a stream' : 'a map'} ${ends[ending]}`;
    test(`chunks that were promised for ${what} are stored though it was given up`, async () => {
      await using repository = await makeRepository(new MemoryStorage(systemClock));
      const manifest = await backUp(repository, source({ by, ending }));
      const content = await readBack(repository, manifest);
      assert.ok(content['content']?.equals(patternedBytes(contentBytes, 5)));
    });
  }
}
