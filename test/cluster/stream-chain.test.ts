import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { assertAsOnDisk, changePage, fileOf, forgePage, quietSettings } from '../../testing/cluster-disk.ts';
import { backUpCluster, memoryContent, startRestored } from '../../testing/cluster.ts';
import { MemoryBackup } from '../../testing/memory-backup.ts';
import { startPostgres, withoutPostgres } from '../../testing/postgres-server.ts';
import { ownedDirectory, serverDirectory } from './restore-kit.ts';
import { storedBytes, streamCluster } from './stream-kit.ts';

const many = `SELECT i, repeat(md5(i::text), 10) AS text FROM generate_series(1, 20000) i`;

for (const major of ['system', 18] as const) {
  test(
    `backups of ${major} that were read and that were streamed build on each other`,
    { skip: withoutPostgres(major) },
    async () => {
      await using base = serverDirectory();
      await using server = await startPostgres({
        major,
        settings: quietSettings,
        initdbArgs: ['--data-checksums'],
      });
      await server.psql(`CREATE TABLESPACE one LOCATION '${ownedDirectory(join(base.path, 'space'))}'`);
      // More than what goes to a worker at once, in the main directory and elsewhere.
      await server.psql(`CREATE TABLE notes AS ${many}; CREATE TABLE others TABLESPACE one AS ${many};
        CREATE INDEX ON notes (i); CREATE UNLOGGED TABLE quick AS SELECT 1 AS i`);
      await server.psql('VACUUM FREEZE');
      await server.psql('CHECKPOINT');
      // A large file that is no relation, and one that a server does without.
      writeFileSync(join(server.dataDirectory, 'large'), randomBytes(5_000_001));
      writeFileSync(join(server.dataDirectory, 'backup_label.old'), 'x');
      const memory = new MemoryBackup();
      const first = await backUpCluster(memory, server);
      const read = memory.entries.map(({ path, kind, stream }) => ({ path, kind, stream }));

      // A stream without a parent finds again what was read.
      memory.entries.splice(0);
      const storedBefore = storedBytes(memory);
      const full = await streamCluster(memory, server);
      assert.deepEqual(full.warnings, []);
      const files = memory.entries.map(({ path, kind, stream }) => ({ path, kind, stream }));
      const isSame = ({ path }: { readonly path: string }): boolean =>
        path !== 'backup_label' && path !== 'global/pg_control';
      assert.deepEqual(files.filter(isSame), read.filter(isSame));
      assert.deepEqual(
        [full.metadata.pages, full.metadata.files],
        [first.metadata.pages, first.metadata.files],
      );
      assert.deepEqual(memory.content('large'), readFileSync(join(server.dataDirectory, 'large')));
      assert.deepEqual(full.metadata.tablespaces, first.metadata.tablespaces);
      assert.deepEqual(full.metadata.databases, first.metadata.databases);
      // Of the large file this repository has no blobs before: there they are written as a stream.
      assert.ok(storedBytes(memory) - storedBefore < 5_100_000, 'nothing but maps');
      memory.becomePrevious(full.metadata);

      let { metadata } = full;
      for (const [step, backUp] of [streamCluster, backUpCluster, streamCluster].entries()) {
        await server.psql(`UPDATE notes SET text = 'changed ${step}' WHERE i % 5000 = ${step};
          UPDATE others SET text = 'changed ${step}' WHERE i % 10000 = ${step}; CHECKPOINT`);
        const before = storedBytes(memory);
        const done = await backUp(memory, server, { guardOneIn: 2 });
        assert.deepEqual([done.warnings, done.metadata.full_because], [[], null]);
        assertAsOnDisk(memory, server);
        assert.ok(done.metadata.pages_changed < 150, `${done.metadata.pages_changed} pages changed`);
        assert.ok(done.metadata.pages_guarded > 500, `${done.metadata.pages_guarded} compared`);
        const stored = storedBytes(memory) - before;
        assert.ok(stored < 3_000_000, `${stored} bytes stored`);
        ({ metadata } = done);
        if (step < 2) memory.becomePrevious(metadata);
      }
      await using restored = await startRestored(memoryContent(memory, metadata), server);
      for (const table of ['notes', 'others', 'quick']) {
        const sum = `SELECT count(*), sum(hashtext(t::text)) FROM ${table} t`;
        const expected = table === 'quick' ? '0|' : await server.psql(sum);
        assert.equal(await restored.psql(sum), expected, table);
      }
    },
  );
}

test(
  'damaged pages of a stream are named, and what looks unchanged and is not is found',
  { skip: withoutPostgres('system') },
  async () => {
    await using server = await startPostgres({ settings: quietSettings, initdbArgs: ['--data-checksums'] });
    await server.psql(`CREATE TABLE notes AS ${many}; CHECKPOINT`);
    const path = await fileOf(server, 'notes');
    const memory = new MemoryBackup();
    const first = await streamCluster(memory, server);
    const good = memory.content(path);
    memory.becomePrevious(first.metadata);

    await server.stop();
    changePage(server, path, 600, (page) => forgePage(page, 600));
    await server.start();
    const guarded = await streamCluster(memory, server, { guardOneIn: 1 });
    assert.match(guarded.metadata.full_because ?? '', new RegExp(`^${path} differs`));
    assert.match(guarded.warnings.join('\n'), /HF-5311.*block 600 of base/);
    assertAsOnDisk(memory, server);
    memory.entries.splice(0);

    await server.stop();
    changePage(server, path, 700, (page) => void page.writeUInt8(page.readUInt8(8000) ^ 1, 8000));
    await server.start();
    const found = await streamCluster(memory, server, { guardOneIn: 1_000_000 });
    assert.equal(found.incomplete, '1 page with a wrong checksum');
    assert.equal(found.metadata.full_because, null);
    const [bad] = found.metadata.bad_pages;
    assert.equal(bad?.block, 700);
    assert.equal(bad.relation, 'postgres.public.notes');
    assert.match(bad.reason, /as it was before/);
    assert.match(found.warnings.join('\n'), /HF-5310: 1 page with a wrong checksum in base/);
    assert.deepEqual(memory.content(path).subarray(700 * 8192), good.subarray(700 * 8192));
    assert.equal(memory.entry(path).meta['damaged'], true);

    memory.previous = null;
    memory.entries.splice(0);
    const full = await streamCluster(memory, server);
    const named = { path, block: 700, relation: 'postgres.public.notes', reason: 'its checksum is wrong' };
    assert.deepEqual(full.metadata.bad_pages, [named]);
    assertAsOnDisk(memory, server);
  },
);
