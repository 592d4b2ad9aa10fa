import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { cp, mkdir, rm, writeFile } from 'node:fs/promises';
import { createServer, type AddressInfo } from 'node:net';
import { join } from 'node:path';
import { test } from 'node:test';
import { sftpSchema, type SftpConfig } from '../../src/contract/config-sftp.ts';
import { systemClock } from '../../src/kernel/clock.ts';
import type { ErrorName } from '../../src/kernel/errors/catalogue.ts';
import type { HoldfastError } from '../../src/kernel/errors/failure.ts';
import { parseSftpLocation } from '../../src/storage/sftp/location.ts';
import { openSftpStorage } from '../../src/storage/sftp/open.ts';
import type { SftpStorage } from '../../src/storage/sftp/sftp-storage.ts';
import {
  makeSshKey,
  startSftpServer,
  withoutSftpServer,
  type SftpServer,
} from '../../testing/sftp-server.ts';
import { pattern, rejectsWith } from '../../testing/storage-conformance.ts';
import { temporaryDirectory } from './support.ts';

const skip = withoutSftpServer();

function open(server: SftpServer, settings: Partial<SftpConfig> = {}, port?: number): Promise<SftpStorage> {
  const place = server.at(server.directory);
  return openSftpStorage(port === undefined ? place : { ...place, target: { ...place.target, port } }, {
    create: true,
    clock: systemClock,
    settings: { ...server.settings, ...settings },
    env: server.env,
    attempts: 1,
  });
}

test('an unknown host key is refused before anything is sent', { skip }, async () => {
  await using server = await startSftpServer();
  const known_hosts_file = join(server.keys, 'nothing');
  const error = await rejectsWith('sftp_host_key_unknown', open(server, { known_hosts_file }));
  assert.equal(error.exitCode, 4);
  assert.ok(!error.retryable);
  assert.match(error.hint, new RegExp(`sftp -F /dev/null .*-P ${server.port} ${server.user}@127.0.0.1$`));
});

test('another host key than the known one is refused, and its fingerprint shown', { skip }, async () => {
  await using server = await startSftpServer();
  await (await open(server)).close();
  await server.changeHostKey();
  const error = await rejectsWith('sftp_host_key_changed', open(server));
  assert.ok(!error.retryable);
  assert.match(error.message, /it shows SHA256:\S+/);
  assert.ok(error.hint.includes(`ssh-keygen -R "[127.0.0.1]:${server.port}"`), error.hint);
});

test('a host key that changes while we work stops us, too', { skip }, async () => {
  await using server = await startSftpServer();
  const storage = await open(server);
  await storage.put('one', pattern(10, 1));
  await server.changeHostKey();
  server.cut();
  // The end of the old connection may be noticed by the first call only.
  await storage.get('one').catch(() => undefined);
  await rejectsWith('sftp_host_key_changed', storage.get('one'));
  await storage.close();
});

test('a key that the server does not know is refused, with how to give it one', { skip }, async () => {
  await using server = await startSftpServer();
  const identity_file = join(server.keys, 'other');
  await makeSshKey(identity_file);
  const error = await rejectsWith('sftp_login', open(server, { identity_file }));
  assert.ok(!error.retryable);
  assert.match(error.message, /Permission denied \(publickey\)/);
  const target = `-p ${server.port} ${server.user}@127.0.0.1`;
  assert.ok(error.hint.includes(`ssh-copy-id -i ${identity_file}.pub ${target}`), error.hint);
  const missing = await rejectsWith('sftp_login', open(server, { identity_file: join(server.keys, 'none') }));
  assert.match(missing.message, /127\.0\.0\.1 does not let us log in/);
});

test('paths of keys may have spaces and percent signs', { skip }, async () => {
  await using server = await startSftpServer();
  const strange = join(server.keys, 'my keys 100%d "x"');
  await mkdir(strange);
  await cp(join(server.keys, 'user'), join(strange, 'id'));
  await cp(join(server.keys, 'known_hosts'), join(strange, 'hosts'));
  const settings = { identity_file: join(strange, 'id'), known_hosts_file: join(strange, 'hosts') };
  await (await open(server, settings)).close();
});

test('a server without SFTP, and one whose start-up files print into it', { skip }, async () => {
  await using bare = await startSftpServer({ subsystem: null });
  const none = await rejectsWith('sftp_no_subsystem', open(bare));
  assert.match(none.message, /it has no subsystem of that name/);
  await using talking = await startSftpServer({ subsystem: '/bin/echo Welcome to this machine' });
  const talk = await rejectsWith('sftp_no_subsystem', open(talking));
  assert.match(talk.message, /it answers "(?:Welcome to this machine|This account is)/);
});

test('a path relative to the home directory', { skip }, async () => {
  await using server = await startSftpServer({ subsystem: 'internal-sftp -d /' });
  const path = server.directory.slice(1);
  const place = { ...server.at('/'), path, shown: `sftp://there/~/${path}` };
  const { settings, env } = server;
  const relative = await openSftpStorage(place, { create: true, clock: systemClock, settings, env });
  await relative.put('a/one', pattern(10, 1));
  await relative.close();
  const absolute = await open(server);
  assert.equal((await absolute.stat('a/one')).sizeBytes, 10);
  await absolute.close();
});

test('nobody listens, nobody answers, and an ssh that cannot be used', { skip }, async () => {
  await using server = await startSftpServer();
  const silent = createServer((socket) => void socket.resume()).listen(0, '127.0.0.1');
  await once(silent, 'listening');
  const { port } = silent.address() as AddressInfo;
  const late = await rejectsWith('storage_unreachable', open(server, { connect_timeout: 300 }, port));
  assert.match(late.message, /nobody was let in within 1 s/);
  silent.close();
  await once(silent, 'close');
  const refused = await rejectsWith('storage_unreachable', open(server, {}, port));
  assert.match(refused.message, /Connection refused/);
  await rejectsWith('sftp_ssh', open(server, { ssh: '/no/such/ssh' }));
  const odd = await rejectsWith('sftp_ssh', open(server, { options: ['NoSuchOption=1'] }));
  assert.match(odd.message, /Bad configuration option/);
});

/** What ssh prints where this machine cannot be made to produce it; taken from runs of OpenSSH 8.4 to 9.9. */
const words: readonly (readonly [said: string, name: ErrorName, message: RegExp])[] = [
  ['ssh: Could not resolve hostname nas: Name or service not known', 'sftp_host_name', /no host called nas/],
  [
    'ssh: Could not resolve hostname nas: Temporary failure in name resolution',
    'storage_unreachable',
    /Temporary/,
  ],
  ['ssh: connect to host nas port 22: No route to host', 'storage_unreachable', /No route to host/],
  [
    'kex_exchange_identification: Connection closed by remote host',
    'storage_unreachable',
    /closed by remote/,
  ],
  ['Received disconnect from 10.0.0.7 port 22:2: Too many authentication failures', 'sftp_login', /Too many/],
  ['Load key "/k": error in libcrypto\nada@nas: Permission denied (publickey).', 'sftp_login', /; Load key/],
  ['Unable to negotiate with 10.0.0.7 port 22: no matching host key type found.', 'sftp_ssh', /Unable to/],
  ['Bad owner or permissions on /home/ada/.ssh/config', 'sftp_ssh', /Bad owner/],
];

for (const [said, name, message] of words) {
  test(`"${said}" is ${name}`, async () => {
    await using place = await temporaryDirectory();
    const ssh = join(place.path, 'ssh');
    await writeFile(ssh, `#!/bin/sh\ncat >&2 <<'END'\n${said}\nEND\nexit 255\n`, { mode: 0o755 });
    const settings = sftpSchema.parse({ ssh });
    const options = { create: false, clock: systemClock, settings, env: {}, attempts: 1 };
    const opening = openSftpStorage(parseSftpLocation('sftp://ada@nas/b'), options);
    const error: HoldfastError = await rejectsWith(name, opening);
    assert.match(error.message, message);
  });
}

test(
  'a login that the server turns away is done without, once there is one that works',
  { skip },
  async () => {
    await using server = await startSftpServer();
    const storage = await open(server, { connections: 8 });
    await storage.put('one', pattern(10, 1));
    const before = server.connections;
    server.turnAway();
    await Promise.all(Array.from({ length: 12 }, () => storage.get('one')));
    assert.equal(server.connections, before);
    await storage.close();
  },
);

test('a server that turns the first login away is asked again', { skip }, async () => {
  await using server = await startSftpServer();
  await using place = await temporaryDirectory();
  const ssh = join(place.path, 'ssh');
  const tried = join(place.path, 'tried');
  const turnAway = 'echo "kex_exchange_identification: Connection closed by remote host" >&2; exit 255';
  const script = `#!/bin/sh\nif mkdir ${tried} 2>/dev/null; then ${turnAway}; fi\nexec ssh "$@"\n`;
  await writeFile(ssh, script, { mode: 0o755 });
  const options = {
    create: true,
    clock: systemClock,
    settings: { ...server.settings, ssh },
    env: server.env,
  };
  await rejectsWith(
    'storage_unreachable',
    openSftpStorage(server.at(server.directory), { ...options, attempts: 1 }),
  );
  await rm(tried, { recursive: true });
  const storage = await openSftpStorage(server.at(server.directory), options);
  await storage.put('one', pattern(10, 1));
  await storage.close();
});

test('a process that forgets to close ends all the same, and its ssh with it', { skip }, async () => {
  await using server = await startSftpServer();
  await (await open(server)).close();
  const { port, user, directory, settings, env } = server;
  const code = `
    import { systemClock } from './src/kernel/clock.ts';
    import { parseSftpLocation } from './src/storage/sftp/location.ts';
    import { openSftpStorage } from './src/storage/sftp/open.ts';
    const { location, settings, env } = JSON.parse(process.argv[1]);
    const storage = await openSftpStorage(parseSftpLocation(location), { create: false, clock: systemClock, settings, env });
    await storage.put('from/child', Buffer.from('x'));
  `;
  const given = JSON.stringify({ location: `sftp://${user}@127.0.0.1:${port}${directory}`, settings, env });
  const args = ['--disable-warning=ExperimentalWarning', '--input-type=module-typescript', '-e', code, given];
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'inherit', 'inherit'] });
  const [status] = (await once(child, 'exit')) as [number | null];
  assert.equal(status, 0);
  await server.untilIdle();
});
