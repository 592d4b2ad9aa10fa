import assert from 'node:assert/strict';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { inspect } from 'node:util';
import { azureSchema } from '../../src/contract/config-azure.ts';
import type { ErrorName } from '../../src/kernel/errors/catalogue.ts';
import { isFailure } from '../../src/kernel/errors/failure.ts';
import type { AzureStorage } from '../../src/storage/azure/azure-storage.ts';
import { openAzureStorage } from '../../src/storage/azure/open.ts';
import { openStorage, parseLocation } from '../../src/storage/open.ts';
import { withRetry } from '../../src/storage/wrap/retry.ts';
import { startAzurite } from '../../testing/azurite.ts';
import { assertSame, namesOf, pattern, rejectsWith } from '../../testing/storage-conformance.ts';
import { defaultStorageSettings } from '../../testing/storage-settings.ts';
import { proxyTo } from '../../testing/tcp-proxy.ts';
import { temporaryDirectory, TestClock } from './support.ts';

const service = await startAzurite();
after(() => service[Symbol.asyncDispose]());
const { account, key: account_key, endpoint } = service;

interface Change {
  readonly create?: boolean;
  readonly createBucket?: boolean;
  readonly prefix?: string;
  readonly settings?: Readonly<Record<string, unknown>>;
  readonly env?: Readonly<Record<string, string>>;
}

function open(container: string, change: Change = {}): Promise<AzureStorage> {
  const { create = true, createBucket = false, prefix = '', env = {} } = change;
  const settings = azureSchema.parse(change.settings ?? { account, account_key, endpoint });
  return openAzureStorage({ scheme: 'azure', container, prefix }, { create, createBucket, settings, env });
}

test('a container that is missing is told, and made only when asked for', async () => {
  const error = await rejectsWith('azure_no_container', open('not-there'));
  assert.match(error.hint, /holdfast init --create-bucket --repo azure:\/\/not-there$/);
  const reader = await open('not-there', { create: false });
  for (const act of [
    () => reader.get('one'),
    () => reader.stat('one'),
    () => namesOf(reader.list('')),
    () => reader.put('one', pattern(1, 1)),
    () => reader.delete('one'),
  ])
    await rejectsWith('azure_no_container', act());
  const storage = await open('not-there', { createBucket: true });
  await storage.put('one', pattern(1, 1));
  await (await open('not-there', { createBucket: true })).close();
  assertSame(await reader.get('one'), pattern(1, 1));
  await storage.close();
});

test('credentials from settings, files, the environment and connection strings', async () => {
  await using place = await temporaryDirectory();
  const container = await service.newContainer();
  const sas = service.sasToken(container, 'racwdl');
  const file = async (name: string, text: string): Promise<string> => {
    await writeFile(join(place.path, name), `${text}\nnothing that counts\n`);
    return join(place.path, name);
  };
  const changes: readonly Change[] = [
    { settings: { account, account_key_file: await file('key', account_key), endpoint } },
    { settings: { endpoint, sas_token: `?${sas}` } },
    { settings: { endpoint, sas_token_file: await file('sas', sas) } },
    { settings: { connection_string: service.connectionString } },
    { settings: { connection_string_file: await file('whole', service.connectionString) } },
    { settings: { endpoint }, env: { AZURE_STORAGE_ACCOUNT: account, AZURE_STORAGE_KEY: account_key } },
    { settings: { endpoint }, env: { AZURE_STORAGE_SAS_TOKEN: sas } },
    { settings: {}, env: { AZURE_STORAGE_CONNECTION_STRING: service.connectionString } },
  ];
  for (const [index, change] of changes.entries()) {
    const storage = await open(container, change);
    await storage.put(`by/${index}`, pattern(10, index));
    await storage.close();
  }
  assert.equal((await namesOf((await open(container)).list(''))).length, changes.length);
});

test('what is missing in the settings is named', async () => {
  const cases: readonly (readonly [Change, RegExp])[] = [
    [{ settings: { account } }, /there are no credentials/],
    [{ settings: { account_key: 'a2V5' } }, /no storage account is named/],
    [{ settings: { account, account_key_file: '/no/such/file' } }, /azure\.account_key_file: ENOENT/],
    [{ settings: { connection_string: 'what=ever' } }, /the connection string cannot be read/],
  ];
  for (const [change, message] of cases)
    assert.match((await rejectsWith('azure_setting', open('c-1', change))).message, message);
  assert.throws(() => azureSchema.parse({ account_key: 'a', sas_token: 'b' }));
  assert.throws(() => azureSchema.parse({ account: 'a', connection_string: 'b' }));
});

test('a wrong key, and a signature that has run out', async () => {
  const container = await service.newContainer();
  const wrong = { account, account_key: Buffer.from('wrong').toString('base64'), endpoint };
  const sas_token = service.sasToken(container, 'racwdl', new Date(Date.now() - 60_000));
  for (const settings of [wrong, { endpoint, sas_token }]) {
    // Azurite says AuthorizationFailure, where Azure says AuthenticationFailed (see below).
    const error = await rejectsWith('storage_denied', open(container, { settings }));
    assert.match(error.message, /or the key is wrong/);
    assert.ok(!error.retryable);
    assert.ok(!inspect(error, { depth: 10, showHidden: true }).includes('sig='));
  }
});

test('a signature that lacks a permission: which one', async () => {
  const container = await service.newContainer();
  const owner = await open(container);
  await owner.put('one', pattern(10, 1));
  const lacking = async (
    permissions: string,
    act: (storage: AzureStorage) => Promise<unknown>,
  ): Promise<string> => {
    const sas_token = service.sasToken(container, permissions);
    const storage = await open(container, { create: false, settings: { endpoint, sas_token } });
    const { message } = await rejectsWith('storage_denied', act(storage));
    return message;
  };
  assert.match(
    await lacking('rdl', (storage) => storage.put('two', pattern(10, 1))),
    /create \(c\) is missing/,
  );
  assert.match(await lacking('cdl', (storage) => storage.get('one')), /read \(r\) is missing/);
  assert.match(await lacking('rcd', (storage) => namesOf(storage.list(''))), /list \(l\) is missing/);
  assert.match(await lacking('rcl', (storage) => storage.delete('one')), /delete \(d\) is missing/);
});

test('who may not read can put again what is there', async () => {
  const container = await service.newContainer();
  // Blocks need w beside c.
  for (const [permissions, size] of [
    ['cl', 10],
    ['cwl', 2_500_000],
  ] as const) {
    const sas_token = service.sasToken(container, permissions);
    const agent = await open(container, { settings: { endpoint, sas_token, block_size: '1MiB' } });
    await agent.put(`by/${size}`, pattern(size, 1));
    await agent.put(`by/${size}`, pattern(size, 1));
    await rejectsWith('object_exists', agent.put(`by/${size}`, pattern(size, 2)));
    await rejectsWith('storage_denied', agent.get(`by/${size}`));
  }
  assertSame(await (await open(container)).get('by/2500000'), pattern(2_500_000, 1));
});

test('objects lie as they are named, with an MD5, packs in their tier', async () => {
  const container = await service.newContainer();
  const settings = { account, account_key, endpoint, access_tier: 'Cool', block_size: '1MiB' };
  const storage = await open(container, { prefix: 'a/b/', settings });
  await storage.put('packs/ab/small', pattern(10, 1));
  await storage.put('packs/ab/large', pattern(2_500_000, 1));
  await storage.put('snapshots/one', pattern(10, 1));
  const at = service.client.getContainerClient(container);
  const tiers: Record<string, string | undefined> = {};
  for await (const { name, properties } of at.listBlobsFlat()) {
    tiers[name] = properties.accessTier;
    assert.equal(properties.contentMD5?.length, 16, name);
  }
  assert.deepEqual(tiers, {
    'a/b/packs/ab/large': 'Cool',
    'a/b/packs/ab/small': 'Cool',
    'a/b/snapshots/one': 'Hot',
  });
  // What others have there is no object of ours.
  for (const name of ['a/b/README.txt', 'a/other', 'a/b/packs/.hidden'])
    await at.getBlockBlobClient(name).upload('x', 1);
  assert.deepEqual(await namesOf(storage.list('')), ['packs/ab/large', 'packs/ab/small', 'snapshots/one']);
  assert.equal(await storage.foreign(), 'README.txt');
});

test('requests are counted by the names of the service', async () => {
  const storage = await open(await service.newContainer(), {
    settings: { account, account_key, endpoint, block_size: '1MiB' },
  });
  await storage.put('one', pattern(1000, 1));
  await storage.put('large', pattern(2_500_000, 1));
  await storage.get('one', { offset: 900 });
  await rejectsWith('object_missing', storage.get('none'));
  const { PutBlob, PutBlock, PutBlockList, GetBlob } = storage.requests;
  assert.deepEqual(PutBlob, { requests: 1, failed: 0, sentBytes: 1000, receivedBytes: 0 });
  assert.deepEqual(PutBlock, { requests: 3, failed: 0, sentBytes: 2_500_000, receivedBytes: 0 });
  assert.equal(PutBlockList?.requests, 1);
  assert.deepEqual(GetBlob, { requests: 2, failed: 1, sentBytes: 0, receivedBytes: 100 });
});

test('two writers of one large name, in blocks: one wins whole', async () => {
  const container = await service.newContainer();
  const settings = { account, account_key, endpoint, block_size: '1MiB' };
  const [one, two] = [await open(container, { settings }), await open(container, { settings })];
  for (let round = 0; round < 8; round += 1) {
    const data = [pattern(4_000_000, round), pattern(4_000_000, round + 100)] as const;
    const retried = [one, two].map((storage) =>
      withRetry(storage, { clock: new TestClock(), random: () => 0.5 }),
    );
    const results = await Promise.allSettled(
      retried.map((storage, i) => storage.put(`race/${round}`, data[i] ?? data[0])),
    );
    const winner = results.findIndex(({ status }) => status === 'fulfilled');
    const lost = results[1 - winner];
    assert.ok(
      lost?.status === 'rejected' && isFailure(lost.reason, 'object_exists'),
      JSON.stringify(results),
    );
    assertSame(await one.get(`race/${round}`), data[winner] ?? data[0]);
  }
});

test('an object whose MD5 nobody kept is compared by reading it', async () => {
  const container = await service.newContainer();
  const storage = await open(container);
  const blob = service.client.getContainerClient(container).getBlockBlobClient('strange');
  const data = Buffer.from(pattern(100, 1));
  await blob.upload(data, data.length);
  await blob.setHTTPHeaders({});
  assert.equal((await blob.getProperties()).contentMD5, undefined);
  await storage.put('strange', data);
  await rejectsWith('object_exists', storage.put('strange', pattern(100, 2)));
});

test('a connection that breaks off in the middle, and one that nothing comes from', async () => {
  const container = await service.newContainer();
  const data = pattern(8_000_000, 1);
  const dying = await proxyTo(service.port);
  const through = (port: number) => ({
    account,
    account_key,
    endpoint: endpoint.replace(/:\d+/, `:${port}`),
    timeout: '500ms',
  });
  const storage = await open(container, { settings: through(dying.port) });
  let sent = 0;
  dying.onSent = (bytes) => {
    sent += bytes.length;
    if (sent > 2_000_000) void dying[Symbol.asyncDispose]();
  };
  const error = await rejectsWith('storage_unreachable', storage.put('big', data));
  assert.ok(error.retryable);
  await rejectsWith('storage_unreachable', namesOf(storage.list('')));
  const direct = await open(container);
  assert.deepEqual(await namesOf(direct.list('')), []);
  await direct.put('big', data);

  await using silent = await answering(() => undefined);
  const settings = { account, account_key, endpoint: silent.url, timeout: '300ms' };
  const waiting = await open(container, { create: false, settings });
  const late = await rejectsWith('storage_unreachable', waiting.get('big'));
  assert.match(late.message, /nothing came for 0\.3 s/);
  const reason = new Error('enough');
  const controller = new AbortController();
  const calls = [
    waiting.put('other', data, { signal: controller.signal }),
    waiting.get('other', { signal: controller.signal }),
    waiting.stat('other', { signal: controller.signal }),
    namesOf(waiting.list('', { signal: controller.signal })),
  ];
  controller.abort(reason);
  for (const call of calls) await assert.rejects(call, reason);
  await waiting.close();
});

/** What the service can say and Azurite does not. */
const answers: readonly (readonly [status: number, code: string, name: ErrorName, retryable: boolean])[] = [
  [503, 'ServerBusy', 'storage_failed', true],
  [500, 'InternalError', 'storage_failed', true],
  [500, 'OperationTimedOut', 'storage_failed', true],
  [429, 'TooManyRequests', 'storage_failed', true],
  [404, 'BlobNotFound', 'object_missing', false],
  [404, 'ContainerNotFound', 'azure_no_container', false],
  [404, 'ResourceNotFound', 'storage_failed', true],
  [404, '', 'storage_failed', true],
  [403, 'AuthorizationFailure', 'storage_denied', false],
  [403, 'AuthorizationPermissionMismatch', 'storage_denied', false],
  [403, 'AuthenticationFailed', 'azure_login', false],
  [409, 'BlobArchived', 'azure_archived', false],
  [409, 'BlobImmutableDueToPolicy', 'storage_locked', false],
  [409, 'ContainerBeingDeleted', 'storage_failed', true],
  [400, 'InvalidHeaderValue', 'azure_refused', false],
  [412, 'LeaseIdMissing', 'azure_refused', false],
];

for (const [status, code, name, retryable] of answers) {
  test(`${status} ${code} is ${name}, for a GET and for a HEAD`, async () => {
    await using server = await answering((request, response) => {
      response.writeHead(
        status,
        code === '' ? {} : { 'x-ms-error-code': code, 'content-type': 'application/xml' },
      );
      const text = `<?xml version="1.0"?><Error><Code>${code}</Code><Message>Words\nRequestId:1</Message></Error>`;
      response.end(request.method === 'HEAD' || code === '' ? undefined : text);
    });
    const settings = { account, account_key, endpoint: server.url };
    const storage = await open('c-1', { create: false, settings });
    for (const act of [storage.get('one'), storage.stat('one')]) {
      const error = await rejectsWith(name, act);
      assert.equal(error.retryable, retryable);
      assert.ok(!error.message.includes('RequestId'), error.message);
    }
    assert.deepEqual(storage.requests['GetBlob']?.requests, 1, 'no retries of its own');
    await storage.close();
  });
}

test('bytes that do not have the checksum they should have are not given out', async () => {
  await using server = await answering((_, response) => {
    const md5 = Buffer.alloc(16).toString('base64');
    response.writeHead(200, {
      'content-md5': md5,
      'content-length': 4,
      'last-modified': new Date(0).toUTCString(),
      etag: '"1"',
    });
    response.end('data');
  });
  const storage = await open('c-1', {
    create: false,
    settings: { account, account_key, endpoint: server.url },
  });
  assert.match((await rejectsWith('storage_failed', storage.get('one'))).message, /checksum/);
});

test('what answers and is no blob service', async () => {
  await using server = await answering((_, response) => response.end('<html>Welcome</html>'));
  const storage = await open('c-1', {
    create: false,
    settings: { account, account_key, endpoint: server.url },
  });
  await rejectsWith('azure_refused', namesOf(storage.list('')));
  await rejectsWith('storage_failed', storage.stat('one'));
});

async function answering(answer: (request: IncomingMessage, response: ServerResponse) => void) {
  const server = createServer((request, response) => {
    request.resume();
    request.on('end', () => answer(request, response));
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}

test('locations', async () => {
  const at = { cwd: '/' };
  assert.deepEqual(parseLocation('azure://backups', at), {
    scheme: 'azure',
    container: 'backups',
    prefix: '',
  });
  const deep = { scheme: 'azure', container: 'my-backups-1', prefix: 'a/B c/' };
  assert.deepEqual(parseLocation('AZURE://my-backups-1/a/B c/', at), deep);
  for (const bad of [
    'azure:backups',
    'azure://',
    'azure://ab',
    'azure://Backups',
    'azure://a--b',
    'azure://backups//x',
    'azure://backups/x?sig=secret',
    'azure://backups/a./b',
    'azure://user:secret@backups/x',
  ])
    assert.throws(
      () => parseLocation(bad, at),
      (error) => isFailure(error, 'storage_url') && !error.message.includes('secret'),
      bad,
    );
  const container = await service.newContainer();
  const env = { AZURE_STORAGE_CONNECTION_STRING: service.connectionString };
  const storage = await openStorage(`azure://${container}/x`, {
    ...at,
    create: true,
    clock: new TestClock(),
    env,
    settings: defaultStorageSettings,
  });
  await storage.put('one', pattern(1, 1));
  assert.equal(storage.location, `azure://${container}/x`);
  await storage.close();
});
