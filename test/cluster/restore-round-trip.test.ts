import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { serverUser } from '../../src/app/local-postgres/server-user.ts';
import { MemoryBackup } from '../../testing/memory-backup.ts';
import { dumpAsSets } from '../../testing/pg-dump.ts';
import { withoutPostgres, type PostgresServer } from '../../testing/postgres-server.ts';
import {
  archiveAll,
  copyCluster,
  ownedDirectory,
  restoreCluster,
  serverDirectory,
  startArchiving,
  startRestored,
  untilOpen,
} from './restore-kit.ts';

for (const major of ['system', 18] as const) {
  test(
    `a cluster comes back with all that was committed, its tablespaces elsewhere (${major})`,
    {
      skip: withoutPostgres(major),
    },
    async () => {
      await using base = serverDirectory();
      const archive = join(base.path, 'arch ive');
      await using server = await startArchiving(archive, major);
      const original = ownedDirectory(join(base.path, 'space one'));
      await server.psql(`CREATE TABLESPACE one LOCATION '${original}'`);
      await server.psql('CREATE TABLE a (i int, t text)');
      await server.psql('CREATE TABLE b (i int) TABLESPACE one');
      await server.psql("INSERT INTO a SELECT i, repeat('x', i % 100) FROM generate_series(1, 50000) i");
      const memory = new MemoryBackup();
      const { metadata } = await copyCluster(server, memory.backupContext(), async () => {
        await server.psql('INSERT INTO b SELECT generate_series(1, 1000)');
      });
      await server.psql("INSERT INTO a VALUES (0, 'later')");
      await archiveAll(server);
      const [{ oid } = { oid: 0 }] = metadata['tablespaces'] as { oid: number }[];
      const target = join(base.path, "it's restored here");
      const location = join(base.path, 'elsewhere', "o'ne");
      const restored = await restoreCluster(
        { target, archive: archive, tablespaces: { [String(oid)]: location } },
        memory.restoreContext(metadata, { jobs: 2 }),
      );
      assert.equal(restored.kept, 0);
      assert.ok(restored.written > 1_000_000);
      assert.match(restored.notes.join('\n'), /archive_mode was on and is off/);
      await using copy = await startRestored(server, target);
      await untilOpen(copy);
      assert.equal(
        await copy.psql('SELECT count(*), sum(length(t)) FROM a'),
        await server.psql('SELECT count(*), sum(length(t)) FROM a'),
      );
      assert.equal(await copy.psql('SELECT sum(i) FROM b'), '500500');
      assert.equal(
        await copy.psql("SELECT pg_tablespace_location(oid) FROM pg_tablespace WHERE spcname = 'one'"),
        location,
      );
      assert.equal(await copy.psql('SHOW archive_mode'), 'off');
      if (major === 'system') {
        const other = { ...picked(server), port: copy.port } as PostgresServer;
        assert.deepEqual(
          await dumpAsSets(other, 'pg_dump', 'postgres'),
          await dumpAsSets(server, 'pg_dump', 'postgres'),
        );
      }
      const user = serverUser();
      if (user !== undefined) assert.equal(restored.warnings.join(), '');
      assert.match(await readFile(join(target, 'postgresql.auto.conf'), 'utf8'), /^restore_command = /m);
    },
  );
}

function picked({ major, superuser, password }: PostgresServer): Partial<PostgresServer> {
  return { major, superuser, password };
}
