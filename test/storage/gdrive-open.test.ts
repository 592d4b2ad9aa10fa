import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { gdriveSchema } from '../../src/contract/config-gdrive.ts';
import { isFailure } from '../../src/kernel/errors/failure.ts';
import { parseLocation } from '../../src/storage/open.ts';
import type { Storage } from '../../src/storage/port.ts';
import { withRetry } from '../../src/storage/wrap/retry.ts';
import type { Received } from '../../testing/google-protocol.ts';
import { assertSame, namesOf, pattern, rejectsWith } from '../../testing/storage-conformance.ts';
import { drivePlace } from './gdrive-support.ts';
import { temporaryDirectory, TestClock } from './support.ts';

const bytes = pattern(5000, 1);
const folderType = 'application/vnd.google-apps.folder';
const isUpload = ({ path }: Received): boolean => path.startsWith('/upload/');

test('folders of a path are made where they are missing, and found again', async () => {
  await using place = await drivePlace();
  const location = { root: 'root', folders: ["Ada's backups", 'shop'] };
  await rejectsWith('gdrive_folder_missing', place.open({}, location));
  const storage = await place.open({ create: true }, location);
  assert.equal(storage.location, "gdrive://root/Ada's backups/shop");
  await storage.put('a', bytes);
  const again = await place.open({ create: true }, location);
  assertSame(await again.get('a'), bytes);
  assert.equal(place.server.called("Ada's backups").length, 1);
  await storage.close();
  await again.close();
});

test('two folders of one name are not guessed between', async () => {
  await using place = await drivePlace();
  place.server.place({ id: 'second', name: 'Backups', mimeType: folderType });
  const error = await rejectsWith('gdrive_ambiguous', place.open({}, { root: 'root', folders: ['Backups'] }));
  assert.match(error.hint, /gdrive:\/\/backups-folder, gdrive:\/\/second/);
});

test('two who make a folder at the same time end in the same one', async () => {
  await using place = await drivePlace();
  const { server } = place;
  server.faults.push({
    kind: 'lose',
    when: ({ method, path }) => {
      if (method === 'POST' && path === '/drive/v3/files' && server.called('New').length === 0)
        server.place({ id: 'theirs', name: 'New', mimeType: folderType });
      return false;
    },
  });
  const storage = await place.open({ create: true }, { root: 'root', folders: ['New'] });
  await storage.put('a', bytes);
  assert.deepEqual(server.called('a')[0]?.parents, ['theirs']);
  assert.equal(server.called('New').length, 1);
  await storage.close();
});

test('in a shared drive searches name the drive', async () => {
  await using place = await drivePlace();
  place.server.place({ id: '0AShared', name: 'Team', mimeType: folderType, driveId: '0AShared' });
  const storage = await place.open({ create: true }, { root: '0AShared', folders: ['deep', 'er'] });
  await storage.put('a', bytes);
  assert.deepEqual(await namesOf(storage.list('')), ['a']);
  assert.equal(
    place.server.requests.at(-1)?.query.get('driveId') ?? place.server.requests.at(-2)?.query.get('driveId'),
    '0AShared',
  );
  await storage.close();
});

test('an id that is no folder, and one that nobody knows', async () => {
  await using place = await drivePlace();
  place.server.place({ id: 'letter', name: 'letter.txt' });
  await rejectsWith('storage_layout', place.open({}, { root: 'letter' }));
  await rejectsWith('gdrive_folder_missing', place.open({}, { root: 'nothing' }));
});

test('a service account may act for a user', async () => {
  await using place = await drivePlace({ subject: 'ada@example.com' });
  const storage = await place.open();
  await storage.put('a', bytes);
  const [asked] = place.server.requests.filter(({ path }) => path === '/token');
  const assertion = new URLSearchParams(asked?.body.toString()).get('assertion') ?? '';
  const claims = JSON.parse(Buffer.from(assertion.split('.')[1] ?? '', 'base64url').toString()) as object;
  assert.ok('sub' in claims && claims.sub === 'ada@example.com');
  await storage.close();
});

test('a refresh token in the settings or in files', async () => {
  await using place = await drivePlace();
  await using directory = await temporaryDirectory();
  const { clientId: client_id, clientSecret: client_secret, refreshToken } = place.server.account.oauth;
  const tokenUrl = `${place.server.url}/token`;
  const refresh_token_file = join(directory.path, 'refresh');
  await writeFile(refresh_token_file, `${refreshToken}\n`);
  const base = { endpoint: place.server.url, client_id, client_secret };
  for (const more of [{ refresh_token: refreshToken }, { refresh_token_file }]) {
    const storage = await place.open({ settings: gdriveSchema.parse({ ...base, ...more }), tokenUrl });
    await storage.put('a', bytes);
    await storage.close();
  }
  const unset = await rejectsWith(
    'google_credentials',
    place.open({ settings: gdriveSchema.parse(base), tokenUrl }),
  );
  assert.match(unset.message, /gdrive\.refresh_token is missing/);
  const old = gdriveSchema.parse({ ...base, refresh_token: 'hunter2' });
  const revoked = await rejectsWith('google_credentials', place.open({ settings: old, tokenUrl }));
  assert.match(revoked.message, /Token has been expired or revoked/);
  assert.ok(!JSON.stringify(revoked).includes('hunter2'));
});

test('settings that exclude each other are refused', () => {
  for (const both of [
    { credentials_file: 'a', client_id: 'b' },
    { refresh_token: 'a', refresh_token_file: 'b' },
    { client_secret: 'a', client_secret_file: 'b' },
  ])
    assert.equal(gdriveSchema.safeParse(both).success, false, JSON.stringify(both));
});

for (const [status, reason, name] of [
  [403, 'userRateLimitExceeded', 'storage_failed'],
  [403, 'rateLimitExceeded', 'storage_failed'],
  [429, 'rateLimitExceeded', 'storage_failed'],
  [403, 'dailyLimitExceeded', 'storage_failed'],
  [500, 'internalError', 'storage_failed'],
  [403, 'storageQuotaExceeded', 'storage_full'],
  [403, 'teamDriveFileLimitExceeded', 'gdrive_limit'],
  [403, 'insufficientFilePermissions', 'storage_denied'],
  [403, 'accessNotConfigured', 'storage_denied'],
  [404, 'notFound', 'gdrive_folder_missing'],
  [400, 'badRequest', 'google_refused'],
] as const) {
  test(`an upload answered ${status} ${reason} is ${name}`, async () => {
    await using place = await drivePlace();
    const storage = await place.open();
    place.server.faults.push({ kind: 'answer', status, reason, when: isUpload });
    const error = await rejectsWith(name, storage.put('a', bytes));
    assert.equal(error.retryable, name === 'storage_failed');
    await storage.put('a', bytes);
    assert.equal(place.server.called('a').length, 1);
    await storage.close();
  });
}

test('a service account without space is told what to do instead', async () => {
  await using place = await drivePlace();
  const storage = await place.open();
  const message =
    'Service Accounts do not have storage quota. Leverage shared drives, or use OAuth delegation instead.';
  place.server.faults.push({
    kind: 'answer',
    status: 403,
    reason: 'storageQuotaExceeded',
    message,
    when: isUpload,
  });
  const error = await rejectsWith('gdrive_limit', storage.put('a', bytes));
  assert.match(error.hint, /shared drive/);
  await storage.close();
});

test('who may not remove for good is told which role can', async () => {
  await using place = await drivePlace();
  const storage = await place.open();
  await storage.put('a', bytes);
  const reason = 'insufficientFilePermissions';
  place.server.faults.push({
    kind: 'answer',
    status: 403,
    reason,
    when: ({ method }) => method === 'DELETE',
  });
  const error = await rejectsWith('storage_denied', storage.delete('a'));
  assert.match(error.hint, /Manager/);
  await storage.close();
});

test('told to slow down, all wait together and longer each time, and everything gets through', async () => {
  await using place = await drivePlace();
  const clock = new TestClock();
  const storage: Storage = withRetry(await place.open({ clock }), { clock, random: () => 0.5, attempts: 8 });
  place.server.faults.push({
    kind: 'answer',
    status: 403,
    reason: 'userRateLimitExceeded',
    when: isUpload,
    times: 20,
  });
  const names = Array.from({ length: 12 }, (_, i) => `a/${i}`);
  await Promise.all(names.map((name) => storage.put(name, bytes)));
  assert.deepEqual(await namesOf(storage.list('a/')), names.toSorted());
  assert.ok(
    clock.sleeps.some((ms) => ms > 900),
    `pauses: ${clock.sleeps.join(' ')}`,
  );
  await storage.close();
});

const locations: Readonly<Record<string, readonly [root: string, folders: readonly string[]]>> = {
  'gdrive://root': ['root', []],
  'gdrive://root/Backups/Shop 1/': ['root', ['Backups', 'Shop 1']],
  'gdrive://1aB_c-9/x': ['1aB_c-9', ['x']],
};

for (const [location, [root, folders]] of Object.entries(locations)) {
  test(`${location} is ${[root, ...folders].join(', ')}`, () => {
    assert.deepEqual(parseLocation(location, { cwd: '/' }), { scheme: 'gdrive', root, folders });
  });
}

for (const location of [
  'gdrive:',
  'gdrive://',
  'gdrive:///x',
  'gdrive://a b/x',
  'gdrive://root//x',
  'gdrive://root/../x',
]) {
  test(`${location} is refused`, () => {
    assert.throws(
      () => parseLocation(location, { cwd: '/' }),
      (error) => isFailure(error, 'storage_url'),
    );
  });
}
