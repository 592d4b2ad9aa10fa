import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Manifest } from '../../src/contract/manifest.ts';
import type { BackupId } from '../../src/kernel/ids.ts';
import { findBackup } from '../../src/repository/find-backup.ts';
import { parseSnapshotObject, snapshotObject } from '../../src/repository/layout.ts';
import type { BackupName } from '../../src/repository/model.ts';

const at = (iso: string): number => Date.parse(iso);
const backups = [
  { id: 'aaaa1111', source: 'shop', startedAtMs: at('2026-01-01T02:00:00.500Z') },
  { id: 'aaaa2222', source: 'crm', startedAtMs: at('2026-01-02T02:00:00.000Z') },
  { id: 'bbbb3333', source: 'shop', startedAtMs: at('2026-01-03T02:00:00.000Z') },
];
const names = backups.map(({ id, startedAtMs }, index) => {
  const full = id.padEnd(32, '0') as BackupId;
  const objectName = snapshotObject(index + 1, startedAtMs, full);
  return { id: full, sequence: index + 1, startedAtMs, objectName } satisfies BackupName;
});
const read = (name: BackupName): Promise<Manifest> => {
  const index = name.sequence - 1;
  return Promise.resolve({
    id: name.id,
    source: { name: backups[index]?.source, kind: 'test' },
    tags: {},
  } as unknown as Manifest);
};
const find = async (reference: string): Promise<string> =>
  (await findBackup(names, reference, read)).id.slice(0, 8);

test('ids, prefixes, times and names find the backup that is meant', async () => {
  assert.equal(await find('aaaa1111'.padEnd(32, '0')), 'aaaa1111');
  assert.equal(await find('bbbb'), 'bbbb3333');
  assert.equal(await find('latest'), 'bbbb3333');
  assert.equal(await find('latest:crm'), 'aaaa2222');
  assert.equal(await find('2026-01-01T02:00:00Z'), 'aaaa1111');
  assert.equal(await find('2026-01-02T01:59:59Z'), 'aaaa1111');
  assert.equal(await find('2026-01-02T03:00:00+01:00'), 'aaaa2222');
  assert.equal(await find('2030-01-01'), 'bbbb3333');
  assert.equal(await find('2026-01-02T02:00:00Z:shop'), 'aaaa1111');
  assert.equal(await find('2026-01-03 23:59:crm'), 'aaaa2222');
  assert.equal(await find('2026-01-02:shop'), 'aaaa1111');
});

test('a time is as long as it is written: a day, a minute, a second, or a moment', async () => {
  const name = { ...(names[0] as BackupName), startedAtMs: at('2026-11-21T12:44:21.400Z') };
  const matches = (reference: string): Promise<boolean> =>
    findBackup([name], reference, read).then(
      () => true,
      () => false,
    );
  for (const time of ['2026-11-21T12:44Z', '2026-11-21 12:44:21Z', '2026-11-21T12:44:21.400Z', '2026-11-22'])
    assert.ok(await matches(time), time);
  assert.ok(await matches('2026-11-21T14:44+02:00'));
  for (const time of ['2026-11-21T12:43Z', '2026-11-21T12:44:20Z', '2026-11-21T12:44:21.399Z', '2026-11-20'])
    assert.ok(!(await matches(time)), time);
});

test('an imported backup is found by its id, and otherwise only where there is no other', async () => {
  const imported = (...sequences: readonly number[]): ((reference: string) => Promise<string>) => {
    const reading = async (name: BackupName): Promise<Manifest> => ({
      ...(await read(name)),
      tags: sequences.includes(name.sequence) ? { imported_from: 'old.dump' } : {},
    });
    return async (reference) => (await findBackup(names, reference, reading)).id.slice(0, 8);
  };
  const newest = imported(3);
  assert.equal(await newest('bbbb'), 'bbbb3333');
  assert.equal(await newest('bbbb3333'.padEnd(32, '0')), 'bbbb3333');
  assert.equal(await newest('latest'), 'aaaa2222');
  assert.equal(await newest('latest:shop'), 'aaaa1111');
  assert.equal(await newest('2030-01-01'), 'aaaa2222');
  assert.equal(await newest('2030-01-01:shop'), 'aaaa1111');
  const mixed = imported(1, 3);
  assert.equal(await mixed('latest:shop'), 'bbbb3333');
  assert.equal(await mixed('2026-01-02:shop'), 'aaaa1111');
  assert.equal(await mixed('latest'), 'aaaa2222');
  assert.equal(await imported(1, 2, 3)('latest'), 'bbbb3333');
});

test('latest reads no more manifests than it has to', async () => {
  const seen: number[] = [];
  const reading = async (name: BackupName): Promise<Manifest> => {
    seen.push(name.sequence);
    return { ...(await read(name)), tags: name.sequence === 3 ? { imported_from: 'x' } : {} };
  };
  await findBackup(names, 'latest', reading);
  assert.deepEqual(seen, [3, 2]);
  await findBackup(names.slice(0, 2), 'latest', reading);
  assert.deepEqual(seen, [3, 2, 2]);
});

test('what matches nothing, too much, or is no reference is told apart', async () => {
  await assert.rejects(find('cccc'), { errorName: 'backup_unknown', exitCode: 6 });
  await assert.rejects(find('2025-12-31T00:00:00Z'), { errorName: 'backup_unknown' });
  await assert.rejects(find('latest:nobody'), {
    errorName: 'backup_unknown',
    hint: 'see the ids with: holdfast list; sources with backups: crm, shop',
  });
  await assert.rejects(find('2026-01-01T12:00:00Z:crm'), { errorName: 'backup_unknown' });
  await assert.rejects(find('aaaa'), {
    errorName: 'backup_ambiguous',
    exitCode: 2,
    message: /aaaa1111.*aaaa2222/,
  });
  for (const reference of ['', 'aa', 'LATEST', '../x', '2026-13-77', 'yesterday']) {
    await assert.rejects(find(reference), { errorName: 'backup_reference', exitCode: 2 }, reference);
  }
});

test('a manifest name tells what it was made from, and nothing else is one', () => {
  for (const name of names) assert.deepEqual(parseSnapshotObject(name.objectName), name);
  for (const name of ['snapshots/', 'snapshots/1-2-3', `${names[0]?.objectName}.tmp`, 'packs/aa/bb']) {
    assert.equal(parseSnapshotObject(name), undefined);
  }
});
