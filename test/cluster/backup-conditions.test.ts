import assert from 'node:assert/strict';
import { test } from 'node:test';
import { lsnOf } from '../../src/postgres/lsn.ts';
import { isUntouched, planParent, type Situation } from '../../src/sources/postgres-cluster/backup/rule.ts';
import type { ClusterMetadata, FileMeta } from '../../src/sources/postgres-cluster/metadata.ts';
import type { PreviousBackup } from '../../src/sources/port.ts';

const metadata: ClusterMetadata = {
  schema: 1,
  mode: 'local',
  server_version: '17.2',
  server_version_num: 170_002,
  system_identifier: '7300000000000000001',
  from_standby: false,
  timeline: 2,
  start_lsn: '0/5000028',
  stop_lsn: '0/5000120',
  started_at: '2026-03-01T12:00:00.000Z',
  stopped_at: '2026-03-01T12:01:00.000Z',
  page_bytes: 8192,
  wal_segment_bytes: 16_777_216,
  data_checksums: true,
  wal_level: 'replica',
  data_directory: '/data',
  port: 5432,
  tablespaces: [],
  databases: [
    { oid: 5, name: 'postgres', xmin: '731' },
    { oid: 16_400, name: 'app', xmin: '740' },
  ],
  parent: null,
  full_because: 'it is the first backup',
  files: 1,
  files_kept: 0,
  bytes: 8192,
  pages: 1,
  pages_changed: 1,
  pages_guarded: 0,
  bad_pages: [],
  bad_page_count: 0,
  wal_archive: '0'.repeat(32),
};

function previous(change: Readonly<Record<string, unknown>> = {}): PreviousBackup {
  return {
    id: 'before',
    startedAtMs: 0,
    host: 'here',
    metadata: { ...metadata, ...change },
    entries: async function* () {},
  };
}

const facts: Situation['facts'] = {
  major: 17,
  inRecovery: false,
  systemIdentifier: '7300000000000000001',
  pageBytes: 8192,
  dataChecksums: true,
};
const now: Situation = {
  facts,
  databases: metadata.databases,
  timeline: 2,
  startLsn: lsnOf(0x600_0028),
  position: lsnOf(0x600_0100),
  host: 'here',
  dataDirectory: '/data',
};

function whyFull(before: PreviousBackup | null, situation: Situation = now): string | null {
  const plan = planParent(before, situation);
  return 'fullBecause' in plan ? plan.fullBecause : null;
}

test('an increment needs a parent of the same cluster, history and form', () => {
  assert.equal(whyFull(previous()), null);
  assert.match(whyFull(null) ?? '', /first/);
  assert.match(whyFull(previous({ system_identifier: '7' })) ?? '', /another cluster/);
  assert.match(whyFull(previous({ server_version_num: 160_009 })) ?? '', /upgraded/);
  assert.match(whyFull(previous({ timeline: 1 })) ?? '', /timeline 2 now/);
  assert.match(whyFull(previous({ page_bytes: 4096 })) ?? '', /size of pages/);
  assert.match(whyFull(previous({ data_checksums: false })) ?? '', /checksums/);
  assert.match(whyFull(previous({ stop_lsn: '0/6000029' })) ?? '', /put back/);
  assert.match(whyFull(previous({ schema: 2 })) ?? '', /another version/);
});

test('a standby may start at the same checkpoint again, but must have replayed more', () => {
  const standby = { ...now, facts: { ...facts, inRecovery: true }, startLsn: lsnOf(0x500_0028) };
  assert.equal(whyFull(previous(), standby), null);
  assert.match(whyFull(previous(), { ...standby, position: lsnOf(0x500_0100) }) ?? '', /put back/);
  assert.match(whyFull(previous(), { ...standby, startLsn: lsnOf(0x500_0020) }) ?? '', /put back/);
});

test('files of a database whose row is another are not compared', () => {
  const databases = [
    { oid: 5, name: 'postgres', xmin: '731' },
    { oid: 16_400, name: 'app', xmin: '750' },
  ];
  const plan = planParent(previous(), { ...now, databases });
  assert.deepEqual('fullBecause' in plan ? null : [...plan.otherDatabases], [16_400]);
});

test('a file is kept unread when everything about it is as it was, and long so', () => {
  const limit = (change: Partial<ClusterMetadata>, situation = now): bigint | null => {
    const plan = planParent(previous(change), situation);
    return 'fullBecause' in plan ? null : plan.keptBeforeNs;
  };
  const edge = BigInt(Date.parse(metadata.started_at) - 10_000) * 1_000_000n;
  assert.equal(limit({}), edge);
  assert.equal(limit({ mode: 'stream' }), null);
  assert.equal(limit({ data_directory: '/other' }), null);
  assert.equal(limit({}, { ...now, host: 'elsewhere' }), null);

  const file = { size: 8192, mtimeNs: edge - 1n, inode: '12' };
  const meta: FileMeta = { mtime_ns: String(edge - 1n), inode: '12', mode: 0o600 };
  const before = { size: 8192, meta };
  assert.equal(isUntouched(file, before, edge), true);
  assert.equal(isUntouched(file, before, null), false);
  assert.equal(isUntouched({ ...file, size: 16_384 }, before, edge), false);
  assert.equal(isUntouched({ ...file, inode: '13' }, before, edge), false);
  assert.equal(isUntouched({ ...file, mtimeNs: edge - 2n }, before, edge), false);
  const young = { ...meta, mtime_ns: String(edge) };
  assert.equal(isUntouched({ ...file, mtimeNs: edge }, { size: 8192, meta: young }, edge), false);
  assert.equal(isUntouched(file, { size: 8192, meta: { ...meta, damaged: true } }, edge), false);
  assert.equal(isUntouched(file, { size: 8192, meta: { ...meta, inode: null } }, edge), false);
});
