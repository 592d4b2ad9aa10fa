import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, request as httpRequest } from 'node:http';
import type { AddressInfo } from 'node:net';
import { test } from 'node:test';
import { gsSchema } from '../../src/contract/config-gs.ts';
import { withRetry } from '../../src/storage/wrap/retry.ts';
import type { Received } from '../../testing/google-protocol.ts';
import { assertSame, namesOf, pattern, rejectsWith } from '../../testing/storage-conformance.ts';
import { gsPlace } from './gs-support.ts';
import { TestClock } from './support.ts';

const bytes = pattern(50_000, 1);
const isMedia = ({ query }: Received): boolean => query.get('alt') === 'media';
const isList = ({ method, path }: Received): boolean => method === 'GET' && path.endsWith('/o');

test('connections are kept', async () => {
  await using place = await gsPlace();
  const storage = await place.open();
  for (let i = 0; i < 10; i += 1) await storage.put(`a/${i}`, bytes);
  await namesOf(storage.list(''));
  assert.equal(place.server.connections, 1);
  await storage.close();
});

test('bytes that end early are trouble on the way, never a short object', async () => {
  await using place = await gsPlace();
  const storage = await place.open();
  await storage.put('a', bytes);
  for (const range of [{}, { offset: 1000 }, { offset: 1000, length: 40_000 }]) {
    place.server.faults.push({ kind: 'shorten', keepBytes: 20_000, when: isMedia });
    const error = await rejectsWith('storage_unreachable', storage.get('a', range));
    assert.equal(error.retryable, true);
  }
  await storage.close();
});

test('other bytes than were asked for are refused', async () => {
  await using place = await gsPlace();
  const storage = await place.open();
  await storage.put('a', bytes);
  place.server.tamper = (request, answer) => {
    if (answer.status !== 206) return isMedia(request) ? { ...answer, body: pattern(50_000, 2) } : answer;
    return { ...answer, headers: { 'content-range': 'bytes 20-29/50000' } };
  };
  const range = await rejectsWith('storage_failed', storage.get('a', { offset: 10, length: 10 }));
  assert.match(range.message, /other bytes than were asked for/);
  const whole = await rejectsWith('storage_failed', storage.get('a'));
  assert.match(whole.message, /checksum/);
  await storage.close();
});

test('an answer that never comes is given up', async () => {
  await using place = await gsPlace({ timeout: '150ms' });
  const storage = await place.open();
  await storage.put('a', bytes);
  place.server.faults.push({ kind: 'stall', when: isMedia });
  const error = await rejectsWith('storage_unreachable', storage.get('a'));
  assert.match(error.message, /nothing came for 0\.15 s/);
  await storage.close();
});

test('a listing that breaks off goes on at the last name, not from the start', async () => {
  await using place = await gsPlace();
  place.server.pageObjects = 3;
  const bare = await place.open();
  const storage = withRetry(bare, { clock: new TestClock(), random: () => 0.5 });
  const names = Array.from({ length: 10 }, (_, i) => `a/${i}`);
  for (const name of names) await storage.put(name, bytes);
  const onPage = (n: number) => {
    let seen = 0;
    return (request: Received): boolean => isList(request) && (seen += 1) === n;
  };
  place.server.faults.push(
    { kind: 'answer', status: 503, when: onPage(2) },
    // As when a token has run out.
    { kind: 'answer', status: 400, reason: 'invalid', when: onPage(3) },
  );
  assert.deepEqual(await namesOf(storage.list('a/')), names);
  const asked = place.server.requests.filter(isList).map(({ query }) => query.get('startOffset'));
  const at = (name: string): string => `backups/eu/${name}`;
  assert.deepEqual(asked, [null, null, at('a/2'), at('a/2'), at('a/4'), at('a/4')]);
  await storage.close();
});

test('what is asked of the service is counted by its own names', async () => {
  await using place = await gsPlace({ chunk_size: '256KiB' });
  const storage = await place.open();
  await storage.put('small', bytes);
  await storage.put('large', pattern(600_000, 1));
  await rejectsWith('object_exists', storage.put('small', pattern(10, 1)));
  await storage.get('small', { offset: 10, length: 100 });
  await namesOf(storage.list(''));
  await storage.delete('small');
  const counts = storage.requests ?? {};
  const requests = Object.entries(counts).map(([name, count]) => [name, count.requests, count.failed]);
  assert.deepEqual(requests, [
    ['objects.insert', 3, 1],
    ['objects.insert (piece)', 3, 0],
    ['objects.get', 2, 0],
    ['objects.list', 1, 0],
    ['objects.delete', 1, 0],
  ]);
  assert.equal(counts['objects.insert (piece)']?.sentBytes, 600_000);
  await storage.close();
});

test('a listing that cannot go on rejects', async () => {
  await using place = await gsPlace();
  place.server.pageObjects = 3;
  const storage = await place.open();
  for (let i = 0; i < 10; i += 1) await storage.put(`a/${i}`, bytes);
  let pages = 0;
  place.server.faults.push({
    kind: 'answer',
    status: 503,
    times: 99,
    when: (request) => isList(request) && ++pages > 2,
  });
  const seen: string[] = [];
  const reading = (async () => {
    for await (const { name } of storage.list('a/')) seen.push(name);
  })();
  await rejectsWith('storage_failed', reading);
  assert.equal(seen.length, 6);
  await storage.close();
});

test('other people’s objects are passed over, and named by foreign', async () => {
  await using place = await gsPlace();
  const storage = await place.open();
  await storage.put('mine/one', bytes);
  const [object] = place.server.objects.values();
  assert.ok(object);
  for (const key of ['elsewhere', 'backups/eu/', 'backups/eu/mine/', 'backups/eu2/x', 'backups/euro'])
    place.server.objects.set(key, object);
  assert.equal(await storage.foreign(), undefined);
  assert.deepEqual(await namesOf(storage.list('')), ['mine/one']);
  place.server.objects.set('backups/eu/Holiday photos/1.jpg', object);
  assert.deepEqual(await namesOf(storage.list('')), ['mine/one']);
  assert.equal(await storage.foreign(), 'Holiday photos');
  await storage.close();
});

for (const [permission, act] of [
  ['create', (storage) => storage.put('b', bytes)],
  ['get', (storage) => storage.get('a')],
  ['get', (storage) => storage.stat('a')],
  ['list', (storage) => namesOf(storage.list(''))],
  ['delete', (storage) => storage.delete('a')],
] as const satisfies readonly (readonly [
  string,
  (storage: Awaited<ReturnType<Awaited<ReturnType<typeof gsPlace>>['open']>>) => Promise<unknown>,
])[]) {
  test(`without storage.objects.${permission} it is named, with the command that grants it (${act.toString().slice(13, 30)})`, async () => {
    await using place = await gsPlace();
    const storage = await place.open();
    await storage.put('a', bytes);
    place.server.granted.delete(`storage.objects.${permission}`);
    const error = await rejectsWith('storage_denied', act(storage));
    assert.match(error.message, new RegExp(`backup@shop\\S+ needs storage\\.objects\\.${permission}`));
    assert.match(
      error.hint,
      /gcloud storage buckets add-iam-policy-binding gs:\/\/shop --member=serviceAccount:backup@shop/,
    );
    await storage.close();
  });
}

for (const [status, reason, name] of [
  [429, 'rateLimitExceeded', 'storage_failed'],
  [403, 'rateLimitExceeded', 'storage_failed'],
  [503, 'backendError', 'storage_failed'],
  [400, 'invalid', 'google_refused'],
  [404, 'notFound', 'object_missing'],
] as const) {
  test(`${status} ${reason} is ${name}`, async () => {
    await using place = await gsPlace();
    const storage = await place.open();
    await storage.put('a', bytes);
    place.server.faults.push({ kind: 'answer', status, reason, when: isMedia });
    const error = await rejectsWith(name, storage.get('a'));
    assert.equal(error.retryable, name === 'storage_failed');
    assertSame(await storage.get('a'), bytes);
    await storage.close();
  });
}

test('an object under retention is not deleted, and said to be so', async () => {
  await using place = await gsPlace();
  const storage = await place.open();
  await storage.put('a', bytes);
  place.server.held.add('backups/eu/a');
  const error = await rejectsWith('storage_locked', storage.delete('a'));
  assert.match(error.message, /retention policy/);
  await storage.close();
});

test('a bucket that is gone is not taken for objects that are', async () => {
  await using place = await gsPlace();
  const storage = await place.open();
  place.server.buckets.clear();
  await rejectsWith('gs_bucket_missing', storage.get('a'));
  await rejectsWith('gs_bucket_missing', storage.stat('a'));
  await rejectsWith('gs_bucket_missing', storage.delete('a'));
  await rejectsWith('gs_bucket_missing', storage.put('a', bytes));
  await rejectsWith('gs_bucket_missing', namesOf(storage.list('')));
  await storage.close();
});

test('opening for a new repository proves what it needs', async () => {
  await using place = await gsPlace();
  await (await place.open({ create: true })).close();
  place.server.granted.delete('storage.objects.delete');
  place.server.granted.delete('storage.objects.list');
  const error = await rejectsWith('storage_denied', place.open({ create: true }));
  assert.match(error.message, /lacks storage\.objects\.list, storage\.objects\.delete/);
  place.server.buckets.clear();
  await rejectsWith('gs_bucket_missing', place.open({ create: true }));
});

test('a bucket is made when it is asked for, closed to the world', async () => {
  await using place = await gsPlace({ project: 'shop', bucket_location: 'europe-west4' });
  const { server } = place;
  server.buckets.clear();
  const denied = await rejectsWith('storage_denied', place.open({ create: true, createBucket: true }));
  assert.match(denied.message, /storage\.buckets\.create/);
  server.granted.add('storage.buckets.create');
  const storage = await place.open({ create: true, createBucket: true });
  await storage.put('a', bytes);
  assert.deepEqual(server.bucketSettings.get('shop'), {
    name: 'shop',
    project: 'shop',
    location: 'europe-west4',
    iamConfiguration: {
      uniformBucketLevelAccess: { enabled: true },
      publicAccessPrevention: 'enforced',
    },
  });
  await storage.close();
  const { bucket_location: _, ...settings } = place.settings;
  server.buckets.clear();
  const unset = await rejectsWith('gs_create', place.open({ create: true, createBucket: true, settings }));
  assert.match(unset.message, /gs\.bucket_location is not set/);
});

test('the proxy of the environment is used, but for whom NO_PROXY names', async () => {
  await using place = await gsPlace();
  const seen: string[] = [];
  const proxy = createServer((incoming, response) => {
    seen.push(String(incoming.url));
    const { method = 'GET', headers } = incoming;
    const onward = httpRequest(String(incoming.url), { method, headers }, (answer) => {
      response.writeHead(answer.statusCode ?? 502, answer.headers);
      answer.pipe(response);
    });
    incoming.pipe(onward);
  });
  proxy.listen(0, '127.0.0.1');
  await once(proxy, 'listening');
  const HTTP_PROXY = `http://127.0.0.1:${(proxy.address() as AddressInfo).port}`;
  const through = await place.open({ env: { HTTP_PROXY } });
  await through.put('a', bytes);
  assert.ok(
    seen.some((url) => url.endsWith('/token')),
    'the token too',
  );
  assert.ok(seen.some((url) => url.includes('/upload/')));
  const count = seen.length;
  const direct = await place.open({ env: { HTTP_PROXY, NO_PROXY: '127.0.0.1' } });
  assertSame(await direct.get('a'), bytes);
  assert.equal(seen.length, count);
  await through.close();
  await direct.close();
  proxy.closeAllConnections();
  proxy.close();
});

test('settings are checked', () => {
  for (const wrong of [
    { chunk_size: '100KB' },
    { endpoint: 'storage' },
    { storage_class: 'GLACIER' },
    { bucket: 'x' },
  ])
    assert.equal(gsSchema.safeParse(wrong).success, false, JSON.stringify(wrong));
});
