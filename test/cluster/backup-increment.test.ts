import assert from 'node:assert/strict';
import { test } from 'node:test';
import { mkdir, chown, mkdtemp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { ageFiles, assertAsOnDisk, quietSettings } from '../../testing/cluster-disk.ts';
import { backUpCluster, memoryContent, startRestored, type ClusterBackedUp } from '../../testing/cluster.ts';
import { MemoryBackup } from '../../testing/memory-backup.ts';
import { startPostgres, withoutPostgres, type PostgresServer } from '../../testing/postgres-server.ts';

/** Backs up over everything before, and compares it with the disk. */
async function increment(memory: MemoryBackup, server: PostgresServer): Promise<ClusterBackedUp> {
  const done = await backUpCluster(memory, server, { guardOneIn: 4 });
  assert.deepEqual(done.warnings, []);
  assert.equal(done.metadata.full_because, null);
  assert.ok(assertAsOnDisk(memory, server) > 300);
  return done;
}

function storedBytes(memory: MemoryBackup): number {
  return memory.blobs.values().reduce((sum, { length }) => sum + length, 0);
}

test(
  'an increment stores the pages that changed and reads no cold file',
  { skip: withoutPostgres('system') },
  async () => {
    await using server = await startPostgres({ settings: quietSettings, initdbArgs: ['--data-checksums'] });
    await server.psql(
      `CREATE TABLE hot AS SELECT i, repeat(md5(i::text), 10) AS text FROM generate_series(1, 20000) i;
    CREATE TABLE cold AS SELECT * FROM hot; CHECKPOINT; VACUUM`.replace('; VACUUM', ''),
    );
    await server.psql('VACUUM FREEZE');
    await server.stop();
    ageFiles(server.dataDirectory);
    await server.start();
    const memory = new MemoryBackup();
    const first = await backUpCluster(memory, server);
    assert.equal(first.metadata.pages, first.metadata.pages_changed);
    memory.becomePrevious(first.metadata);
    await server.psql('UPDATE hot SET text = text || text WHERE i = 10000');
    const [readBefore, storedBefore] = [memory.bytesRead, storedBytes(memory)];
    const second = await increment(memory, server);
    assert.equal(second.metadata.parent, '0123456789abcdef0123456789abcdef');
    assert.ok(second.metadata.pages_changed < 40, `${second.metadata.pages_changed} pages changed`);
    assert.ok(second.metadata.pages_guarded > 200, `${second.metadata.pages_guarded} pages guarded`);
    assert.ok(second.metadata.files_kept > 250, `${second.metadata.files_kept} files kept`);
    const read = memory.bytesRead - readBefore;
    assert.ok(read > 7_000_000 && read < 14_000_000, `${read} bytes read: hot, and not cold`);
    const stored = storedBytes(memory) - storedBefore;
    assert.ok(stored < 1_500_000, `${stored} bytes stored`);
    assert.ok(!memory.outran);
    await using restored = await startRestored(memoryContent(memory, second.metadata), server);
    const sum = 'SELECT count(*), sum(hashtext(text)) FROM hot';
    assert.equal(await restored.psql(sum), await server.psql(sum));
  },
);

for (const major of [14, 18] as const) {
  test(
    `increments after everything that moves pages, on ${major}`,
    { skip: withoutPostgres(major) },
    async () => {
      // Without checksums where the default is to have them, and the other way round.
      const initdbArgs = major === 18 ? ['--no-data-checksums'] : ['--data-checksums'];
      await using server = await startPostgres({ major, settings: quietSettings, initdbArgs });
      const elsewhere = await mkdtemp(join(server.socketDirectory, 'ts'));
      const tablespace = join(elsewhere, 'space');
      await mkdir(tablespace);
      if (server.user !== undefined)
        for (const path of [elsewhere, tablespace]) await chown(path, server.user.uid, server.user.gid);
      await server.psql(`CREATE TABLESPACE space LOCATION '${tablespace}'`);
      await server.psql(`CREATE TABLE notes AS SELECT i, repeat(md5(i::text), 4) AS text FROM generate_series(1, 4000) i;
      CREATE INDEX notes_text ON notes (text); CREATE INDEX notes_hash ON notes USING hash (i);
      CREATE UNLOGGED TABLE quick AS SELECT * FROM notes; CREATE TABLE moving AS SELECT * FROM notes`);
      const memory = new MemoryBackup();
      const first = await backUpCluster(memory, server);
      assertAsOnDisk(memory, server);
      const unlogged = await server.psql("SELECT pg_relation_filepath('quick')");
      assert.ok(memory.entries.some(({ path }) => path === `${unlogged}_init`));
      assert.ok(memory.entries.every(({ path }) => path !== unlogged));
      let { metadata } = first;
      const steps = [
        // Truncated at its end, and grown again.
        'DELETE FROM notes WHERE i > 2000',
        'VACUUM notes',
        'INSERT INTO notes SELECT i, repeat(md5(i::text), 3) FROM generate_series(5000, 8000) i',
        'VACUUM FULL notes',
        'ALTER TABLE quick SET LOGGED',
        'ALTER TABLE moving SET TABLESPACE space',
        "UPDATE moving SET text = 'moved' WHERE i % 50 = 0",
        'ALTER TABLE moving SET TABLESPACE pg_default',
        'TRUNCATE moving',
        // Sets hint bits and what the visibility map says.
        'SELECT count(text) FROM notes',
        'VACUUM FREEZE notes',
      ];
      for (const [index, step] of steps.entries()) {
        await server.psql(step);
        if (![2, 6, 10].includes(index)) continue;
        memory.becomePrevious(metadata);
        ({ metadata } = await increment(memory, server));
        assert.ok(metadata.pages_changed < metadata.pages, step);
      }
      await using restored = await startRestored(memoryContent(memory, metadata), server);
      for (const table of ['notes', 'quick', 'moving']) {
        const sum = `SELECT count(*), sum(hashtext(text)) FROM ${table}`;
        assert.equal(await restored.psql(sum), await server.psql(sum), table);
      }
      await rm(elsewhere, { recursive: true });
    },
  );
}
