import assert from 'node:assert/strict';
import { test } from 'node:test';
import { lsnOf } from '../../src/postgres/lsn.ts';
import { checkSegmentHeader, parseSegmentHeader } from '../../src/postgres/wal/header.ts';
import { WalWriter, type WalWriterOptions } from '../../testing/wal-writer.ts';

const start = lsnOf(0x2_0500_0000n);
const expected = { start, timeline: 2, systemIdentifier: '7000000000000000001', segmentBytes: 1 << 24 };

function segment(options: Partial<WalWriterOptions> = {}): Buffer {
  const writer = new WalWriter({ start, timeline: 2, segmentBytes: 1 << 24, ...options });
  writer.add({ data: Buffer.alloc(10) });
  return writer.bytes();
}

test('the first page of a segment tells what it is of', () => {
  assert.deepEqual(parseSegmentHeader(segment({ magic: 0xd10d })), {
    magic: 0xd10d,
    major: 14,
    flags: 2,
    timeline: 2,
    start,
    tailBytes: 0,
    systemIdentifier: '7000000000000000001',
    segmentBytes: 1 << 24,
    walPageBytes: 8192,
  });
});

test('the segment that is expected is accepted, of an older timeline and of a version to come as well', () => {
  assert.equal(checkSegmentHeader(segment(), expected), null);
  assert.equal(checkSegmentHeader(segment(), { start, timeline: 2 }), null);
  assert.equal(checkSegmentHeader(segment({ timeline: 1 }), expected), null);
  assert.equal(checkSegmentHeader(segment({ magic: 0xd123 }), expected), null);
});

test('any other is refused with the reason', () => {
  const cases: [Uint8Array, RegExp][] = [
    [segment({ systemIdentifier: 5n }), /another cluster: 5, not 7000000000000000001/],
    [segment({ segmentBytes: 1 << 20 }), /segments of 1048576 bytes, not 16777216/],
    [segment({ start: lsnOf(0x2_0300_0000n) }), /begins at 2\/3000000, not at 2\/5000000/],
    [segment({ timeline: 3 }), /timeline 3, which is newer than 2/],
    [segment().subarray(0, 39), /has 39 bytes only/],
    [new Uint8Array(8192), /no WAL/],
    [Buffer.from('1\t0/5000000\tno recovery target specified\n'), /no WAL/],
    [Buffer.concat([segment().subarray(8), segment()]), /no WAL/],
    [segment({ magic: 0x1f8b }), /no WAL/],
  ];
  for (const [bytes, reason] of cases)
    assert.match(checkSegmentHeader(bytes, expected) ?? 'accepted', reason);
});
