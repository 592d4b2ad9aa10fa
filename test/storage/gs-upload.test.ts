import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import type { Received } from '../../testing/google-protocol.ts';
import { assertSame, namesOf, pattern, rejectsWith } from '../../testing/storage-conformance.ts';
import { gsPlace } from './gs-support.ts';

const mib = 1024 * 1024;
const small = pattern(100_000, 1);
const large = pattern(3 * mib + 12_345, 2);
const isPiece = ({ method, headers }: Received): boolean =>
  method === 'PUT' && /^bytes \d/.test(String(headers['content-range']));

test('metadata says what the bytes are, and packs alone have a class of their own', async () => {
  await using place = await gsPlace({ storage_class: 'COLDLINE', chunk_size: '1MiB' });
  const storage = await place.open();
  await storage.put('packs/ab/abc', small);
  await storage.put('packs/ab/large', large);
  await storage.put('snapshots/one', small);
  await storage.put('packsy', small);
  const classes = [...place.server.objects].map(([name, { storageClass }]) => [name, storageClass]);
  assert.deepEqual(classes, [
    ['backups/eu/packs/ab/abc', 'COLDLINE'],
    ['backups/eu/packs/ab/large', 'COLDLINE'],
    ['backups/eu/snapshots/one', 'STANDARD'],
    ['backups/eu/packsy', 'STANDARD'],
  ]);
  const [sent] = place.server.requests.filter(({ path }) => path.startsWith('/upload/'));
  assert.equal(sent?.query.get('ifGenerationMatch'), '0');
  assert.ok(sent?.body.includes(createHash('md5').update(small).digest('base64')));
  await storage.close();
});

test('bytes that changed on the way are refused by the service, and sent again by a retry', async () => {
  await using place = await gsPlace();
  const storage = await place.open();
  // As a bad line would: the answer tells of other bytes than were sent.
  place.server.tamper = (_, answer) =>
    typeof answer.body === 'object' && 'md5Hash' in answer.body
      ? { ...answer, body: { ...answer.body, md5Hash: 'AAAAAAAAAAAAAAAAAAAAAA==' } }
      : answer;
  const error = await rejectsWith('storage_failed', storage.put('a', small));
  assert.match(error.message, /differs from what was sent/);
  assert.equal(error.retryable, true);
  await storage.close();
});

test('a connection that breaks in a piece costs that piece only', async () => {
  await using place = await gsPlace({ chunk_size: '1MiB' });
  const { server } = place;
  const storage = await place.open();
  let pieces = 0;
  server.faults.push({
    kind: 'tear',
    afterBytes: 700_000,
    when: (request) => isPiece(request) && ++pieces === 2,
  });
  await storage.put('large', large);
  assertSame(await storage.get('large'), large);
  const ranges = server.requests
    .filter(({ method }) => method === 'PUT')
    .map(({ headers }) => headers['content-range']);
  const total = large.byteLength;
  // Two units of 256 KiB of the torn piece were kept.
  assert.deepEqual(ranges, [
    `bytes 0-${mib - 1}/${total}`,
    `bytes ${mib}-${2 * mib - 1}/${total}`,
    `bytes */${total}`,
    `bytes ${mib + 524_288}-${2 * mib + 524_287}/${total}`,
    `bytes ${2 * mib + 524_288}-${total - 1}/${total}`,
  ]);
  await storage.close();
});

test('a service that keeps less than it was sent is sent the rest', async () => {
  await using place = await gsPlace({ chunk_size: '1MiB' });
  place.server.uploads.keepsAtMost = 512 * 1024;
  const storage = await place.open();
  await storage.put('large', large);
  assertSame(await storage.get('large'), large);
  await storage.close();
});

for (const status of [408, 429, 500, 503]) {
  test(`${status} to a piece is got over`, async () => {
    await using place = await gsPlace({ chunk_size: '1MiB' });
    place.server.faults.push({ kind: 'answer', status, when: isPiece, times: 3 });
    const storage = await place.open();
    await storage.put('large', large);
    assertSame(await storage.get('large'), large);
    await storage.close();
  });
}

test('the answer to the last piece may be lost', async () => {
  await using place = await gsPlace({ chunk_size: '1MiB' });
  const isLast = (request: Received): boolean =>
    isPiece(request) && String(request.headers['content-range']).includes(`-${large.byteLength - 1}/`);
  place.server.faults.push({ kind: 'lose', when: isLast });
  const storage = await place.open();
  await storage.put('large', large);
  assert.equal(place.server.requests.filter(isLast).length, 1);
  await storage.close();
});

test('an upload that the service forgot can be tried again', async () => {
  await using place = await gsPlace({ chunk_size: '1MiB' });
  const { server } = place;
  const storage = await place.open();
  server.faults.push({
    kind: 'lose',
    when: (request) => {
      if (isPiece(request)) server.uploads.forget();
      return false;
    },
  });
  const error = await rejectsWith('storage_failed', storage.put('large', large));
  assert.equal(error.retryable, true);
  server.faults.length = 0;
  await storage.put('large', large);
  await storage.close();
});

test('when nothing gets through any more, it is given up and cancelled', async () => {
  await using place = await gsPlace({ chunk_size: '1MiB' });
  place.server.faults.push({ kind: 'cut', when: ({ method }) => method === 'PUT', times: 100 });
  const storage = await place.open();
  const error = await rejectsWith('storage_unreachable', storage.put('large', large));
  assert.equal(error.retryable, true);
  await storage.close();
  assert.deepEqual(place.server.uploads.open, []);
  assert.equal(place.server.objects.size, 0);
});

test('an abort in the middle leaves neither object nor upload', async () => {
  await using place = await gsPlace({ chunk_size: '1MiB' });
  const { server } = place;
  const controller = new AbortController();
  const reason = new Error('enough');
  server.faults.push({
    kind: 'stall',
    when: (request) => {
      if (!isPiece(request) || !String(request.headers['content-range']).startsWith('bytes 1048576-'))
        return false;
      setImmediate(() => controller.abort(reason));
      return true;
    },
  });
  const storage = await place.open();
  await assert.rejects(
    storage.put('large', large, { signal: controller.signal }),
    (error) => error === reason,
  );
  await storage.close();
  assert.deepEqual(server.uploads.open, []);
  assert.deepEqual(await namesOf((await place.open()).list('')), []);
});

test('a name that is taken half-way through a large upload stays with the other', async () => {
  await using place = await gsPlace({ chunk_size: '1MiB' });
  const { server } = place;
  const storage = await place.open();
  const other = await place.open();
  server.faults.push({
    kind: 'lose',
    when: (request) => {
      if (isPiece(request) && server.objects.size === 0)
        server.objects.set('backups/eu/large', stored(small));
      return false;
    },
  });
  await rejectsWith('object_exists', storage.put('large', large));
  assertSame(await other.get('large'), small);
  await storage.close();
  await other.close();
});

test('an object without an MD5 is compared byte by byte', async () => {
  await using place = await gsPlace();
  const storage = await place.open();
  place.server.objects.set('backups/eu/composed', { ...stored(small), isComposed: true });
  await storage.put('composed', small);
  const other = small.slice();
  other[50_000] = 1 + (other[50_000] ?? 0);
  await rejectsWith('object_exists', storage.put('composed', other));
  await storage.close();
});

function stored(bytes: Uint8Array) {
  return {
    bytes: Buffer.from(bytes),
    timeCreated: '2026-01-01T00:00:00.000Z',
    generation: '1',
    contentType: 'application/octet-stream',
    storageClass: 'STANDARD',
  };
}
