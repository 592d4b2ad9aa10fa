import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  compressionOf,
  withCompression,
  withDataOffset,
} from '../../src/sources/postgres-logical/archive/toc-edit.ts';
import { parseToc } from '../../src/sources/postgres-logical/archive/toc-reader.ts';
import { encodeInt, encodeString, encodeToc } from '../../src/sources/postgres-logical/archive/toc.ts';

/** An archive's header and one entry with data, as pg_dump of that version of the format writes them. */
function archive(minor: number): Buffer {
  const int = (value: number): Buffer => encodeInt(value, 4);
  const text = (value?: string): Buffer => encodeString(value, 4);
  return Buffer.concat([
    Buffer.from('PGDMP'),
    Buffer.from([1, minor, 0, 4, 8, 1]),
    minor >= 15 ? Buffer.from([0]) : int(0),
    ...[0, 0, 12, 21, 10, 126, 0].map(int),
    ...['shop', '15.1', '15.1'].map((value) => text(value)),
    int(1),
    int(7),
    int(1),
    text('1'),
    text('2'),
    text('t'),
    text('TABLE DATA'),
    int(3),
    text(),
    text(),
    text('COPY t FROM stdin;\n'),
    text('public'),
    text(''),
    ...(minor >= 14 ? [text('heap')] : []),
    ...(minor >= 16 ? [int(114)] : []),
    text('me'),
    text('false'),
    text('3'),
    text(),
    Buffer.from([1, 0, 0, 0, 0, 0, 0, 0, 0]),
  ]);
}

for (const minor of [12, 13, 14, 15, 16]) {
  test(`a table of contents of version 1.${minor} says how its data are compressed and where they are`, () => {
    const plain = parseToc(archive(minor));
    assert.equal(compressionOf(plain.header), 'none');
    const entries = plain.entries.map((entry) => withDataOffset(entry, 2 ** 40 + 5, plain.header.offSize));
    const bytes = encodeToc({ ...plain, header: withCompression(plain.header, 'gzip'), entries });
    const packed = parseToc(bytes);
    assert.equal(compressionOf(packed.header), 'gzip');
    // As pg_dump writes them: the method since 1.15, zlib's default level before.
    assert.equal(packed.header.compression, minor >= 15 ? 1 : -1);
    assert.deepEqual([...bytes.subarray(-9)], [2, 5, 0, 0, 0, 0, 1, 0, 0]);
    const { header } = packed;
    const back = {
      ...packed,
      header: withCompression(header, 'none'),
      entries: packed.entries.map((entry) => withDataOffset(entry, undefined, header.offSize)),
    };
    assert.deepEqual(encodeToc(back), archive(minor));
  });
}
