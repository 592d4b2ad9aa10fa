import assert from 'node:assert/strict';
import { test } from 'node:test';
import { systemClock } from '../../src/kernel/clock.ts';
import { silentLogger } from '../../src/kernel/log.ts';
import { StreamPositions } from '../../src/operations/wal/stream-positions.ts';
import { lsnOf } from '../../src/postgres/lsn.ts';

const { signal } = new AbortController();

function positions(): StreamPositions {
  return new StreamPositions({
    clock: systemClock,
    random: () => 0,
    log: silentLogger,
    observer: { told: () => undefined, position: () => undefined },
    stop: signal,
    signal,
  });
}

test('a server that was put back to an earlier position is not measured by where it was', () => {
  const stream = positions();
  stream.begin(1, lsnOf(0x900_0000n));
  stream.heard(lsnOf(0x1b0_0000_0000n));
  assert.ok(stream.now().lagBytes > 0);
  stream.begin(2, lsnOf(0x500_0000n));
  assert.equal(stream.now().lagBytes, 0);
  stream.heard(lsnOf(0x500_0100n));
  assert.equal(stream.now().lagBytes, 256);
  // Another connection to the same timeline knows what the last one has heard.
  stream.begin(2, lsnOf(0x500_0000n));
  assert.equal(stream.now().lagBytes, 256);
});

test('what a switch has left of a segment is no WAL that was written', () => {
  const stream = positions();
  stream.begin(1, lsnOf(0x100_0000n));
  const bytes = new Uint8Array(10 * 8192);
  bytes.fill(7, 0, 8192 + 1);
  stream.came(bytes);
  assert.equal(stream.now().writtenBytes, 2 * 8192);
  stream.came(bytes.subarray(2 * 8192));
  stream.came(Uint8Array.of(1, 2, 3));
  assert.equal(stream.now().writtenBytes, 2 * 8192 + 3);
});
