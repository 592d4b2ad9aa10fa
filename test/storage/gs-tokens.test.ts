import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { gsSchema } from '../../src/contract/config-gs.ts';
import { assertSame, pattern, rejectsWith } from '../../testing/storage-conformance.ts';
import { gsPlace, type GsPlace } from './gs-support.ts';
import { temporaryDirectory } from './support.ts';

const bytes = pattern(1000, 1);

test('one token serves many calls, and signs itself with the key of the file', async () => {
  await using place = await gsPlace();
  const storage = await place.open();
  await Promise.all(Array.from({ length: 8 }, (_, i) => storage.put(`a/${i}`, bytes)));
  await storage.get('a/1');
  assert.equal(place.server.tokensIssued, 1);
  await storage.close();
});

test('a token that is not taken any more is replaced, and the call succeeds', async () => {
  await using place = await gsPlace();
  const storage = await place.open();
  await storage.put('a', bytes);
  place.server.forgetTokens();
  assertSame(await storage.get('a'), bytes);
  assert.equal(place.server.tokensIssued, 2);
  await storage.close();
});

test('a token about to run out is replaced before it does', async () => {
  await using place = await gsPlace();
  place.server.tokenSeconds = 60;
  const storage = await place.open();
  await storage.put('a', bytes);
  await storage.put('b', bytes);
  assert.equal(place.server.requests.filter(({ path }) => path === '/token').length, 2);
  assert.ok(!place.server.requests.some(({ path, headers }) => path !== '/token' && !headers.authorization));
  await storage.close();
});

test('a refresh token of gcloud does as well', async () => {
  await using place = await gsPlace();
  const { clientId, clientSecret, refreshToken } = place.server.account.oauth;
  const json = {
    type: 'authorized_user',
    client_id: clientId,
    client_secret: clientSecret,
    refresh_token: refreshToken,
    token_uri: `${place.server.url}/token`,
    quota_project_id: 'who-pays',
  };
  const storage = await openWith(place, JSON.stringify(json));
  await storage.put('a', bytes);
  assert.equal(place.server.requests.at(-1)?.headers['x-goog-user-project'], 'who-pays');
  await storage.close();
});

test('a key that is not the account’s is refused in Google’s words, without a retry and without secrets', async () => {
  await using place = await gsPlace();
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const other = privateKey.export({ type: 'pkcs8', format: 'pem' }) as string;
  const json = { ...(JSON.parse(place.server.credentialsText) as object), private_key: other };
  const storage = await openWith(place, JSON.stringify(json));
  const error = await rejectsWith('google_credentials', storage.get('a'));
  assert.match(error.message, /invalid_grant: Invalid JWT Signature/);
  assert.equal(error.retryable, false);
  assert.ok(!JSON.stringify(error).includes('PRIVATE KEY'));
  await storage.close();
});

test('after a refusal, the next call asks anew', async () => {
  await using place = await gsPlace();
  const storage = await place.open();
  place.server.refuseTokens = {
    status: 401,
    error: 'invalid_client',
    description: 'The account is disabled.',
  };
  const error = await rejectsWith('google_credentials', storage.put('a', bytes));
  assert.match(error.message, /The account is disabled/);
  place.server.refuseTokens = undefined;
  await storage.put('a', bytes);
  await storage.close();
});

test('a token endpoint in trouble is unreachable, not a refusal', async () => {
  await using place = await gsPlace();
  const storage = await place.open();
  place.server.refuseTokens = { status: 503, error: 'internal_failure', description: 'try later' };
  const error = await rejectsWith('storage_unreachable', storage.put('a', bytes));
  assert.equal(error.retryable, true);
  await storage.close();
});

test('an abort does not wait for the token', async () => {
  await using place = await gsPlace();
  place.server.faults.push({ kind: 'stall', when: ({ path }) => path === '/token' });
  const storage = await place.open();
  const controller = new AbortController();
  const reason = new Error('enough');
  const put = storage.put('a', bytes, { signal: controller.signal });
  setImmediate(() => controller.abort(reason));
  await assert.rejects(put, (error) => error === reason);
  await storage.close();
});

for (const [title, text, told] of [
  ['is not JSON', '{"private_key": "hunter2', /is not JSON/],
  ['has no type', '{"private_key": "hunter2"}', /has no type/],
  ['lacks its key', '{"type": "service_account", "client_email": "a@b"}', /private_key is missing/],
] as const) {
  test(`a file that ${title} is named, and not quoted`, async () => {
    await using place = await gsPlace();
    const opened = openWith(place, text).then((storage) => storage.get('a'));
    const error = await rejectsWith('google_credentials', opened);
    assert.match(error.message, told);
    assert.ok(!JSON.stringify(error).includes('hunter2'));
  });
}

test('what the environment names, and what gcloud left, are found', async () => {
  await using place = await gsPlace();
  await using home = await temporaryDirectory();
  const gcloud = join(home.path, '.config', 'gcloud');
  await mkdir(gcloud, { recursive: true });
  await writeFile(join(gcloud, 'application_default_credentials.json'), place.server.credentialsText);
  const { endpoint: _, ...settings } = gsSchema.parse({});
  // Opening asks nobody: what is shown is which file was read.
  const missing = { GOOGLE_APPLICATION_CREDENTIALS: join(home.path, 'nowhere.json') };
  const error = await rejectsWith('google_credentials', place.open({ settings, env: missing }));
  assert.match(error.message, /nowhere\.json cannot be read/);
  await (await place.open({ settings, env: {}, home: home.path })).close();
  const broken = join(gcloud, 'application_default_credentials.json');
  await writeFile(broken, 'not json');
  await rejectsWith('google_credentials', place.open({ settings, env: {}, home: home.path }));
});

test('without any credentials the message says where they were looked for', async () => {
  await using place = await gsPlace();
  const { endpoint: _, ...settings } = gsSchema.parse({});
  const storage = await place.open({ settings, env: { METADATA_SERVER_DETECTION: 'none' } });
  const error = await rejectsWith('google_credentials', storage.get('a'));
  assert.match(error.hint, /credentials_file/);
  await storage.close();
});

test('an emulator gets no credentials that nobody named for it', async () => {
  await using place = await gsPlace();
  await using home = await temporaryDirectory();
  const file = join(home.path, 'google.json');
  await writeFile(file, place.server.credentialsText);
  const env = {
    STORAGE_EMULATOR_HOST: place.server.url.replace('http://', ''),
    GOOGLE_APPLICATION_CREDENTIALS: file,
  };
  const storage = await place.open({ settings: gsSchema.parse({}), env });
  await rejectsWith('google_credentials', storage.get('a'));
  assert.deepEqual(
    place.server.requests.map(({ headers }) => headers.authorization),
    [undefined],
  );
  await storage.close();
});

async function openWith(place: GsPlace, text: string) {
  const directory = await temporaryDirectory();
  const file = join(directory.path, 'other.json');
  await writeFile(file, text);
  try {
    return await place.open({ settings: { ...place.settings, credentials_file: file } });
  } finally {
    await directory.remove();
  }
}
