import assert from 'node:assert/strict';
import { randomInt } from 'node:crypto';
import {
  appendFileSync,
  chmodSync,
  closeSync,
  linkSync,
  mkdirSync,
  openSync,
  readdirSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import type { Manifest } from '../../src/contract/manifest.ts';
import { systemClock } from '../../src/kernel/clock.ts';
import { silentLogger } from '../../src/kernel/log.ts';
import { restoreContext } from '../../src/operations/restore.ts';
import type { Repository } from '../../src/repository/repository.ts';
import type { RestoreContext } from '../../src/sources/port.ts';
import { MemoryStorage } from '../../src/storage/memory/memory-storage.ts';
import { withoutPostgres } from '../../testing/postgres-server.ts';
import { backUp, makeRepository, silentProgress } from '../../testing/repository.ts';
import {
  archiveAll,
  contentsOf,
  copyCluster,
  ownedDirectory,
  restoreCluster,
  serverDirectory,
  startArchiving,
  startRestored,
  untilOpen,
} from './restore-kit.ts';

const seed = Number(process.env['HOLDFAST_SEED'] ?? randomInt(1_000_000));

/** Numbers that a seed decides. */
function numbersOf(start: number): (below: number) => number {
  let state = start + 1;
  return (below) => {
    state = (state * 48_271) % 2_147_483_647;
    return state % below;
  };
}

function contextOf(repository: Repository, manifest: Manifest): RestoreContext {
  return restoreContext(repository, manifest, {
    signal: new AbortController().signal,
    log: silentLogger,
    jobs: 2,
    progress: silentProgress,
  });
}

/** Files of a directory, the largest first. */
function filesOf(directory: string): string[] {
  return readdirSync(directory, { recursive: true, encoding: 'utf8' })
    .map((path) => join(directory, path))
    .filter((path) => statSync(path).isFile())
    .toSorted((a, b) => statSync(b).size - statSync(a).size || (a < b ? -1 : 1));
}

function scribble(path: string, position: number, text: string): void {
  const fd = openSync(path, 'r+');
  writeSync(fd, text, position);
  closeSync(fd);
}

test(
  'a directory that was damaged in any way becomes what a new restore makes',
  {
    skip: withoutPostgres('system'),
  },
  async (t) => {
    t.diagnostic(`HOLDFAST_SEED=${seed}`);
    await using base = serverDirectory();
    const archive = join(base.path, 'archive');
    await using server = await startArchiving(archive, 'system');
    const original = ownedDirectory(join(base.path, 'space'));
    await server.psql(`CREATE TABLESPACE one LOCATION '${original}'; `);
    await server.psql('CREATE TABLE b TABLESPACE one AS SELECT generate_series(1, 1000) i');
    await server.psql('CREATE TABLE a AS SELECT i, md5(i::text) t FROM generate_series(1, 60000) i');
    await using repository = await makeRepository(new MemoryStorage(systemClock));
    const manifest = await backUp(
      repository,
      { name: 'main', kind: 'postgres-cluster', backup: (context) => copyCluster(server, context) },
      { jobs: 2 },
    );
    await archiveAll(server);
    const context = (): RestoreContext => contextOf(repository, manifest);
    const [{ oid } = { oid: 0 }] = manifest.metadata['tablespaces'] as { oid: number }[];
    const first = join(base.path, 'first');
    const second = join(base.path, 'second');
    const spaceOf = (target: string): string => `${target}-space`;
    const wish = (target: string, delta: boolean): Parameters<typeof restoreCluster>[0] => ({
      target,
      delta,
      archive,
      tablespaces: { [String(oid)]: spaceOf(target) },
    });
    await restoreCluster(wish(first, false), context());
    await restoreCluster(wish(second, false), context());
    const expected = await contentsOf(first);
    const expectedSpace = await contentsOf(spaceOf(first));
    const inSecond = (contents: Map<string, string>): [string, string][] =>
      [...contents].map(([path, content]) => [path, content.replaceAll(first, second)]);
    assert.deepEqual([...(await contentsOf(second))], inSecond(expected));

    const number = numbersOf(seed);
    const large = filesOf(join(second, 'base'));
    scribble(large[0] ?? '', number(statSync(large[0] ?? '').size - 10), 'changed');
    truncateSync(large[1] ?? '', number(100_000));
    appendFileSync(large[2] ?? '', 'more');
    rmSync(large[3] ?? '');
    rmSync(large[4] ?? '');
    mkdirSync(large[4] ?? '');
    writeFileSync(join(large[4] ?? '', 'within'), 'x');
    linkSync(large[5] ?? '', join(base.path, 'another name'));
    const rest = large.slice(6);
    for (let count = 0; count < 20; count += 1) {
      const path = rest[number(rest.length)] ?? '';
      const { size } = statSync(path);
      if (size > 0) scribble(path, number(size), '!');
    }
    const [inSpace = ''] = filesOf(spaceOf(second));
    scribble(inSpace, 100, 'changed');
    writeFileSync(join(inSpace, '..', '999999'), 'not in the backup');
    chmodSync(join(second, 'PG_VERSION'), 0o640);
    writeFileSync(join(second, 'pg_wal/000000010000000000000077'), 'x');
    mkdirSync(join(second, 'base/77777'));
    writeFileSync(join(second, 'base/77777/1'), 'x');
    rmSync(join(second, 'pg_xact'), { recursive: true });
    rmSync(join(second, 'pg_tblspc', String(oid)));
    symlinkSync('/', join(second, 'pg_tblspc', '4711'));
    rmSync(join(second, 'pg_tblspc', '4711'));
    symlinkSync(spaceOf(second), join(second, 'pg_tblspc', String(oid)));

    const again = await restoreCluster(wish(second, true), context());
    assert.deepEqual([...(await contentsOf(second))], inSecond(expected));
    assert.deepEqual([...(await contentsOf(spaceOf(second)))], [...expectedSpace]);
    assert.ok(again.written < again.bytes / 4, `${again.written} of ${again.bytes} were written`);
    assert.ok(again.removed >= 3, `${again.removed} were removed`);
    assert.match(again.warnings.join('\n'), /not marked as archived, from 000000010000000000000077/);

    const idle = await restoreCluster(wish(second, true), context());
    assert.equal(idle.written, 0);
    assert.deepEqual([...(await contentsOf(second))], inSecond(expected));

    await using copy = await startRestored(server, second);
    await untilOpen(copy);
    assert.equal(await copy.psql('SELECT count(*), sum(i) FROM a'), '60000|1800030000');
    assert.equal(await copy.psql('SELECT sum(i) FROM b'), '500500');
    await assert.rejects(restoreCluster(wish(second, true), context()), {
      errorName: 'cluster_target_running',
    });
    await assert.rejects(restoreCluster({ ...wish(second, false), force: true }, context()), {
      errorName: 'cluster_target_running',
    });
  },
);
