import assert from 'node:assert/strict';
import {
  chmod,
  mkdir,
  readdir,
  readFile,
  rename,
  rm,
  stat,
  symlink,
  utimes,
  writeFile,
} from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import type { SftpConfig } from '../../src/contract/config-sftp.ts';
import { systemClock } from '../../src/kernel/clock.ts';
import { isFailure } from '../../src/kernel/errors/failure.ts';
import { silentLogger, type Logger } from '../../src/kernel/log.ts';
import { openSftpStorage } from '../../src/storage/sftp/open.ts';
import type { SftpStorage } from '../../src/storage/sftp/sftp-storage.ts';
import { withRetry } from '../../src/storage/wrap/retry.ts';
import {
  directSftpServer,
  startSftpServer,
  withoutSftpServer,
  type DirectSftpServer,
  type SftpServer,
} from '../../testing/sftp-server.ts';
import { assertSame, namesOf, pattern, rejectsWith } from '../../testing/storage-conformance.ts';
import { proxyTo } from '../../testing/tcp-proxy.ts';
import { mountSmall } from './small-mount.ts';
import { temporaryDirectory, TestClock } from './support.ts';

const skip = withoutSftpServer();
const isRoot = process.geteuid?.() === 0;

interface Change {
  readonly path?: string;
  readonly port?: number;
  readonly create?: boolean;
  readonly settings?: Partial<SftpConfig>;
  readonly logger?: Logger;
}

function open(server: SftpServer | DirectSftpServer, change: Change = {}): Promise<SftpStorage> {
  const place = server.at(change.path ?? server.directory);
  const target = { ...place.target, port: change.port ?? place.target.port };
  return openSftpStorage(
    { ...place, target },
    {
      create: change.create ?? true,
      clock: systemClock,
      settings: { ...server.settings, ...change.settings },
      env: server.env,
      ...(change.logger === undefined ? {} : { logger: change.logger }),
    },
  );
}

/** Keeps what is logged at `warn`. */
function warnings(): { readonly logger: Logger; readonly lines: string[] } {
  const lines: string[] = [];
  return { logger: { ...silentLogger, warn: (line) => void lines.push(line) }, lines };
}

test(
  'a connection that dies in the middle of a put: retryable, and nothing of it shows',
  { skip },
  async () => {
    await using server = await startSftpServer();
    await using proxy = await proxyTo(server.port);
    await server.trust(proxy.port);
    const storage = await open(server, { port: proxy.port });
    const data = pattern(20_000_000, 1);
    let sent = 0;
    proxy.onSent = (bytes) => {
      const before = sent;
      sent += bytes.length;
      if (before < 2_000_000 && sent >= 2_000_000) server.cut();
    };
    const error = await rejectsWith('storage_unreachable', storage.put('big', data));
    assert.ok(error.retryable);
    assert.deepEqual(await readdir(server.directory), ['.tmp']);
    assert.deepEqual(await namesOf(storage.list('')), []);
    sent = 0;
    await withRetry(storage, { clock: new TestClock(), random: () => 0.5 }).put('big', data);
    assertSame(await storage.get('big'), data);
    await storage.close();
  },
);

test('a connection that dies in the middle of a get', { skip }, async () => {
  await using server = await startSftpServer();
  const storage = await open(server);
  const data = pattern(10_000_000, 1);
  await storage.put('big', data);
  await using proxy = await proxyTo(server.port);
  await server.trust(proxy.port);
  const reader = await open(server, { port: proxy.port });
  const reading = reader.get('big');
  const failed = rejectsWith('storage_unreachable', reading);
  while (proxy.received < 2_000_000) await new Promise(setImmediate);
  server.cut();
  assert.ok((await failed).retryable);
  assertSame(await reader.get('big'), data);
  await reader.close();
  await storage.close();
});

test('connections that die again and again in the middle of a listing cost no name', { skip }, async () => {
  await using server = await startSftpServer();
  const storage = await open(server);
  const names = Array.from({ length: 120 }, (_, i) => `${String(i % 30).padStart(2, '0')}/${i}`);
  for (const name of names) {
    await mkdir(join(server.directory, name.slice(0, 2)), { recursive: true });
    await writeFile(join(server.directory, name), name);
  }
  const retried = withRetry(storage, { clock: new TestClock(), random: () => 0.5, attempts: 20 });
  const seen: string[] = [];
  for await (const { name } of retried.list('')) {
    seen.push(name);
    if (seen.length % 25 === 0) server.cut();
  }
  assert.deepEqual(seen, names.toSorted());
  const rest = await namesOf(storage.list('', { after: seen[60] }));
  assert.deepEqual(rest.slice(-59), seen.slice(61));
  assert.ok(rest.length < 65, 'folders before it are not read');
  assert.ok(server.connections > 3, `${server.connections} connections`);
  await storage.close();
});

test(
  'an abort settles at once though the network swallows everything, and so does closing',
  { skip },
  async () => {
    await using server = await startSftpServer();
    await using proxy = await proxyTo(server.port);
    await server.trust(proxy.port);
    const storage = await open(server, { port: proxy.port });
    const controller = new AbortController();
    const reason = new Error('enough');
    const calls = [
      storage.put('big', pattern(20_000_000, 1), { signal: controller.signal }),
      storage.get('none', { signal: controller.signal }),
      namesOf(storage.list('', { signal: controller.signal })),
    ];
    const settled = Promise.allSettled(calls);
    proxy.swallow();
    controller.abort(reason);
    for (const result of await settled)
      assert.ok(result.status === 'rejected' && result.reason === reason, String(result.status));
    const closing = Date.now();
    await storage.close();
    assert.ok(Date.now() - closing < 10_000);
  },
);

test('an aborted put leaves no temporary file', { skip }, async () => {
  await using server = await directSftpServer();
  const storage = await open(server);
  const controller = new AbortController();
  const put = storage.put('big', pattern(20_000_000, 1), { signal: controller.signal });
  while ((await readdir(join(server.directory, '.tmp'))).length === 0) await new Promise(setImmediate);
  controller.abort(new Error('enough'));
  await assert.rejects(put, /enough/);
  await storage.close();
  assert.deepEqual(await readdir(join(server.directory, '.tmp')), []);
  assert.deepEqual(await readdir(server.directory), ['.tmp']);
});

test('what is stored is flushed before it gets its name, and the folder after', { skip }, async () => {
  await using place = await temporaryDirectory();
  const log = join(place.path, 'log');
  await using server = await directSftpServer('-e -l VERBOSE', `exec 2>>${log}`);
  const storage = await open(server, { settings: { connections: 1 } });
  await storage.put('a/b/one', pattern(300_000, 1));
  await storage.close();
  const text = await readFile(log, 'utf8');
  const lines = text.replaceAll(`${server.directory}`, '').split('\n');
  const events = lines.flatMap((line) => {
    const [, what, path] = /^(mkdir name|fsync|hardlink old|remove name) "([^"]*)"/.exec(line) ?? [];
    return what === undefined || path === undefined
      ? []
      : [`${what.split(' ')[0]} ${path.replace(/\.tmp\/.+/, '.tmp/…')}`];
  });
  const wanted = [
    'fsync /.tmp/…',
    'mkdir /a',
    'fsync ',
    'mkdir /a/b',
    'fsync /a',
    'hardlink /.tmp/…',
    'fsync /a/b',
  ];
  let from = events.indexOf('remove /.tmp/…'); // the file that proves the place writable
  for (const event of wanted) {
    const at = events.indexOf(event, from);
    assert.ok(at >= from, `${event} is not where it should be in ${events.join(', ')}`);
    from = at;
  }
});

test(
  'a full disk, and then room again',
  { skip: skip === false && !isRoot ? 'needs root, to mount' : skip },
  async () => {
    await using server = await directSftpServer();
    await using mount = await mountSmall(join(server.directory, 'small'));
    const storage = await open(server, { path: mount.path });
    await rejectsWith('storage_full', storage.put('big', pattern(3_000_000, 1)));
    await storage.put('small', pattern(1_000_000, 2));
    assert.deepEqual(await readdir(join(mount.path, '.tmp')), []);
    assert.deepEqual(await namesOf(storage.list('')), ['small']);
    await mount.makeReadOnly();
    await rejectsWith('storage_read_only', storage.put('two', pattern(10, 1)));
    await rejectsWith('storage_read_only', storage.delete('small'));
    assertSame(await storage.get('small'), pattern(1_000_000, 2));
    await storage.close();
  },
);

test('a disk that is unmounted on the server does not read as an empty repository', { skip }, async () => {
  await using server = await directSftpServer();
  const [place, elsewhere] = [join(server.directory, 'r'), join(server.directory, 'elsewhere')];
  const storage = await open(server, { path: place });
  await storage.put('a/1', pattern(10, 1));
  await rename(place, elsewhere);
  await mkdir(place);
  for (const act of [
    () => namesOf(storage.list('')),
    () => storage.get('a/1'),
    () => storage.stat('a/1'),
    () => storage.put('a/2', pattern(10, 2)),
    () => storage.delete('a/1'),
  ]) {
    const { message } = await rejectsWith('storage_unreachable', act());
    assert.match(message, /replaced or unmounted meanwhile/);
  }
  assert.deepEqual(await readdir(place), []);
  await rm(place, { recursive: true });
  assert.match((await rejectsWith('storage_unreachable', namesOf(storage.list('')))).message, /is gone/);
  await rename(elsewhere, place);
  assert.deepEqual(await namesOf(storage.list('')), ['a/1']);
  await storage.close();
});

test('a limit that the server does not name is told as that', { skip }, async () => {
  // As with a quota: the write fails, and the file system has room.
  await using server = await directSftpServer('', "trap '' XFSZ; ulimit -f 100");
  const storage = await open(server);
  const error = await rejectsWith('sftp_write_refused', storage.put('big', pattern(1_000_000, 1)));
  assert.ok(!error.retryable);
  assert.match(error.hint, /quota/);
  await storage.put('small', pattern(1000, 1));
  assert.deepEqual(await readdir(join(server.directory, '.tmp')), []);
  await storage.close();
});

test('a server that cannot flush is refused for writing, unless that is allowed', { skip }, async () => {
  await using server = await directSftpServer('-P fsync');
  await rejectsWith('sftp_no_fsync', open(server));
  assert.deepEqual(await readdir(server.directory), []);
  const reader = await open(server, { create: false });
  await rejectsWith('sftp_no_fsync', reader.put('one', pattern(10, 1)));
  assert.deepEqual(await namesOf(reader.list('')), []);
  await reader.close();
  const { logger, lines } = warnings();
  const storage = await open(server, { settings: { allow_unflushed: true }, logger });
  for (const name of ['one', 'two', 'three']) await storage.put(name, pattern(10, 1));
  assert.deepEqual(lines, ['what is stored is not flushed: a power cut on the server may lose it']);
  await storage.close();
});

test('a server for reading only says that we may not write', { skip }, async () => {
  await using server = await directSftpServer('-R');
  await writeFile(join(server.directory, 'one'), pattern(10, 1));
  await mkdir(join(server.directory, '.tmp'));
  const storage = await open(server, { create: false });
  const error = await rejectsWith('storage_denied', storage.put('two', pattern(10, 1)));
  assert.match(error.hint, /set up for reading only/);
  await rejectsWith('storage_denied', storage.delete('one'));
  assertSame(await storage.get('one'), pattern(10, 1));
  await storage.close();
});

test('an unreadable folder fails a listing instead of shortening it', { skip }, async (t) => {
  if (isRoot) return t.skip('root may read everything');
  await using server = await directSftpServer();
  const storage = await open(server);
  await storage.put('a/one', pattern(10, 1));
  await chmod(join(server.directory, 'a'), 0);
  await rejectsWith('storage_denied', namesOf(storage.list('')));
  await rejectsWith('storage_denied', storage.get('a/one'));
  await chmod(join(server.directory, 'a'), 0o700);
  await storage.close();
});

test(
  'what a crash left a day ago is swept when the place is opened, and younger files stay',
  { skip },
  async () => {
    await using server = await directSftpServer();
    await (await open(server)).close();
    const [old, young] = [join(server.directory, '.tmp/old'), join(server.directory, '.tmp/young')];
    for (const path of [old, young]) await writeFile(path, 'x');
    const nowS = Date.now() / 1000;
    await utimes(old, nowS - 25 * 3600, nowS - 25 * 3600);
    await utimes(young, nowS - 23 * 3600, nowS - 23 * 3600);
    await (await open(server, { create: false })).close();
    assert.deepEqual(await readdir(join(server.directory, '.tmp')), ['young']);
  },
);

test('a place that is missing, a file, or has other files in it', { skip }, async () => {
  await using server = await directSftpServer();
  const missing = join(server.directory, 'no/such');
  await rejectsWith('storage_missing', open(server, { path: missing, create: false }));
  await (await open(server, { path: missing })).close();
  assert.equal((await stat(missing)).mode & 0o777, 0o700);
  const file = join(server.directory, 'file');
  await writeFile(file, 'x');
  for (const create of [true, false])
    await rejectsWith('storage_layout', open(server, { path: file, create }));
  await rejectsWith('storage_layout', open(server, { path: join(file, 'below') }));

  const storage = await open(server, { path: missing });
  assert.equal(await storage.foreign(), undefined);
  await storage.put('a/one', pattern(1, 1));
  await symlink('/nowhere', join(missing, 'a/dangling'));
  for (const name of ['.bashrc', 'README.TXT', 'a/.nfs0001', 'a/ü', 'a/Thumbs.db'])
    await writeFile(join(missing, name), 'x');
  assert.deepEqual(await namesOf(storage.list('')), ['a/one']);
  assert.equal(await storage.foreign(), '.bashrc');
  await rejectsWith('storage_layout', storage.put('a', pattern(1, 1)));
  await rejectsWith('storage_layout', storage.put('a/one/below', pattern(1, 1)));
  await storage.close();
});

test('two clients on a server without hard links: one of them wins', { skip }, async () => {
  await using server = await directSftpServer('-P hardlink');
  const [one, two] = [await open(server), await open(server)];
  for (let round = 0; round < 20; round += 1) {
    const results = await Promise.allSettled([
      one.put(`race/${round}`, pattern(100_000, 1)),
      two.put(`race/${round}`, pattern(100_000, 2)),
    ]);
    const lost = results.filter((result) => result.status === 'rejected');
    assert.equal(lost.length, 1);
    assert.ok(isFailure(lost[0]?.reason, 'object_exists'), String(lost[0]?.reason));
  }
  assert.deepEqual(await readdir(join(server.directory, '.tmp')), []);
  await Promise.all([one.close(), two.close()]);
});

test('a program that breaks the protocol is told from a dead line', { skip }, async () => {
  await using server = await directSftpServer(
    '-P limits',
    'printf "\\0\\0\\0\\5\\2\\0\\0\\0\\7"; exec cat; exec',
  );
  await rejectsWith('sftp_no_subsystem', open(server));
});
