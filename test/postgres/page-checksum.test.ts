import assert from 'node:assert/strict';
import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { parseControlFile } from '../../src/postgres/control-file.ts';
import { parsePostmasterFile, parseRelationPath } from '../../src/postgres/data-directory.ts';
import { parseLsn } from '../../src/postgres/lsn.ts';
import { PageBuffer } from '../../src/postgres/page/checksum.ts';
import { isNewPage, pageLsn, storedChecksum } from '../../src/postgres/page/header.ts';
import { startPostgres, withoutPostgres } from '../../testing/postgres-server.ts';

/** The definition as it stands in `PageBuffer`, word by word. */
function slowChecksum(page: Buffer, block: number, offsets: readonly number[]): number {
  const copy = Buffer.from(page);
  copy.writeUInt16LE(0, 8);
  const sums = Uint32Array.from(offsets);
  const take = (column: number, word: number): void => {
    const mixed = ((sums[column] ?? 0) ^ word) >>> 0;
    sums[column] = (Math.imul(mixed, 16_777_619) ^ (mixed >>> 17)) >>> 0;
  };
  for (let at = 0; at < copy.length; at += 4) take((at / 4) % 32, copy.readUInt32LE(at));
  for (let round = 0; round < 2; round += 1) for (let column = 0; column < 32; column += 1) take(column, 0);
  const all = sums.reduce((left, right) => (left ^ right) >>> 0, 0);
  return (((all ^ block) >>> 0) % 65_535) + 1;
}

const offsets =
  `5b1f36e9 b8525960 02ab50aa 1de66d2a 79ff467a 9bb9f8a3 217e7cd2 83e13d2c f8d4474f e39eb970 42c6ae16
  993216fa 7b093b5d 98daff3c f718902a 0b1c9cdb e58f764b 187636bc 5d7b3bb1 e73de7de 92bec979 cca6c0b2 304a0979 85aa43d4
  783125bb 6ca8eaa2 e407eac6 4b5cfc3e 9fbf8c76 15ca20be f2ca9fd3 959bd756`
    .split(/\s+/)
    .map((digits) => Number.parseInt(digits, 16));

test('checksums of pages of every size are those of the definition', () => {
  let state = 42;
  for (const pageBytes of [1024, 2048, 4096, 8192, 16_384, 32_768]) {
    const buffer = new PageBuffer(pageBytes, 4 * pageBytes);
    for (let at = 0; at < buffer.bytes.length; at += 1) {
      state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
      buffer.bytes[at] = state >>> 24;
    }
    for (const block of [0, 131_072, 0xffff_fffc]) {
      const sums = [...buffer.checksums(1, 3, block + 1)];
      const expected = [1, 2, 3].map((page) =>
        slowChecksum(buffer.bytes.subarray(page * pageBytes, (page + 1) * pageBytes), block + page, offsets),
      );
      assert.deepEqual(sums, expected, `${pageBytes} ${block}`);
    }
  }
  assert.throws(() => new PageBuffer(8192, 10_000), RangeError);
});

for (const major of ['system', 18] as const) {
  test(`the files of a server of ${major} are understood`, { skip: withoutPostgres(major) }, async () => {
    await using server = await startPostgres({ major, initdbArgs: ['--data-checksums'] });
    const [identifier, catalog, redo, timeline, started] = (
      await server.psql(`SELECT system_identifier, catalog_version_no, redo_lsn, timeline_id,
        extract(epoch FROM pg_postmaster_start_time())::bigint
        FROM pg_control_system(), pg_control_checkpoint()`)
    ).split('|');
    const at = (path: string): string => join(server.dataDirectory, path);
    const bytes = readFileSync(at('global/pg_control'));
    const control = parseControlFile(bytes);
    assert.equal(control?.systemIdentifier, identifier);
    assert.equal(String(control?.catalogVersion), catalog);
    assert.equal(control?.redo, parseLsn(redo ?? ''));
    assert.equal(String(control?.timeline), timeline);
    for (const place of [0, 45, 100, 250])
      assert.equal(
        parseControlFile(Buffer.from(bytes.map((byte, index) => (index === place ? byte ^ 4 : byte)))),
        undefined,
      );
    const running = parsePostmasterFile(readFileSync(at('postmaster.pid'), 'utf8'));
    assert.equal(running?.port, server.port);
    assert.ok(Math.abs((running?.startedAt ?? 0) - Number(started)) <= 5);
    await server.stop();

    let pages = 0;
    for (const name of readdirSync(at('base/1'))) {
      if (parseRelationPath(`base/1/${name}`) === undefined) continue;
      const file = readFileSync(at(`base/1/${name}`));
      if (file.length === 0) continue;
      const buffer = new PageBuffer(8192, file.length);
      buffer.bytes.set(file);
      for (const [page, sum] of buffer.checksums(0, file.length / 8192, 0).entries()) {
        if (isNewPage(file, page * 8192)) continue;
        assert.equal(storedChecksum(file, page * 8192), sum, `${name} block ${page}`);
        assert.ok(pageLsn(file, page * 8192) > 0n);
        pages += 1;
      }
    }
    assert.ok(pages > 500);
  });
}

test('paths of relations are taken apart', () => {
  const file = (tablespace: number, database: number, filenode: number, segment: number): unknown => ({
    tablespace,
    database,
    filenode,
    segment,
  });
  assert.deepEqual(parseRelationPath('base/5/16384'), file(0, 5, 16_384, 0));
  assert.deepEqual(parseRelationPath('base/5/16384.12'), file(0, 5, 16_384, 12));
  assert.deepEqual(parseRelationPath('global/1262'), file(1664, 0, 1262, 0));
  assert.deepEqual(parseRelationPath('pg_tblspc/16400/PG_15_202209061/5/1.2'), file(16_400, 5, 1, 2));
  for (const other of [
    'base/5/16384_fsm',
    'base/5/t3_16384',
    'base/5/PG_VERSION',
    'global/pg_control',
    'base/5/x/1',
  ])
    assert.equal(parseRelationPath(other), undefined, other);
  assert.equal(parsePostmasterFile('12\n/data\n'), undefined);
});
