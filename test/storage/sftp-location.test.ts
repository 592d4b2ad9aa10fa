import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { test } from 'node:test';
import { sftpSchema } from '../../src/contract/config-sftp.ts';
import { isFailure } from '../../src/kernel/errors/failure.ts';
import { parseSftpLocation, type SftpLocation } from '../../src/storage/sftp/location.ts';
import { sshArguments, sshEnvironment } from '../../src/storage/sftp/ssh.ts';
import { withoutSftpServer } from '../../testing/sftp-server.ts';

type Expected = readonly [user: string | undefined, host: string, port: number | undefined, path: string];

const good: Readonly<Record<string, Expected>> = {
  'sftp://ada@nas.example.com:2222/srv/backups': ['ada', 'nas.example.com', 2222, '/srv/backups'],
  'sftp://nas/srv/backups/': ['', 'nas', undefined, '/srv/backups'],
  'SFTP://nas/~/backups': ['', 'nas', undefined, 'backups'],
  'sftp://ada@nas/~': ['ada', 'nas', undefined, '.'],
  'sftp://nas/': ['', 'nas', undefined, '/'],
  'sftp://[2001:db8::7]:22/b': ['', '2001:db8::7', 22, '/b'],
  'sftp://[::1]/b': ['', '::1', undefined, '/b'],
  'sftp://ada%40corp@my_nas/a%20b%23': ['ada@corp', 'my_nas', undefined, '/a b#'],
  'sftp://nas/with@sign/b': ['', 'nas', undefined, '/with@sign/b'],
};

for (const [location, [user, host, port, path]] of Object.entries(good)) {
  test(`${location} is understood`, () => {
    const place = parseSftpLocation(location);
    assert.deepEqual(place.target, { user: user === '' ? undefined : user, host, port });
    assert.equal(place.path, path);
  });
}

test('a location is shown as it is given, and leads to the same place again', () => {
  for (const location of [
    'sftp://ada@nas.example.com:2222/srv/b',
    'sftp://[::1]/b',
    'sftp://nas/~/b',
    'sftp://nas/~',
  ]) {
    assert.equal(parseSftpLocation(location).shown, location);
  }
});

const bad: readonly string[] = [
  'sftp:nas/b',
  'sftp://',
  'sftp:///b',
  'sftp://nas',
  'sftp://nas:0/b',
  'sftp://nas:ssh/b',
  'sftp://nas:70000/b',
  'sftp://-oProxyCommand=x/b',
  'sftp://@nas/b',
  'sftp://-l@nas/b',
  'sftp://a%24(x)@nas/b',
  'sftp://na%20s/b',
  'sftp://nas/b?x',
  'sftp://nas/b#x',
  'sftp://nas/%zz',
  'sftp://nas/a%00b',
];

for (const location of bad) {
  test(`${location} is refused with storage_url`, () =>
    assert.equal(refusal(location).errorName, 'storage_url'));
}

test('a password in a location is refused, not repeated, and the way to a key is shown', () => {
  const error = refusal('sftp://ada:hunter2@nas/b');
  assert.equal(error.errorName, 'sftp_password');
  assert.ok(!JSON.stringify(error).includes('hunter2'));
  assert.match(error.hint, /ssh-keygen .*ssh-copy-id -i \S+ ada@nas$/);
});

function refusal(location: string) {
  try {
    parseSftpLocation(location);
  } catch (error) {
    if (isFailure(error)) return error;
    throw error;
  }
  return assert.fail(`${location} was accepted`);
}

test('ssh understands what it is told', { skip: withoutSftpServer() }, () => {
  const settings = sftpSchema.parse({
    identity_file: '/keys/my key 100%',
    known_hosts_file: '/keys/known "hosts"',
    config_file: '/dev/null',
    options: ['ServerAliveInterval=7', 'BatchMode=no', 'ProxyJump=bastion'],
    connect_timeout: '1500ms',
  });
  const place: SftpLocation = parseSftpLocation('sftp://ada@nas:2222/b');
  const args = sshArguments({ ...place, settings, env: {} });
  const told = execFileSync('ssh', ['-G', ...args], { encoding: 'utf8' }).split('\n');
  for (const line of [
    'user ada',
    'hostname nas',
    'port 2222',
    'batchmode yes',
    'requesttty false',
    'permitlocalcommand no',
    'identitiesonly yes',
    'identityfile /keys/my key 100%%',
    'userknownhostsfile /keys/known "hosts"',
    'serveraliveinterval 7',
    'serveralivecountmax 3',
    'connecttimeout 2',
    'proxyjump bastion',
    'forwardagent no',
    'forwardx11 no',
  ]) {
    assert.ok(told.includes(line), `${line} is not in ${told.join('\n')}`);
  }
});

test('ssh gets the agent, and nothing that is ours', () => {
  const place = parseSftpLocation('sftp://nas/b');
  const env = { SSH_AUTH_SOCK: '/run/agent', HOLDFAST_PASSPHRASE: 'hunter2', LC_ALL: 'de_DE', PATH: '/bin' };
  assert.deepEqual(sshEnvironment({ ...place, settings: sftpSchema.parse({}), env }), {
    SSH_AUTH_SOCK: '/run/agent',
    PATH: '/bin',
    LC_ALL: 'C',
    SSH_ASKPASS_REQUIRE: 'never',
  });
});
