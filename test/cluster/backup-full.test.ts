import assert from 'node:assert/strict';
import { test } from 'node:test';
import { backUpCluster, memoryContent, startRestored } from '../../testing/cluster.ts';
import { MemoryBackup } from '../../testing/memory-backup.ts';
import { startPostgres, withoutPostgres } from '../../testing/postgres-server.ts';

for (const major of ['system', 18] as const) {
  test(`a full backup of ${major} restores and starts`, { skip: withoutPostgres(major) }, async () => {
    await using server = await startPostgres({ major });
    await server.psql(`CREATE TABLE notes AS SELECT i, repeat(md5(i::text), 10) AS text FROM generate_series(1, 20000) i;
      CREATE INDEX ON notes (text)`);
    await server.psql('CREATE DATABASE "odd name"');
    const memory = new MemoryBackup();
    const { metadata, warnings, incomplete } = await backUpCluster(memory, server);
    assert.deepEqual(warnings, []);
    assert.equal(incomplete, undefined);
    assert.equal(metadata.full_because, 'it is the first backup');
    await using restored = await startRestored(memoryContent(memory, metadata), server);
    const sum = 'SELECT count(*), sum(hashtext(text)) FROM notes';
    assert.equal(await restored.psql(sum), await server.psql(sum));
    assert.equal(await restored.psql('SELECT 1', 'odd name'), '1');
  });
}
