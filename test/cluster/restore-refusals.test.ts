import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import type { BackupContext } from '../../src/sources/port.ts';
import { planClusterRestore, runClusterRestore } from '../../src/sources/postgres-cluster/restore/restore.ts';
import type { ClusterMetadata } from '../../src/sources/postgres-cluster/metadata.ts';
import { MemoryBackup } from '../../testing/memory-backup.ts';
import { passesOverRights, withoutSuperRights } from '../../testing/privileges.ts';
import { tempDirectory } from '../../testing/temp.ts';
import {
  contentsOf,
  controlOf,
  madeUpMetadata,
  put,
  putMadeUp,
  restoreCluster,
  wishOf,
  type Wish,
} from './restore-kit.ts';

async function backupOf(
  more: (context: BackupContext) => Promise<void> = async () => {},
): Promise<MemoryBackup> {
  const memory = new MemoryBackup();
  await more(memory.backupContext());
  await putMadeUp(memory.backupContext());
  return memory;
}

async function refused(
  wish: Wish,
  errorName: string,
  memory?: MemoryBackup,
  metadata: ClusterMetadata = madeUpMetadata,
): Promise<void> {
  const context = (memory ?? (await backupOf())).restoreContext(metadata);
  await assert.rejects(planClusterRestore(wishOf({ owner: null, ...wish }), context), { errorName });
}

function dataDirectory(path: string, systemIdentifier = madeUpMetadata.system_identifier): string {
  mkdirSync(join(path, 'global'), { recursive: true });
  writeFileSync(join(path, 'global/pg_control'), controlOf(systemIdentifier));
  writeFileSync(join(path, 'PG_VERSION'), '15\n');
  return path;
}

test('what is there is refused, unless it is of this cluster or may be put aside', async () => {
  await using base = await tempDirectory();
  const own = dataDirectory(join(base.path, 'own'));
  const other = dataDirectory(join(base.path, 'other'), '7000000000000000002');
  const files = join(base.path, 'files');
  mkdirSync(files);
  writeFileSync(join(files, 'letter'), 'x');
  await refused({ target: own }, 'cluster_target_not_empty');
  await refused({ target: other, delta: true }, 'cluster_target_other');
  await refused({ target: files, delta: true }, 'cluster_target_other');
  await refused({ target: 'relative' }, 'restore_target_unusable');
  await refused({ target: join(files, 'letter') }, 'restore_target_unusable');
  await refused({ target: join(files, 'letter', 'below') }, 'restore_target_unusable');
  symlinkSync('/nowhere/at/all', join(base.path, 'dangling'));
  await refused({ target: join(base.path, 'dangling') }, 'restore_target_unusable');
  writeFileSync(join(own, 'postmaster.pid'), '1\n/somewhere\n');
  const here = readFileSync('/proc/1/comm', 'utf8');
  if (!here.startsWith('postgres')) await refused({ target: own }, 'cluster_target_not_empty');
  symlinkSync('/etc', join(own, 'base'));
  await refused({ target: own, delta: true }, 'cluster_target_links');
  assert.deepEqual(readdirSync(files), ['letter']);
});

test('--force keeps what is there under another name, whole', async () => {
  await using base = await tempDirectory();
  const target = dataDirectory(join(base.path, 'data'), '7000000000000000002');
  const before = [...(await contentsOf(target))];
  const memory = await backupOf();
  const wish = { target, owner: null, force: true, delta: true, now: () => 0 };
  const restored = await restoreCluster(wish, memory.restoreContext(madeUpMetadata));
  assert.equal(restored.mode, 'replace');
  assert.deepEqual(restored.replaced, [`${target}.holdfast-replaced-19700101T000000Z`]);
  assert.deepEqual([...(await contentsOf(restored.replaced[0] ?? ''))], before);
  assert.equal(readFileSync(join(target, 'global/pg_control')).readBigUInt64LE(), 7_000_000_000_000_000_001n);
  assert.equal(existsSync(join(target, 'holdfast.restore')), false);
});

test('tablespaces must go to places of their own', async () => {
  await using base = await tempDirectory();
  const original = join(base.path, 'one');
  const metadata: ClusterMetadata = {
    ...madeUpMetadata,
    tablespaces: [
      { oid: 16_400, path: original, size: 1 },
      { oid: 16_401, path: join(base.path, 'two'), size: 1 },
    ],
  };
  const memory = await backupOf(async (context) => {
    await put(context, 'pg_tblspc/16400/PG_15_202209061/5/1', 'pg.relation', Buffer.from('one'));
    await put(context, 'pg_tblspc/16401/PG_15_202209061/5/1', 'pg.relation', Buffer.from('two'));
  });
  const target = join(base.path, 'data');
  const cases: [Record<string, string>, string][] = [
    [{ '16400': 'relative' }, 'cluster_tablespace_unusable'],
    [{ '16400': join(base.path, 'two') }, 'cluster_tablespace_unusable'],
    [{ '16400': join(base.path, 'two/within') }, 'cluster_tablespace_unusable'],
    [{ '16400': join(target, 'within') }, 'cluster_tablespace_unusable'],
    [{ '16400': base.path }, 'cluster_tablespace_unusable'],
    [{ '16400': '/new\nline' }, 'cluster_tablespace_unusable'],
    [{ '16400': '/one/place', [original]: '/another' }, 'cluster_tablespace_unusable'],
    [{ '16499': '/one/place' }, 'cluster_tablespace_unknown'],
  ];
  for (const [tablespaces, errorName] of cases)
    await refused({ target, tablespaces }, errorName, memory, metadata);
  mkdirSync(join(original, 'PG_15_202209061/5'), { recursive: true });
  await refused({ target }, 'cluster_tablespace_unusable', memory, metadata);
  await refused({ target, force: true }, 'cluster_tablespace_unusable', memory, metadata);
  const tablespaces = { [original]: join(base.path, 'a  new "place"') };
  const wish = { target, owner: null, tablespaces };
  const restored = await restoreCluster(wish, memory.restoreContext(metadata));
  assert.equal(restored.tablespaces[0]?.location, join(base.path, 'a  new "place"'));
  assert.equal(readFileSync(join(target, 'pg_tblspc/16400/PG_15_202209061/5/1'), 'utf8'), 'one');
  assert.equal(readFileSync(join(base.path, 'two/PG_15_202209061/5/1'), 'utf8'), 'two');
});

test('a place that may not be written is found out by the plan', async (context) => {
  const words = passesOverRights() ? withoutSuperRights() : [];
  if (words === undefined) return context.skip('setpriv cannot take rights from root here');
  await using base = await tempDirectory();
  const shut = join(base.path, 'shut');
  mkdirSync(shut, { mode: 0o555 });
  const script = fileURLToPath(new URL('./plan-process.ts', import.meta.url));
  const planned = (location: string): string => {
    const all = [...words, process.execPath, script, join(base.path, 'data'), location];
    return execFileSync(all[0] ?? '', all.slice(1), { encoding: 'utf8' });
  };
  assert.equal(planned(join(base.path, 'space/below')), 'planned\n');
  for (const location of [shut, join(shut, 'below', 'it')])
    assert.match(planned(location), /^HF-5505 .*shut cannot be written \(EACCES\)$/m);
  assert.deepEqual(readdirSync(base.path), ['shut']);
});

test('a copy of a data directory must not lead --delta to the tablespaces of the original', async () => {
  await using base = await tempDirectory();
  const location = join(base.path, 'one');
  const live = dataDirectory(join(base.path, 'live'));
  const copy = dataDirectory(join(base.path, 'copy'));
  mkdirSync(join(location, 'PG_15_202209061/5'), { recursive: true });
  for (const directory of [live, copy]) {
    mkdirSync(join(directory, 'pg_tblspc'));
    symlinkSync(location, join(directory, 'pg_tblspc/16400'));
  }
  const metadata = {
    ...madeUpMetadata,
    data_directory: live,
    tablespaces: [{ oid: 16_400, path: location, size: 1 }],
  };
  const memory = await backupOf((context) =>
    put(context, 'pg_tblspc/16400/PG_15_202209061/5/1', 'pg.relation', Buffer.from('one')),
  );
  await refused({ target: copy, delta: true }, 'cluster_tablespace_unusable', memory, metadata);
  await refused({ target: copy, force: true }, 'cluster_tablespace_unusable', memory, metadata);
  const wish = { target: live, owner: null, delta: true };
  await restoreCluster(wish, memory.restoreContext(metadata));
  assert.equal(readFileSync(join(location, 'PG_15_202209061/5/1'), 'utf8'), 'one');
});

test('entries that lead out of the directory, or that nobody knows, are refused', async () => {
  const hostile = [
    '../outside',
    'base/../../outside',
    '/etc/passwd',
    'base//1',
    './base/1',
    'base/%2E%2E/1',
    'base/%2fetc',
    'base/1%00',
    'pg_tblspc/16400/passwd',
    'pg_tblspc/../x',
    'pg_tblspc/0x10/PG_15/1',
    `base/${'x'.repeat(256)}`,
  ];
  await using base = await tempDirectory();
  const target = join(base.path, 'data');
  const metadata = {
    ...madeUpMetadata,
    tablespaces: [{ oid: 16_400, path: join(base.path, 'one'), size: 1 }],
  };
  for (const path of hostile) {
    const memory = await backupOf((context) => put(context, path, 'pg.file', Buffer.from('x')));
    await refused({ target }, 'object_damaged', memory, metadata);
  }
  const unknown = await backupOf((context) => put(context, 'base/1', 'pg.later', Buffer.from('x')));
  await refused({ target }, 'cluster_backup_unknown_entries', unknown);
  const withoutLabel = new MemoryBackup();
  await put(withoutLabel.backupContext(), 'global/pg_control', 'pg.control', controlOf('1'));
  await refused({ target }, 'object_damaged', withoutLabel);
  const ownMark = await backupOf((context) => put(context, 'holdfast.restore', 'pg.file', Buffer.from('x')));
  await restoreCluster({ target, owner: null }, ownMark.restoreContext(madeUpMetadata));
  assert.equal(existsSync(join(target, 'holdfast.restore')), false);
  assert.deepEqual(readdirSync(base.path), ['data']);
});

test('more than there is room for is refused', async () => {
  await using base = await tempDirectory();
  const memory = await backupOf(async (context) => {
    const stream = { size_bytes: 2 ** 52, root: 'a'.repeat(64), depth: 4 };
    await context.addEntry({ path: 'base/5/1', kind: 'pg.relation', stream, meta: { mode: 0o600 } });
  });
  await refused({ target: join(base.path, 'data') }, 'cluster_no_room', memory);
});

test('a directory that was exchanged since the plan was made is left alone', async () => {
  await using base = await tempDirectory();
  const memory = await backupOf();
  const context = memory.restoreContext(madeUpMetadata);
  const target = join(base.path, 'data');
  const create = await planClusterRestore(wishOf({ target, owner: null }), context);
  mkdirSync(target);
  writeFileSync(join(target, 'letter'), 'x');
  await assert.rejects(runClusterRestore(create, context), { errorName: 'cluster_target_not_empty' });
  assert.deepEqual(readdirSync(target), ['letter']);
  const own = dataDirectory(join(base.path, 'own'));
  const delta = await planClusterRestore(wishOf({ target: own, owner: null, delta: true }), context);
  writeFileSync(join(own, 'global/pg_control'), controlOf('7'));
  await assert.rejects(runClusterRestore(delta, context), { errorName: 'cluster_target_other' });
  assert.deepEqual(readdirSync(own), ['PG_VERSION', 'global']);
});

test('what the group may read stays so, and no more', async () => {
  await using base = await tempDirectory();
  const memory = new MemoryBackup();
  await putMadeUp(memory.backupContext());
  for (const { path, meta } of memory.entries)
    Object.assign(meta, { mode: path === 'PG_VERSION' ? 0o666 : 0o640 });
  const target = join(base.path, 'data');
  await restoreCluster({ target, owner: null }, memory.restoreContext(madeUpMetadata));
  const contents = await contentsOf(target);
  assert.match(contents.get('PG_VERSION') ?? '', /^640 /);
  assert.match(contents.get('global') ?? '', /^directory 750 /);
  assert.equal(statSync(target).mode & 0o777, 0o750);
});
