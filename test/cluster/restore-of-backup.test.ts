import assert from 'node:assert/strict';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { clusterMetadataSchema } from '../../src/sources/postgres-cluster/metadata.ts';
import { backupCluster } from '../../src/sources/postgres-cluster/backup/backup.ts';
import { systemClock } from '../../src/kernel/clock.ts';
import { silentLogger } from '../../src/kernel/log.ts';
import { restoreContext } from '../../src/operations/restore.ts';
import { MemoryStorage } from '../../src/storage/memory/memory-storage.ts';
import { clusterOptions } from '../../testing/cluster.ts';
import { withoutPostgres } from '../../testing/postgres-server.ts';
import { backUp, makeRepository, silentProgress } from '../../testing/repository.ts';
import {
  archiveAll,
  contentsOf,
  ownedDirectory,
  restoreCluster,
  serverDirectory,
  startArchiving,
  startRestored,
  untilOpen,
} from './restore-kit.ts';

test(
  'what a backup stores comes back, of an increment as well, anew and over the full one',
  {
    skip: withoutPostgres('system'),
  },
  async () => {
    await using base = serverDirectory();
    const archive = join(base.path, 'archive');
    await using server = await startArchiving(archive, 'system');
    const location = ownedDirectory(join(base.path, 'space'));
    // Of a file system, and of nobody's cluster.
    mkdirSync(join(location, 'lost+found'));
    writeFileSync(join(location, 'a note'), 'x');
    await server.psql(`CREATE TABLESPACE one LOCATION '${location}'`);
    await server.psql('CREATE TABLE b TABLESPACE one AS SELECT generate_series(1, 1000) i');
    await server.psql('CREATE TABLE a AS SELECT i, md5(i::text) t FROM generate_series(1, 60000) i');
    await server.psql('VACUUM FREEZE');
    await using repository = await makeRepository(new MemoryStorage(systemClock));
    const source = {
      name: 'main',
      kind: 'postgres-cluster',
      backup: (context: Parameters<typeof backupCluster>[1]) =>
        backupCluster(clusterOptions(server), context),
    };
    const full = await backUp(repository, source, { jobs: 2 });
    await server.psql("UPDATE a SET t = 'changed' WHERE i % 2000 = 0; INSERT INTO b VALUES (0)");
    const increment = await backUp(repository, source, { jobs: 2 });
    await archiveAll(server);
    const context = (manifest: typeof full): ReturnType<typeof restoreContext> =>
      restoreContext(repository, manifest, {
        signal: new AbortController().signal,
        log: silentLogger,
        jobs: 2,
        progress: silentProgress,
      });
    const [first, second] = [join(base.path, 'first'), join(base.path, 'second')];
    const tablespaces = (target: string): Record<string, string> => ({ [location]: `${target}-space` });
    await restoreCluster({ target: first, archive, tablespaces: tablespaces(first) }, context(full));
    const over = { target: first, archive, delta: true, tablespaces: tablespaces(first) };
    const { written, bytes } = await restoreCluster(over, context(increment));
    assert.ok(written < bytes / 4, `${written} of ${bytes} were written`);
    await restoreCluster({ target: second, archive, tablespaces: tablespaces(second) }, context(increment));
    const anew = [...(await contentsOf(second))];
    assert.deepEqual(
      [...(await contentsOf(first))].map(([path, content]) => [path, content.replaceAll(first, second)]),
      anew,
    );
    assert.ok(!existsSync(join(`${second}-space`, 'a note')));
    assert.equal(clusterMetadataSchema.parse(increment.metadata).tablespaces.length, 1);
    await using copy = await startRestored(server, second);
    await untilOpen(copy);
    assert.equal(
      await copy.psql("SELECT count(*), count(*) FILTER (WHERE t = 'changed') FROM a"),
      '60000|30',
    );
    assert.equal(await copy.psql('SELECT count(*) FROM b'), '1001');
  },
);
