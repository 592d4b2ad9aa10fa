import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { test } from 'node:test';
import { unscannedFacts } from '../../src/contract/wal.ts';
import { systemClock } from '../../src/kernel/clock.ts';
import type { ClusterMetadata } from '../../src/sources/postgres-cluster/metadata.ts';
import { openFsStorage } from '../../src/storage/fs/open.ts';
import { patternedBytes } from '../../testing/bytes.ts';
import { backUp, makeRepository } from '../../testing/repository.ts';
import { mib, walBytes } from '../../testing/wal-archive.ts';
import { madeUpMetadata, put } from '../cluster/restore-kit.ts';
import { bareMachine, filesBelow, overwrite, type BareMachine } from './kit.ts';

const map = '16400 /srv/one\\\ntwo\n16401 pg_tblspc/16401\n16999 /gone\n';

/** A plain repository with a cluster that no server has made, its configuration elsewhere; in segments of 32 MiB. */
async function makeCluster(machine: BareMachine): Promise<string> {
  const repository = machine.at('r');
  const storage = await openFsStorage(repository, { create: true, clock: systemClock });
  await using opened = await makeRepository(storage, { encrypted: false });
  const { system_identifier } = madeUpMetadata;
  const archive = await opened.walArchive({
    source: 'main',
    system_identifier,
    segment_bytes: 32 * mib,
    postgres_major: 15,
  });
  const start = 0x1_fc00_0000n;
  for (const [at, length] of [
    [0, 16 * mib],
    [16 * mib, 5 * mib],
  ] as const)
    await archive.put(
      { timeline: 3, start: start + BigInt(at), bytes: walBytes(start + BigInt(at), length) },
      unscannedFacts,
    );
  await archive.putFile('00000002.history', Buffer.from('1\t0/5000000\twhy\n'));
  await archive.putFile('00000004.history', Buffer.from('3\t1/FF000000\tlater\n'));
  const metadata: ClusterMetadata = {
    ...madeUpMetadata,
    timeline: 3,
    start_lsn: '1/FC000028',
    stop_lsn: '1/FD400000',
    wal_segment_bytes: 32 * mib,
    wal_archive: archive.id,
    tablespaces: [
      { oid: 16_400, path: '/srv/one\ntwo', size: 1 },
      { oid: 16_401, path: 'pg_tblspc/16401', size: 1 },
    ],
  };
  await backUp(opened, {
    name: 'main',
    kind: 'postgres-cluster',
    backup: async (context) => {
      for (const path of ['pg_wal', 'pg_tblspc', 'pg_tblspc/16400', 'pg_tblspc/16401', 'pg_replslot'])
        await context.addEntry({ path, kind: 'pg.directory', stream: null, meta: { mode: 0o750 } });
      await put(context, 'base/5/16384', 'pg.relation', patternedBytes(400_000, 1));
      await put(context, 'base/5/16384#stamps', 'pg.stamps', patternedBytes(400, 2));
      await put(context, 'pg_tblspc/16400/PG_15/5/1', 'pg.relation', patternedBytes(8192, 3));
      await put(context, 'pg_tblspc/16401/PG_15/5/1', 'pg.relation', patternedBytes(8192, 4));
      await put(context, 'standby.signal', 'pg.file', Buffer.from(''));
      await put(context, 'odd%0Aname', 'pg.file', Buffer.from('odd'));
      const auto = "# Do not edit\nwork_mem = '8MB'\nrecovery_target_name = 'old'\nrestore_command = 'old'\n";
      await put(context, 'postgresql.auto.conf', 'pg.file', Buffer.from(auto));
      await put(
        context,
        'holdfast.config/postgresql.conf',
        'pg.file',
        Buffer.from("data_directory = '/var/lib/pg'\n"),
      );
      await put(context, 'backup_label', 'pg.label', Buffer.from('START WAL LOCATION: 1/FC000028\n'));
      await put(context, 'tablespace_map', 'pg.label', Buffer.from(map));
      await put(context, 'global/pg_control', 'pg.control', patternedBytes(8192, 5));
      return { metadata, warnings: [] };
    },
  });
  await storage.close();
  return repository;
}

test('a data directory is put together as docs/format.md says', async () => {
  await using machine = await bareMachine();
  const repository = await makeCluster(machine);
  const ran = await machine.run(['restore', repository, 'latest', '--to', 'data']);
  assert.equal(ran.code, 0, ran.stderr);
  const at = (name: string): string => machine.at('data', name);
  const text = (name: string): string => readFileSync(at(name), 'utf8');
  assert.deepEqual(readFileSync(at('base/5/16384')), patternedBytes(400_000, 1));
  assert.ok(!existsSync(at('base/5/16384#stamps')) && !existsSync(at('standby.signal')));
  assert.equal(text('odd\nname'), 'odd');
  assert.equal(text('holdfast.config/postgresql.conf'), "data_directory = '/var/lib/pg'\n");
  assert.match(text('postgresql.conf'), /^hot_standby = off$/m);
  assert.match(text('pg_hba.conf'), /^local all all peer$/m);
  assert.match(
    text('postgresql.auto.conf'),
    /^# Do not edit\nwork_mem = '8MB'\n# written by .*\narchive_mode = 'off'\n$/,
  );

  const space = at('tablespaces/16400');
  assert.equal(readlinkSync(at('pg_tblspc/16400')), space);
  assert.deepEqual(readFileSync(`${space}/PG_15/5/1`), patternedBytes(8192, 3));
  assert.deepEqual(readFileSync(at('pg_tblspc/16401/PG_15/5/1')), patternedBytes(8192, 4));
  assert.equal(text('tablespace_map'), `16400 ${space}\n`);

  const segment = Buffer.alloc(32 * mib);
  segment.set(walBytes(0x1_fc00_0000n, 16 * mib));
  segment.set(walBytes(0x1_fd00_0000n, 5 * mib), 16 * mib);
  assert.deepEqual(readdirSync(at('pg_wal')).toSorted(), ['00000002.history', '00000003000000010000007E']);
  assert.ok(readFileSync(at('pg_wal/00000003000000010000007E')).equals(segment));
});

test('without its label a data directory gets no pg_control, and what tells of an archive is not needed', async () => {
  await using machine = await bareMachine();
  const repository = await makeCluster(machine);
  const [about = ''] = filesBelow(`${repository}/wal/about`);
  overwrite(about, 'something else');
  const listed = await machine.run(['list', repository]);
  assert.equal(listed.code, 0, listed.stderr);
  assert.match(listed.stdout, /^WAL of main .*\n  timeline 3: 1\/FC000000 to 1\/FD500000$/m);
  // The label is the only chunk of 31 bytes.
  for (const file of filesBelow(`${repository}/packs`)) {
    const bytes = readFileSync(file);
    for (let at = 64; at < bytes.readUInt32LE(bytes.length - 80); at += 44 + bytes.readUInt32LE(at + 8))
      if (bytes.readUInt32LE(at + 4) === 31) bytes[at + 50] = (bytes[at + 50] ?? 0) ^ 1;
    overwrite(file, bytes);
  }
  const ran = await machine.run(['restore', repository, 'latest', '--to', 'data']);
  assert.equal(ran.code, 3, ran.stderr);
  assert.match(ran.stderr, /DAMAGED: backup_label is lost, so global\/pg_control was left out/);
  assert.ok(!existsSync(machine.at('data/global/pg_control')));
  assert.ok(existsSync(machine.at('data/pg_wal/00000003000000010000007E')));
});
