import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { rmSync } from 'node:fs';
import { test } from 'node:test';
import { parseLsn } from '../../src/postgres/lsn.ts';
import { pageLsn } from '../../src/postgres/page/header.ts';
import {
  assertAsOnDisk,
  changePage,
  fileOf,
  forgePage,
  quietSettings,
  sealPage,
} from '../../testing/cluster-disk.ts';
import { backUpCluster, memoryContent, startRestored } from '../../testing/cluster.ts';
import { MemoryBackup } from '../../testing/memory-backup.ts';
import { startPostgres, withoutPostgres, type PostgresServer } from '../../testing/postgres-server.ts';

/** A guard that looks at nothing, so that the rules are alone. */
const unguarded = { guardOneIn: 1_000_000_000 };
const notes = `CREATE TABLE notes AS SELECT i, repeat(md5(i::text), 4) AS text FROM generate_series(1, 2000) i`;

async function moveOn(server: PostgresServer): Promise<void> {
  await server.psql('CREATE TABLE IF NOT EXISTS padding (t text); SELECT pg_switch_wal()');
  await server.psql(
    "INSERT INTO padding SELECT repeat('x', 500) FROM generate_series(1, 2000); SELECT pg_switch_wal()",
  );
}

test('pages that look older than they are are stored', { skip: withoutPostgres('system') }, async (t) => {
  await using server = await startPostgres({ settings: quietSettings, initdbArgs: ['--data-checksums'] });
  await server.psql(notes);

  await t.test('those of another database under the same OID', async () => {
    const memory = new MemoryBackup();
    await server.psql('CREATE DATABASE template_a STRATEGY file_copy');
    await server.psql(
      "CREATE TABLE t AS SELECT i, 'same' AS text FROM generate_series(1, 500) i; CHECKPOINT",
      'template_a',
    );
    await server.psql('CREATE DATABASE template_b TEMPLATE template_a STRATEGY file_copy');
    await server.psql("UPDATE t SET text = 'b' WHERE i < 100", 'template_b');
    await server.psql("UPDATE t SET text = 'a' WHERE i < 100", 'template_a');
    await server.psql('CHECKPOINT');
    await server.psql('CREATE DATABASE app OID 77777 TEMPLATE template_a STRATEGY file_copy');
    const first = await backUpCluster(memory, server);
    memory.becomePrevious(first.metadata);
    await server.psql('DROP DATABASE app');
    await server.psql('CREATE DATABASE app OID 77777 TEMPLATE template_b STRATEGY file_copy');
    const second = await backUpCluster(memory, server, unguarded);
    assert.equal(second.metadata.full_because, null);
    assertAsOnDisk(memory, server);
    const inApp = memory.entries.filter(
      ({ path, kind }) => path.startsWith('base/77777/') && kind === 'pg.relation',
    );
    const pages = inApp.reduce((sum, { stream }) => sum + (stream?.size_bytes ?? 0) / 8192, 0);
    assert.ok(second.metadata.pages_changed >= pages, 'nothing of it is compared');
    for (const name of ['app', 'template_a', 'template_b']) await server.psql(`DROP DATABASE ${name}`);
  });

  await t.test('those without an LSN, and those as new as the backup before', async () => {
    const memory = new MemoryBackup();
    const path = await fileOf(server, 'notes');
    await server.stop();
    changePage(server, path, 3, (page) => {
      page.fill(0, 0, 8);
      sealPage(page, 3);
    });
    await server.start();
    memory.interrupt = async () => {
      memory.interrupt = undefined;
      await server.psql("UPDATE notes SET text = 'meanwhile' WHERE ctid = '(7,1)'; CHECKPOINT");
    };
    // One task after another: it is written before it is read.
    const first = await backUpCluster(memory, server, {}, { jobs: 1 });
    const lsn = pageLsn(memory.content(path), 7 * 8192);
    assert.ok(lsn >= (parseLsn(first.metadata.start_lsn) ?? 0n), 'it was written meanwhile');
    memory.becomePrevious(first.metadata);
    await server.stop();
    for (const block of [3, 7]) changePage(server, path, block, (page) => forgePage(page, block));
    await server.start();
    const second = await backUpCluster(memory, server, unguarded);
    assert.equal(second.metadata.full_because, null);
    assert.equal(second.metadata.bad_page_count, 0);
    assertAsOnDisk(memory, server);
  });
});

test('a server that was put back and went on otherwise', { skip: withoutPostgres('system') }, async () => {
  // Without checksums, and with changes that are as long as those before, pages have the same LSNs.
  await using server = await startPostgres({ settings: quietSettings, initdbArgs: [] });
  await server.psql(`${notes}; CHECKPOINT`);
  await server.stop();
  const copy = `${server.dataDirectory}.copy`;
  const put = (from: string, to: string): void => {
    rmSync(to, { recursive: true, force: true });
    execFileSync('cp', ['-a', from, to]);
  };
  put(server.dataDirectory, copy);
  await server.start();
  await server.psql("UPDATE notes SET text = 'one' WHERE i % 10 = 0");
  const memory = new MemoryBackup();
  const first = await backUpCluster(memory, server);
  memory.becomePrevious(first.metadata);
  await server.stop();
  put(copy, server.dataDirectory);
  await server.start();

  const back = await backUpCluster(memory, server, unguarded);
  assert.match(back.metadata.full_because ?? '', /put back/);
  assert.equal(back.metadata.parent, null);
  memory.entries.splice(0);

  await server.stop();
  put(copy, server.dataDirectory);
  rmSync(copy, { recursive: true });
  await server.start();
  await server.psql("UPDATE notes SET text = 'two' WHERE i % 10 = 0");
  await moveOn(server);
  const { metadata } = await backUpCluster(memory, server, unguarded);
  assert.equal(metadata.full_because, null);
  assertAsOnDisk(memory, server);
  await using restored = await startRestored(memoryContent(memory, metadata), server);
  assert.equal(await restored.psql("SELECT count(*) FROM notes WHERE text = 'two'"), '200');
});

test('the guard finds what the rules cannot', { skip: withoutPostgres('system') }, async () => {
  await using server = await startPostgres({ settings: quietSettings, initdbArgs: ['--data-checksums'] });
  await server.psql(notes);
  const path = await fileOf(server, 'notes');
  const memory = new MemoryBackup();
  const first = await backUpCluster(memory, server);
  memory.becomePrevious(first.metadata);
  await server.stop();
  changePage(server, path, 5, (page) => forgePage(page, 5));
  await server.start();
  const second = await backUpCluster(memory, server, { guardOneIn: 1 });
  assert.match(second.metadata.full_because ?? '', new RegExp(`^${path} differs`));
  assert.equal(second.metadata.parent, null);
  assert.match(second.warnings.join('\n'), /HF-5311.*block 5 of base/);
  assert.equal(second.metadata.pages_changed, second.metadata.pages);
  assertAsOnDisk(memory, server);
});

test(
  'pages that went bad are named, and kept as they were before',
  { skip: withoutPostgres('system') },
  async () => {
    await using server = await startPostgres({ settings: quietSettings, initdbArgs: ['--data-checksums'] });
    await server.psql(notes);
    const path = await fileOf(server, 'notes');
    const memory = new MemoryBackup();
    const first = await backUpCluster(memory, server);
    const good = memory.content(path);
    await server.stop();
    changePage(server, path, 4, (page) => void page.writeUInt8(page.readUInt8(8000) ^ 1, 8000));
    await server.start();
    const entries = memory.entries.splice(0);

    const full = await backUpCluster(memory, server);
    assert.equal(full.incomplete, '1 page with a wrong checksum');
    const bad = { path, block: 4, relation: 'postgres.public.notes', reason: 'its checksum is wrong' };
    assert.deepEqual(full.metadata.bad_pages, [bad]);
    assert.match(
      full.warnings.join(),
      /HF-5310: 1 page with a wrong checksum in base.*postgres.public.notes/,
    );
    assertAsOnDisk(memory, server);

    // Over a backup with the bad page it is told of again.
    memory.becomePrevious(full.metadata);
    const still = await backUpCluster(memory, server, unguarded);
    assert.equal(still.metadata.full_because, null);
    assert.deepEqual(still.metadata.bad_pages, [bad]);
    assert.equal(memory.entry(path).meta['damaged'], true);

    // Over one with the good page that one stays.
    memory.entries.splice(0, Infinity, ...entries);
    memory.becomePrevious(first.metadata);
    const kept = await backUpCluster(memory, server, { guardOneIn: 1 });
    assert.equal(kept.metadata.full_because, null);
    assert.equal(kept.metadata.bad_page_count, 1);
    assert.match(kept.metadata.bad_pages[0]?.reason ?? '', /as it was before/);
    assert.deepEqual(memory.content(path), good);
  },
);
