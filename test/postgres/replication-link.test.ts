import assert from 'node:assert/strict';
import { getEventListeners } from 'node:events';
import { Duplex } from 'node:stream';
import { test } from 'node:test';
import fc from 'fast-check';
import { lsnOf } from '../../src/postgres/lsn.ts';
import { Link } from '../../src/postgres/replication/link.ts';
import { WireReader, type WireItem } from '../../src/postgres/replication/wire.ts';
import { startStream, type WalStream } from '../../src/postgres/replication/wal-stream.ts';
import { until } from '../../testing/until.ts';
import { failing } from './support.ts';

const setting = { server: 'h:1', user: 'u', database: 'd', password: undefined };

/** A server that says what it is told to. */
class Peer extends Duplex {
  readonly sent: Buffer[] = [];

  override _read(): void {
    // pushed by say()
  }

  override _write(bytes: Buffer, _encoding: string, done: () => void): void {
    this.sent.push(bytes);
    done();
  }

  say(type: string, body: Buffer = Buffer.alloc(0)): void {
    this.push(message(type, body));
  }

  /** Reports of positions: written, flushed, applied. */
  reports(): bigint[][] {
    return this.sent
      .filter((bytes) => bytes[0] === 0x64 && bytes[5] === 0x72)
      .map((bytes) => [6, 14, 22].map((at) => bytes.readBigUInt64BE(at)));
  }
}

function message(type: string, body: Buffer): Buffer {
  const head = Buffer.alloc(5);
  head.write(type, 'latin1');
  head.writeUInt32BE(body.length + 4, 1);
  return Buffer.concat([head, body]);
}

function wal(start: bigint, bytes: Buffer): Buffer {
  const head = Buffer.alloc(25);
  head.write('w', 'latin1');
  head.writeBigUInt64BE(start, 1);
  return Buffer.concat([head, bytes]);
}

function keepalive(asks: boolean): Buffer {
  const body = Buffer.alloc(18);
  body.write('k', 'latin1');
  body[17] = asks ? 1 : 0;
  return body;
}

async function begin(
  peer: Peer,
  silentAfterMs?: number,
  statusEveryMs = 3_600_000,
): Promise<{ stream: WalStream; link: Link; abort: AbortController }> {
  const abort = new AbortController();
  const link = new Link(peer, setting, abort.signal);
  const started = startStream(
    link,
    { start: lsnOf(1000), timeline: 1, silentAfterMs },
    { statusEveryMs, now: () => 0 },
  );
  peer.say('W', Buffer.alloc(3));
  return { stream: await started, link, abort };
}

test('messages are the same however they are cut on their way', () => {
  const letter = fc.constantFrom('d', 'd', 'd', 'C', 'Z', 'D');
  const messages = fc.array(fc.tuple(letter, fc.uint8Array({ maxLength: 70 })), { maxLength: 20 });
  fc.assert(
    fc.property(
      messages,
      fc.array(fc.integer({ min: 1, max: 40 })),
      fc.integer({ min: 0, max: 30 }),
      (list, cuts, head) => {
        const all = Buffer.concat(list.map(([type, body]) => message(type, Buffer.from(body))));
        const reader = new WireReader();
        reader.headBytes = () => head;
        const items: WireItem[] = [];
        let at = 0;
        for (const cut of [...cuts, all.length]) {
          assert.ok(reader.feed(Buffer.from(all.subarray(at, at + cut)), (item) => items.push(item)));
          at += cut;
        }
        assert.deepEqual(
          joined(items, head),
          list.map(([type, body]) => [type, Buffer.from(body).toString('hex')]),
        );
      },
    ),
  );
});

/** The pieces of a message share its head. */
function joined(items: readonly WireItem[], headBytes: number): string[][] {
  const found: { type: string; head: Buffer; body: Buffer[] }[] = [];
  for (const { type, head, bytes, offset } of items) {
    const last = found.at(-1);
    if (offset > 0 && last !== undefined) {
      assert.equal(
        offset,
        last.body.reduce((sum, piece) => sum + piece.length, 0),
      );
      last.body.push(bytes);
    } else found.push({ type: String.fromCharCode(type), head, body: [bytes] });
    assert.ok(type !== 0x64 || head.length <= headBytes);
  }
  return found.map(({ type, head, body }) => [type, Buffer.concat([head, ...body]).toString('hex')]);
}

test('what is no message of PostgreSQL ends the connection', async () => {
  const peer = new Peer();
  const link = new Link(peer, setting, new AbortController().signal);
  peer.push(Buffer.from('HTTP/1.1 400 Bad Request\r\n\r\n'));
  await assert.rejects(link.next(), failing('replication_protocol'));
  assert.ok(peer.destroyed);
});

test('a keepalive that asks is answered at once, whatever the reader of the stream is doing', async () => {
  const peer = new Peer();
  const { stream } = await begin(peer);
  stream.report({ written: lsnOf(3000), flushed: lsnOf(2000), applied: lsnOf(1500) });
  const before = peer.reports().length;
  peer.say('d', wal(1000n, Buffer.alloc(100)));
  peer.say('d', keepalive(false));
  peer.say('d', keepalive(true));
  await until(() => peer.reports().length > before, 'an answer');
  assert.deepEqual(peer.reports().slice(before), [[3000n, 2000n, 1500n]]);
});

test('before anything was reported nothing is said to be flushed; nothing reported is taken back', async () => {
  const peer = new Peer();
  const { stream } = await begin(peer);
  assert.deepEqual(peer.reports(), [[0n, 0n, 0n]]);
  stream.report({ written: lsnOf(3000), flushed: lsnOf(2000), applied: lsnOf(1500) });
  stream.report({ written: lsnOf(10), flushed: lsnOf(20), applied: lsnOf(30) });
  assert.deepEqual(peer.reports().slice(1), [
    [3000n, 2000n, 1500n],
    [3000n, 2000n, 1500n],
  ]);
});

test('a report goes out again and again, until the stream ends', async (t) => {
  t.mock.timers.enable({ apis: ['setInterval'] });
  const peer = new Peer();
  const { stream } = await begin(peer, undefined, 10_000);
  assert.equal(peer.reports().length, 1);
  t.mock.timers.tick(9_999);
  assert.equal(peer.reports().length, 1);
  t.mock.timers.tick(1);
  assert.equal(peer.reports().length, 2);
  const ended = stream.end();
  peer.say('c');
  peer.say('C', Buffer.from('COPY 0\0'));
  peer.say('Z', Buffer.from('I'));
  assert.equal(await ended, null);
  t.mock.timers.tick(3_600_000);
  assert.equal(peer.reports().length, 2);
  assert.equal(peer.destroyed, false);
});

test('a reader that waits lets only few megabytes come', async () => {
  const peer = new Peer({ readableHighWaterMark: 65_536 });
  const { stream } = await begin(peer);
  const piece = Buffer.alloc(65_536);
  let at = 1000n;
  for (let count = 0; count < 800; count += 1) {
    peer.say('d', wal(at, piece));
    at += BigInt(piece.length);
  }
  await until(() => peer.isPaused(), 'a pause');
  assert.ok(stream.mostBuffered < 4.5 * 1_048_576, `${stream.mostBuffered}`);
  let bytes = 0;
  for await (const found of stream.messages()) {
    if (found.kind === 'wal') bytes += found.bytes.length;
    if (bytes === 800 * 65_536) break;
  }
  assert.ok(stream.mostBuffered < 4.5 * 1_048_576, `${stream.mostBuffered}`);
});

test('a server that says nothing is asked, and then given up', async () => {
  const peer = new Peer();
  const { stream } = await begin(peer, 60);
  await assert.rejects(stream.messages()[Symbol.asyncIterator]().next(), failing('postgres_silent'));
  const asked = peer.sent.filter((bytes) => bytes[5] === 0x72 && bytes.at(-1) === 1);
  assert.equal(asked.length, 1);
  await assert.rejects(stream.end(), failing('postgres_silent'));
});

test('one that answers is not given up', async () => {
  const peer = new Peer({
    write: (bytes: Buffer, _encoding, done) => {
      if (bytes[5] === 0x72 && bytes.at(-1) === 1) peer.say('d', keepalive(false));
      done();
    },
  });
  const { stream } = await begin(peer, 40);
  let answers = 0;
  for await (const found of stream.messages()) {
    if (found.kind === 'keepalive') answers += 1;
    if (answers === 4) break;
  }
  assert.equal(answers, 4);
});

test('WAL with a gap is not believed', async () => {
  const peer = new Peer();
  const { stream } = await begin(peer);
  peer.say('d', wal(1001n, Buffer.alloc(10)));
  await assert.rejects(stream.messages()[Symbol.asyncIterator]().next(), failing('replication_protocol'));
});

test('an abort ends all at once, with its reason, and leaves no listener', async () => {
  const peer = new Peer();
  const { stream, abort } = await begin(peer);
  peer.say('d', wal(1000n, Buffer.alloc(10)));
  const iterator = stream.messages()[Symbol.asyncIterator]();
  assert.equal((await iterator.next()).done, false);
  const next = iterator.next();
  const reason = new Error('enough');
  abort.abort(reason);
  await assert.rejects(next, (error) => error === reason);
  await assert.rejects(stream.end(), (error) => error === reason);
  assert.ok(peer.destroyed);
  assert.equal(getEventListeners(abort.signal, 'abort').length, 0);
});
