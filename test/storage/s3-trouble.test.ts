import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import {
  createServer,
  request,
  type IncomingMessage,
  type RequestListener,
  type ServerResponse,
} from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import { connect, type Server, type Socket } from 'node:net';
import { join } from 'node:path';
import { after, describe, mock, test } from 'node:test';
import { s3Schema } from '../../src/contract/config-s3.ts';
import { systemClock } from '../../src/kernel/clock.ts';
import type { ErrorName } from '../../src/kernel/errors/catalogue.ts';
import { isFailure, type HoldfastError } from '../../src/kernel/errors/failure.ts';
import type { Storage } from '../../src/storage/port.ts';
import { withRetry } from '../../src/storage/wrap/retry.ts';
import { openS3Storage } from '../../src/storage/s3/open.ts';
import { ceph, cephBucket, withoutCeph } from '../../testing/ceph.ts';
import { openCephStorage } from '../../testing/ceph-storage.ts';
import { assertSame, namesOf, pattern, rejectsWith } from '../../testing/storage-conformance.ts';
import { until } from '../../testing/until.ts';
import { temporaryDirectory, TestClock } from './support.ts';

/** Every call that reads, and one that writes: what each does when the place is in trouble. */
function calls(storage: Storage): Readonly<Record<string, () => Promise<unknown>>> {
  return {
    get: () => storage.get('a/b'),
    range: () => storage.get('a/b', { offset: 3, length: 4 }),
    stat: () => storage.stat('a/b'),
    list: () => namesOf(storage.list('')),
    foreign: () => storage.foreign(),
    put: () => storage.put('a/b', pattern(100, 1)),
    delete: () => storage.delete('a/b'),
  };
}

async function allReject(storage: Storage, name: ErrorName): Promise<HoldfastError> {
  let last: HoldfastError | undefined;
  for (const [call, act] of Object.entries(calls(storage))) {
    const error = await act().then(
      (value) => assert.fail(`${call} succeeded: ${String(value)}`),
      (thrown: unknown) => thrown,
    );
    assert.ok(isFailure(error, name), `${call}: ${String(error)}`);
    last = error;
  }
  return last ?? assert.fail();
}

describe('S3 in trouble', { skip: withoutCeph() }, () => {
  const servers: Server[] = [];
  const opened: Storage[] = [];
  after(async () => {
    await Promise.all(opened.map((storage) => storage.close()));
    for (const server of servers) server.close();
  });

  async function open(
    settings: Readonly<Record<string, unknown>>,
    env: Readonly<Record<string, string>> = {},
    bucket = 'shop',
  ) {
    const { users } = await ceph();
    const { accessKeyId, secretAccessKey } = users.owner;
    const keys = { access_key_id: accessKeyId, secret_access_key: secretAccessKey };
    const storage = await openS3Storage(
      { scheme: 's3', bucket, prefix: '', overrides: {} },
      { settings: s3Schema.parse({ ...keys, ...settings }), env, clock: systemClock },
    );
    opened.push(storage);
    return storage;
  }

  async function listening(server: Server): Promise<number> {
    servers.push(server);
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    server.unref();
    return (server.address() as { port: number }).port;
  }

  /** Something on loopback that answers in its own way. */
  async function answering(answer: RequestListener): Promise<string> {
    const server = createServer((from, to) => {
      from.resume();
      answer(from, to);
    });
    server.on('connection', (socket: Socket) => socket.unref());
    return `http://127.0.0.1:${await listening(server)}`;
  }

  const says = (status: number, body: string, headers: Readonly<Record<string, string>> = {}) =>
    answering((from: IncomingMessage, to: ServerResponse) => {
      to.writeHead(status, { 'content-type': 'application/xml', ...headers });
      to.end(from.method === 'HEAD' ? undefined : body);
    });

  const errorXml = (code: string, more = ''): string =>
    `<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>${code}</Code><Message>said so</Message>${more}</Error>`;

  test('a bucket that is not there is never taken for a missing object', async () => {
    const { endpoint } = await ceph();
    const error = await allReject(await open({ endpoint }, {}, 'no-such-bucket'), 's3_no_bucket');
    assert.equal(error.exitCode, 6);
    assert.match(error.message, /no bucket no-such-bucket at http/);
  });

  test('wrong keys are told from wrong secrets', async () => {
    const { endpoint } = await ceph();
    const { bucket } = await cephBucket();
    const unknown = await open({ endpoint, access_key_id: 'nobody' }, {}, bucket);
    assert.match((await allReject(unknown, 's3_unknown_key')).message, /does not know the access key nobody/);
    const wrong = await open({ endpoint, secret_access_key: 'hunter2' }, {}, bucket);
    const error = await allReject(wrong, 's3_signature');
    assert.ok(!JSON.stringify(error).includes('hunter2'));
  });

  test('a clock that is off is told as such', async () => {
    const storage = await openCephStorage(await cephBucket());
    opened.push(storage);
    mock.timers.enable({ apis: ['Date'], now: Date.now() - 3_600_000 });
    try {
      const error = await rejectsWith('s3_clock', storage.get('a/b'));
      assert.match(error.message, /the clock of this machine is too far from that of/);
    } finally {
      mock.timers.reset();
    }
  });

  test('nobody answers, or the name does not exist: to be tried again', async () => {
    const endpoint = await says(200, '');
    const gone = servers.pop();
    gone?.close();
    const error = await allReject(await open({ endpoint }), 'storage_unreachable');
    assert.match(error.message, /it refuses connections \(ECONNREFUSED\)/);
    assert.ok(error.retryable);
    const nowhere = await open({ endpoint: 'http://no-such-host.invalid' });
    await rejectsWith('storage_unreachable', nowhere.get('a/b'));
  });

  test('an answer that does not come, or not on, is given up', async () => {
    const silent = await open({ endpoint: await answering(() => {}), timeout: '150ms' });
    assert.match(
      (await rejectsWith('storage_unreachable', silent.get('a/b'))).message,
      /did not answer in time/,
    );
    const stalling = await answering((_from, to) => {
      to.writeHead(200, { 'content-length': '1000' });
      to.write('some');
    });
    await rejectsWith(
      'storage_unreachable',
      (await open({ endpoint: stalling, timeout: '150ms' })).get('a/b'),
    );
    // A byte now and then keeps a connection alive, and no request.
    const timers: NodeJS.Timeout[] = [];
    const trickling = await answering((_from, to) => {
      to.writeHead(200, { 'content-length': '100000' });
      timers.push(setInterval(() => to.write('x'), 40));
    });
    const slow = await open({ endpoint: trickling, timeout: '150ms' });
    const error = await rejectsWith('storage_unreachable', slow.get('a/b', { length: 1000 }));
    assert.match(error.message, /for one request/);
    for (const timer of timers) clearInterval(timer);
  });

  test('an answer that ends early is no object', async () => {
    const endpoint = await answering((_from, to) => {
      to.writeHead(200, { 'content-length': '1000', etag: '"x"' });
      to.write('only this', () => to.socket?.destroy());
    });
    const error = await rejectsWith('storage_unreachable', (await open({ endpoint })).get('a/b'));
    assert.ok(error.retryable);
  });

  for (const status of [500, 502, 503, 504, 429, 408]) {
    test(`status ${status} is a bad minute: to be tried again`, async () => {
      for (const body of [errorXml('SlowDown'), errorXml('InternalError'), '<html>busy</html>', '']) {
        const error = await allReject(await open({ endpoint: await says(status, body) }), 'storage_failed');
        assert.ok(error.retryable);
      }
    });
  }

  test('a web server in its place is no S3, and an empty page no empty bucket', async () => {
    const page = '<!DOCTYPE html><html><body><h1>Welcome</h1></body></html>';
    for (const [status, body] of [
      [404, page],
      [404, ''],
      [200, page],
      [200, '<?xml version="1.0"?><ListBucketResult></ListBucketResult>'],
    ] as const) {
      const storage = await open({ endpoint: await says(status, body), conditional_writes: true });
      for (const call of ['list', 'foreign'] as const) {
        const asked = calls(storage)[call]?.() ?? Promise.resolve();
        const error = await asked.then(
          (value) => assert.fail(`${call} gave ${String(value)} for ${status} ${body}`),
          (thrown: unknown) => thrown,
        );
        assert.ok(isFailure(error) && error.errorName !== 'object_missing', String(error));
      }
      for (const call of ['get', 'range', 'stat'] as const) {
        if (status === 200) continue;
        const error = await rejectsWith('s3_stranger', calls(storage)[call]?.() ?? Promise.resolve());
        assert.match(error.message, /does not speak S3/);
      }
    }
  });

  test('what AWS says of other regions, tokens, archives and accounts is told with what to do', async () => {
    const region = '<Endpoint>shop.s3.eu-west-3.amazonaws.com</Endpoint><Bucket>shop</Bucket>';
    const cases: readonly (readonly [ErrorName, number, string, RegExp, Record<string, string>?])[] = [
      [
        's3_region',
        301,
        errorXml('PermanentRedirect', region),
        /eu-west-3/,
        { 'x-amz-bucket-region': 'eu-west-3' },
      ],
      ['s3_region', 400, errorXml('AuthorizationHeaderMalformed', '<Region>eu-west-3</Region>'), /eu-west-3/],
      ['s3_token', 400, errorXml('ExpiredToken'), /ExpiredToken: said so/],
      ['s3_token', 400, errorXml('InvalidToken'), /InvalidToken/],
      ['s3_unknown_key', 403, errorXml('InvalidAccessKeyId'), /access key holdfast/],
      [
        's3_clock',
        403,
        errorXml('RequestTimeTooSkewed', '<ServerTime>2026-01-01T00:00:00Z</ServerTime>'),
        /2026-01-01T00/,
      ],
      [
        's3_archived',
        403,
        errorXml('InvalidObjectState', '<StorageClass>GLACIER</StorageClass>'),
        /is in GLACIER/,
      ],
      ['storage_full', 403, errorXml('QuotaExceeded'), /no space left/],
      ['storage_denied', 403, errorXml('AccessDenied'), /s3:GetObject on arn:aws:s3:::shop\/\*/],
      ['s3_refused', 400, errorXml('InvalidArgument'), /InvalidArgument: said so, status 400/],
    ];
    for (const [name, status, xml, message, headers] of cases) {
      const storage = await open({ endpoint: await says(status, xml, headers) });
      assert.match((await rejectsWith(name, storage.get('a/b'))).message, message);
      assert.match((await rejectsWith(name, storage.stat('a/b'))).message, message);
    }
  });

  test('without credentials, the places that were looked at are named', async () => {
    await using home = await temporaryDirectory();
    const saved = { ...process.env };
    Object.assign(process.env, { HOME: home.path, AWS_EC2_METADATA_DISABLED: 'true' });
    delete process.env['AWS_ACCESS_KEY_ID'];
    try {
      const { endpoint } = await ceph();
      const storage = await openS3Storage(
        { scheme: 's3', bucket: 'shop', prefix: '', overrides: {} },
        { settings: s3Schema.parse({ endpoint }), env: {}, clock: systemClock },
      );
      opened.push(storage);
      await rejectsWith('s3_no_credentials', storage.get('a/b'));
      const profile = await openS3Storage(
        { scheme: 's3', bucket: 'shop', prefix: '', overrides: { profile: 'none-such' } },
        { settings: s3Schema.parse({ endpoint }), env: {}, clock: systemClock },
      );
      opened.push(profile);
      assert.match((await rejectsWith('s3_no_credentials', profile.get('a/b'))).message, /none-such/);
      await rejectsWith('s3_no_region', (await open({})).get('a/b'));
    } finally {
      process.env = saved;
    }
  });

  test('a proxy of the environment is used, but where it is not to be', async () => {
    const { bucket, endpoint, port } = await cephBucket();
    const passed: string[] = [];
    const proxy = await answering((from, to) => {
      passed.push(from.url ?? '');
      const { method, headers } = from;
      const path = new URL(from.url ?? '').pathname + new URL(from.url ?? '').search;
      const onward = request({ host: '127.0.0.1', port, method, path, headers }, (answer) => {
        to.writeHead(answer.statusCode ?? 500, answer.rawHeaders);
        answer.pipe(to);
      });
      from.pipe(onward);
    });
    const storage = await open({ endpoint }, { HTTP_PROXY: proxy }, bucket);
    await storage.put('a/b', pattern(1000, 1));
    assertSame(await storage.get('a/b'), pattern(1000, 1));
    assert.ok(
      passed.length >= 3 && passed.every((url) => url.startsWith(`${endpoint}/${bucket}/`)),
      passed.join(),
    );
    const before = passed.length;
    const direct = await open({ endpoint }, { HTTP_PROXY: proxy, NO_PROXY: '127.0.0.1' }, bucket);
    assertSame(await direct.get('a/b'), pattern(1000, 1));
    assert.equal(passed.length, before);
  });

  for (const way of ['says that it knows no conditions', 'is known to pass over them']) {
    test(`a service that ${way} is asked before and after`, async () => {
      const { bucket, port, endpoint: plain } = await cephBucket();
      const refusing = await answering((from, to) => {
        const { method, url: path, headers } = from;
        if (headers['if-none-match'] !== undefined) {
          to.writeHead(501, { 'content-type': 'application/xml' });
          to.end(errorXml('NotImplemented'));
          return;
        }
        const onward = request({ host: '127.0.0.1', port, method, path, headers }, (answer) => {
          to.writeHead(answer.statusCode ?? 500, answer.rawHeaders);
          answer.pipe(to);
        });
        from.pipe(onward);
      });
      const settings = way.startsWith('says')
        ? { endpoint: refusing }
        : { endpoint: plain, conditional_writes: false };
      const storage = await open(settings, {}, bucket);
      assert.equal(await storage.context.conditional.areHonoured(), false);
      for (const name of ['a/b', 'a/c']) {
        await storage.put(name, pattern(1000, 1));
        await storage.put(name, pattern(1000, 1));
        await rejectsWith('object_exists', storage.put(name, pattern(1000, 2)));
        await rejectsWith('object_exists', storage.put(name, pattern(1001, 1)));
        assertSame(await storage.get(name), pattern(1000, 1));
      }
      // Ceph answers 500 to whoever reads what is being overwritten.
      const retried = withRetry(storage, { clock: new TestClock(), random: () => 0.5, attempts: 20 });
      // Of those who store one name at once, each either has it or is told that another one has.
      const writers = Array.from({ length: 6 }, (_, seed) => retried.put('a/race', pattern(500, seed)));
      for (const result of await Promise.allSettled(writers))
        if (result.status === 'rejected')
          assert.ok(isFailure(result.reason, 'object_exists'), String(result.reason));
    });
  }

  const openssl = spawnSync('openssl', ['version']).status === 0;
  test(
    'TLS with a CA of its own, when it is named',
    { skip: openssl ? false : 'skipped: no openssl here' },
    async () => {
      await using directory = await temporaryDirectory();
      const [key, certificate] = [join(directory.path, 'key.pem'), join(directory.path, 'ca.pem')];
      const names = ['-subj', '/CN=holdfast', '-addext', 'subjectAltName=IP:127.0.0.1'];
      const made = spawnSync('openssl', [
        'req',
        '-x509',
        '-newkey',
        'rsa:2048',
        '-nodes',
        '-days',
        '2',
        ...names,
        '-keyout',
        key,
        '-out',
        certificate,
      ]);
      assert.equal(made.status, 0, String(made.stderr));
      const { bucket, port, endpoint: plain } = await cephBucket();
      const options = { key: await readFile(key), cert: await readFile(certificate) };
      const server = createTlsServer(options, (from, to) => {
        const { method, url: path, rawHeaders: headers } = from;
        const onward = request({ host: '127.0.0.1', port, method, path, headers }, (answer) => {
          to.writeHead(answer.statusCode ?? 500, answer.rawHeaders);
          answer.pipe(to);
        });
        from.pipe(onward);
      });
      const endpoint = `https://127.0.0.1:${await listening(server)}`;
      const error = await allReject(await open({ endpoint }, {}, bucket), 's3_tls');
      assert.match(error.hint, /s3\.ca_file/);
      assert.ok(!error.retryable);
      const trusting = await open({ endpoint, ca_file: certificate, part_size: '5MiB' }, {}, bucket);
      await trusting.put('a/b', pattern(6_000_000, 1));
      assertSame(await trusting.get('a/b'), pattern(6_000_000, 1));
      const fromEnv = await open({ endpoint }, { AWS_CA_BUNDLE: certificate }, bucket);
      assert.equal((await fromEnv.stat('a/b')).sizeBytes, 6_000_000);
      // A service without TLS under https is told as well.
      await rejectsWith(
        's3_tls',
        (await open({ endpoint: plain.replace('http:', 'https:') }, {}, bucket)).get('a/b'),
      );
      server.closeAllConnections();
    },
  );

  test('requests and bytes are counted by operation, and connections kept', async () => {
    const { bucket, port } = await cephBucket();
    let connections = 0;
    const server = createServer();
    const tcp = await listening(
      server.on('connection', (client: Socket) => {
        connections += 1;
        const onward = connect(port, '127.0.0.1');
        client.removeAllListeners('data').pipe(onward).pipe(client);
        client.unref();
      }),
    );
    const storage = await open(
      { endpoint: `http://127.0.0.1:${tcp}`, part_size: '5MiB', parallel_parts: 1 },
      {},
      bucket,
    );
    await storage.put('small', pattern(1000, 1));
    await storage.put('large', pattern(12_000_000, 1));
    await storage.get('large', { offset: 10, length: 500 });
    await namesOf(storage.list(''));
    await rejectsWith('object_missing', storage.get('none'));
    const { requests } = storage;
    const sums = (name: string) => {
      const { requests: sent = 0, failed = 0, sentBytes = 0, receivedBytes = 0 } = requests[name] ?? {};
      return [sent, failed, sentBytes, receivedBytes];
    };
    // Two for the probe, of which the second fails as it should.
    assert.deepEqual(sums('PutObject'), [3, 1, 1000, 0]);
    assert.deepEqual(sums('CreateMultipartUpload'), [1, 0, 0, 0]);
    assert.deepEqual(sums('UploadPart'), [3, 0, 12_000_000, 0]);
    assert.deepEqual(sums('CompleteMultipartUpload'), [1, 0, 0, 0]);
    assert.deepEqual(sums('ListObjectsV2'), [1, 0, 0, 0]);
    assert.equal(sums('GetObject')[3], 500);
    assert.ok(connections <= 3, `${connections} connections`);
  });

  test('an upload in parts that fails or is aborted leaves nothing behind', async () => {
    const bucket = await cephBucket();
    const storage = await openCephStorage(bucket, { settings: { part_size: '5MiB' } });
    opened.push(storage);
    await storage.put('a/b', pattern(10, 1));
    const controller = new AbortController();
    const put = storage.put('a/c', pattern(30_000_000, 1), { signal: controller.signal });
    await until(() => (storage.requests['UploadPart']?.requests ?? 0) > 0, 'the first part on its way');
    controller.abort(new Error('enough'));
    await assert.rejects(put, /enough/);
    const { ListMultipartUploadsCommand } = await import('@aws-sdk/client-s3');
    const { Uploads } = await bucket.client.send(new ListMultipartUploadsCommand({ Bucket: bucket.bucket }));
    assert.deepEqual(Uploads ?? [], []);
    assert.deepEqual(await namesOf(storage.list('')), ['a/b']);
  });
});
