import assert from 'node:assert/strict';
import { test } from 'node:test';
import { memoryContent, startRestored } from '../../testing/cluster.ts';
import { MemoryBackup } from '../../testing/memory-backup.ts';
import { startPostgres, withoutPostgres } from '../../testing/postgres-server.ts';
import { streamCluster } from './stream-kit.ts';

for (const major of [14, 'system', 16, 17, 18] as const) {
  test(`a full stream of ${major} restores and starts`, { skip: withoutPostgres(major) }, async () => {
    await using server = await startPostgres({ major });
    await server.psql(`CREATE TABLE notes AS SELECT i, repeat(md5(i::text), 10) AS text FROM generate_series(1, 20000) i;
      CREATE INDEX ON notes (text)`);
    await server.psql('CREATE DATABASE "odd name"');
    const memory = new MemoryBackup();
    const { metadata, warnings, incomplete } = await streamCluster(memory, server);
    assert.deepEqual(warnings, []);
    assert.equal(incomplete, undefined);
    assert.equal(metadata.mode, 'stream');
    assert.equal(metadata.full_because, 'it is the first backup');
    assert.equal(await server.psql('SELECT count(*) FROM pg_replication_slots'), '0');
    await using restored = await startRestored(memoryContent(memory, metadata), server);
    const sum = 'SELECT count(*), sum(hashtext(text)) FROM notes';
    assert.equal(await restored.psql(sum), await server.psql(sum));
    assert.equal(await restored.psql('SELECT 1', 'odd name'), '1');
  });
}
