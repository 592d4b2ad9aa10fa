import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Received } from '../../testing/google-protocol.ts';
import { assertSame, namesOf, pattern, rejectsWith } from '../../testing/storage-conformance.ts';
import { drivePlace } from './gdrive-support.ts';
import { TestClock } from './support.ts';

const bytes = pattern(50_000, 1);
const others = pattern(50_000, 2);
const large = pattern(6_000_000, 3);
const isUpload = ({ path }: Received): boolean => path.startsWith('/upload/');
const isPiece = ({ method, headers }: Received): boolean =>
  method === 'PUT' && /^bytes \d/.test(String(headers['content-range']));

test('an object is one file with its whole name, in the folder, under an id asked for beforehand', async () => {
  await using place = await drivePlace();
  const storage = await place.open();
  await storage.put('packs/ab/abcd', bytes);
  const [file] = place.server.called('packs/ab/abcd');
  assert.deepEqual(file?.parents, ['backups-folder']);
  assert.deepEqual(file?.properties, { holdfast: 'packs' });
  await storage.close();
});

test('what this process wrote is there for it, however far searches lag behind', async () => {
  await using place = await drivePlace();
  place.server.searchLag = 1000;
  const storage = await place.open();
  for (const name of ['a/1', 'a/2', 'b/1']) await storage.put(name, bytes);
  assertSame(await storage.get('a/2', { offset: 7, length: 11 }), bytes.subarray(7, 18));
  assert.equal((await storage.stat('b/1')).sizeBytes, bytes.byteLength);
  assert.deepEqual(await namesOf(storage.list('a/')), ['a/1', 'a/2']);
  await storage.put('a/1', bytes);
  await rejectsWith('object_exists', storage.put('a/1', others));
  assert.equal(place.server.called('a/1').length, 1);
  await storage.delete('a/1');
  assert.deepEqual(await namesOf(storage.list('')), ['a/2', 'b/1']);
  await rejectsWith('object_missing', storage.get('a/1'));
  await storage.put('a/1', others);
  assertSame(await storage.get('a/1'), others);
  await storage.close();
});

test('what this process removed is gone for it, however far searches lag behind', async () => {
  await using place = await drivePlace();
  const storage = await place.open();
  await storage.put('a', bytes);
  await storage.put('b', bytes);
  place.server.searchLag = 1000;
  await storage.delete('a');
  assert.deepEqual(await namesOf(storage.list('')), ['b']);
  await rejectsWith('object_missing', storage.stat('a'));
  await storage.close();
});

test('an upload whose answer was lost is found by its id, though no search shows it', async () => {
  await using place = await drivePlace();
  place.server.searchLag = 1000;
  const storage = await place.open();
  place.server.faults.push({ kind: 'lose', when: isUpload });
  await rejectsWith('storage_unreachable', storage.put('a', bytes));
  assert.deepEqual(await namesOf(storage.list('')), ['a']);
  await storage.put('a', bytes);
  assert.equal(place.server.called('a').length, 1);
  await rejectsWith('object_exists', storage.put('a', others));
  await storage.close();
});

for (const [title, mine, theirs, outcome] of [
  ['with other bytes: theirs stays, ours goes', bytes, others, 'object_exists'],
  ['with the same bytes: theirs stays, and it worked', bytes, bytes, 'stored'],
] as const) {
  test(`somebody was a moment earlier ${title}`, async () => {
    await using place = await drivePlace();
    const { server } = place;
    const storage = await place.open();
    // Theirs comes between our look and our upload, and is the older one.
    server.faults.push({
      kind: 'lose',
      when: (request) => {
        if (isUpload(request) && server.called('a').length === 0) {
          const properties = { holdfast: 'a' };
          server.place({
            id: 'theirs',
            name: 'a',
            parents: ['backups-folder'],
            properties,
            bytes: Buffer.from(theirs),
          });
        }
        return false;
      },
    });
    if (outcome === 'stored') await storage.put('a', mine);
    else await rejectsWith('object_exists', storage.put('a', mine));
    assert.deepEqual(
      server.called('a').map(({ id }) => id),
      ['theirs'],
    );
    assertSame(await storage.get('a'), theirs);
    await storage.close();
  });
}

test('of several files with one name the oldest is the object, then the one with the smallest id; delete takes all', async () => {
  await using place = await drivePlace();
  const { server } = place;
  const common = { name: 'x/a', parents: ['backups-folder'], properties: { holdfast: 'x' } };
  server.place({ ...common, id: 'c', createdAtMs: 2000, bytes: Buffer.from(others) });
  server.place({ ...common, id: 'b', createdAtMs: 1000, bytes: Buffer.from(bytes) });
  server.place({ ...common, id: 'd', createdAtMs: 1000, bytes: Buffer.from('d') });
  const storage = await place.open();
  assertSame(await storage.get('x/a'), bytes);
  assert.equal((await storage.stat('x/a')).modifiedAtMs, 1000);
  const listed = [];
  for await (const info of storage.list('x/')) listed.push(info);
  assert.deepEqual(listed, [{ name: 'x/a', sizeBytes: bytes.byteLength, modifiedAtMs: 1000 }]);
  await storage.delete('x/a');
  assert.equal(server.called('x/a').length, 0);
  await storage.close();
});

test('what lies in the bin, in other case, or is not ours is no object', async () => {
  await using place = await drivePlace();
  const { server } = place;
  const parents = ['backups-folder'];
  const properties = { holdfast: 'a' };
  server.place({ id: 'f1', name: 'a/1', parents, properties, trashed: true });
  server.place({ id: 'f2', name: 'a/TWO', parents, properties });
  server.place({ id: 'f4', name: 'a/4', parents: ['root'], properties });
  const storage = await place.open();
  assert.equal(await storage.foreign(), 'a/TWO');
  await rejectsWith('object_missing', storage.get('a/two'));
  await storage.put('a/two', bytes);
  await storage.delete('a/two');
  assert.equal(server.called('a/TWO').length, 1);
  server.files.delete('f2');
  assert.equal(await storage.foreign(), undefined);
  server.place({ id: 'f3', name: 'a/3', parents });
  assert.equal(await storage.foreign(), 'a/3');
  assert.deepEqual(await namesOf(storage.list('')), []);
  for (const name of ['a/1', 'a/2', 'a/3', 'a/4']) await rejectsWith('object_missing', storage.get(name));
  await storage.put('a/2', bytes);
  assert.deepEqual(await namesOf(storage.list('a/')), ['a/2']);
  await storage.close();
});

test('a file that another process replaced is found by its name again', async () => {
  await using place = await drivePlace();
  const storage = await place.open();
  const second = await place.open();
  await storage.put('a', bytes);
  assertSame(await second.get('a'), bytes);
  await storage.delete('a');
  await storage.put('a', others);
  assertSame(await second.get('a'), others);
  await storage.delete('a');
  await rejectsWith('object_missing', second.get('a'));
  await storage.close();
  await second.close();
});

test('a folder that was moved into the bin is said to be missing, not its objects', async () => {
  await using place = await drivePlace();
  const clock = new TestClock();
  const storage = await place.open({ clock });
  await storage.put('a', bytes);
  await clock.sleep(60_001);
  for (const file of place.server.files.values()) file.trashed = true;
  await rejectsWith('gdrive_folder_missing', namesOf(storage.list('')));
  await rejectsWith('gdrive_folder_missing', storage.stat('b'));
  await rejectsWith('gdrive_folder_missing', place.open());
  await storage.close();
});

test('a search that did not look everywhere is no listing', async () => {
  await using place = await drivePlace();
  const storage = await place.open();
  await storage.put('a', bytes);
  place.server.isSearchIncomplete = true;
  const error = await rejectsWith('storage_failed', namesOf(storage.list('')));
  assert.equal(error.retryable, true);
  await rejectsWith('storage_failed', storage.stat('b'));
  await storage.close();
});

test('a listing that fails on a later page rejects before it gives anything', async () => {
  await using place = await drivePlace();
  place.server.pageFiles = 2;
  const storage = await place.open();
  for (let i = 0; i < 5; i += 1) await storage.put(`a/${i}`, bytes);
  place.server.faults.push({ kind: 'answer', status: 500, when: ({ query }) => query.has('pageToken') });
  const seen: string[] = [];
  const reading = (async () => {
    for await (const { name } of storage.list('a/')) seen.push(name);
  })();
  await rejectsWith('storage_failed', reading);
  assert.deepEqual(seen, []);
  assert.deepEqual(await namesOf(storage.list('a/', { after: 'a/2' })), ['a/3', 'a/4']);
  await storage.close();
});

test('a large object goes on where the connection broke', async () => {
  await using place = await drivePlace({ chunk_size: '2MiB' });
  const { server } = place;
  const storage = await place.open();
  let pieces = 0;
  server.faults.push({
    kind: 'tear',
    afterBytes: 1_000_000,
    when: (request) => isPiece(request) && ++pieces === 2,
  });
  await storage.put('large', large);
  assertSame(await storage.get('large'), large);
  assert.equal(server.requests.filter(isPiece).length, 4);
  await storage.close();
});

test('an abort in the middle of a large object leaves nothing', async () => {
  await using place = await drivePlace({ chunk_size: '2MiB' });
  const controller = new AbortController();
  const reason = new Error('enough');
  place.server.faults.push({
    kind: 'stall',
    when: (request) => {
      if (!isPiece(request)) return false;
      setImmediate(() => controller.abort(reason));
      return true;
    },
  });
  const storage = await place.open();
  await assert.rejects(
    storage.put('large', large, { signal: controller.signal }),
    (error) => error === reason,
  );
  assert.deepEqual(await namesOf(storage.list('')), []);
  await storage.put('large', large);
  assert.equal(place.server.called('large').length, 1);
  await storage.close();
});

test('bytes that are not what was stored are refused', async () => {
  await using place = await drivePlace();
  const storage = await place.open();
  await storage.put('a', bytes);
  place.server.tamper = ({ query }, answer) => {
    if (query.get('alt') !== 'media') return answer;
    return { ...answer, body: others.subarray(0, (answer.body as Uint8Array).byteLength) };
  };
  await rejectsWith('storage_failed', storage.get('a'));
  place.server.tamper = (_, answer) =>
    answer.status === 206 ? { ...answer, headers: { 'content-range': 'bytes 0-9/50000' } } : answer;
  await rejectsWith('storage_failed', storage.get('a', { offset: 5, length: 10 }));
  await storage.close();
});

test('a service that stored something else is not believed, and what it stored is removed', async () => {
  await using place = await drivePlace();
  const storage = await place.open();
  place.server.tamper = (request, answer) =>
    isUpload(request) ? { ...answer, body: { ...(answer.body as object), md5Checksum: '00' } } : answer;
  await rejectsWith('storage_failed', storage.put('a', bytes));
  assert.equal(place.server.called('a').length, 0);
  await storage.close();
});

test('what a scanner takes for harmful is read all the same', async () => {
  await using place = await drivePlace();
  const storage = await place.open();
  await storage.put('a', bytes);
  const isUnwarned = ({ query }: Received): boolean =>
    query.get('alt') === 'media' && query.get('acknowledgeAbuse') !== 'true';
  place.server.faults.push({
    kind: 'answer',
    status: 403,
    reason: 'cannotDownloadAbusiveFile',
    when: isUnwarned,
  });
  assertSame(await storage.get('a'), bytes);
  await storage.close();
});
