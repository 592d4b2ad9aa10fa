import type { SftpConfig } from '../../contract/config-sftp.ts';
import { failure, type HoldfastError } from '../../kernel/errors/failure.ts';
import { redact } from '../../kernel/redact.ts';
import { defaultKey, sshTargetText, type SftpLocation } from './location.ts';

/** A place, and how ssh is to get there. */
export interface SshRoute extends SftpLocation {
  readonly settings: SftpConfig;
  /** The environment that ssh gets: its agent's socket, PATH. */
  readonly env: Readonly<Record<string, string | undefined>>;
}

/**
 * The words of the command line. The first value of an option is the one that counts, and those of the command line
 * before those of files: what must hold comes first, then what the user says, then what is good when nobody says.
 */
export function sshArguments({ target, settings }: SshRoute): string[] {
  const musts = [
    'BatchMode=yes',
    'RequestTTY=no',
    'RemoteCommand=none',
    'PermitLocalCommand=no',
    'LogLevel=ERROR',
  ];
  const chosen: string[] = [];
  if (settings.identity_file !== undefined)
    chosen.push(`IdentityFile=${quoted(settings.identity_file)}`, 'IdentitiesOnly=yes');
  if (settings.known_hosts_file !== undefined)
    chosen.push(`UserKnownHostsFile=${quoted(settings.known_hosts_file)}`);
  const seconds = Math.max(1, Math.ceil(settings.connect_timeout / 1000));
  const wishes = [`ConnectTimeout=${seconds}`, 'ServerAliveInterval=15', 'ServerAliveCountMax=3'];
  // Forwards of a Host would fail where a second connection asks for the same port.
  const options = [...musts, ...chosen, ...settings.options, ...wishes, 'ClearAllForwardings=yes'];
  return [
    ...(settings.config_file === undefined ? [] : ['-F', settings.config_file]),
    ...options.flatMap((option) => ['-o', option]),
    '-a',
    '-x',
    ...(target.port === undefined ? [] : ['-p', String(target.port)]),
    ...(target.user === undefined ? [] : ['-l', target.user]),
    '-s',
    '--',
    target.host,
    'sftp',
  ];
}

/** A path as ssh reads it in an option: spaces kept, and % with no meaning. */
function quoted(path: string): string {
  return `"${path.replaceAll(/(["\\])/g, String.raw`\$1`).replaceAll('%', '%%')}"`;
}

/** Without what is ours alone: a ProxyCommand needs no passphrase. Messages in English, as they are read below. */
export function sshEnvironment({ env }: SshRoute): Record<string, string> {
  const kept = Object.entries(env).filter(
    (entry): entry is [string, string] => entry[1] !== undefined && !entry[0].startsWith('HOLDFAST_'),
  );
  return { ...Object.fromEntries(kept), LC_ALL: 'C', SSH_ASKPASS_REQUIRE: 'never' };
}

/** The error for a program that could not be started. */
export function cannotStart(route: SshRoute, error: Error): HoldfastError {
  const command = route.settings.ssh;
  const missing = (error as NodeJS.ErrnoException).code === 'ENOENT';
  const params = {
    location: route.shown,
    command,
    reason: missing ? 'there is no such program here' : error.message,
    mend: 'install OpenSSH (Debian: apt-get install openssh-client), or set sftp.ssh to its path',
  };
  return failure('sftp_ssh', params, { cause: error });
}

/** The error for a connection that ended, by what ssh said on its standard error. */
export function sshFailure(route: SshRoute, stderr: string, ending: string): HoldfastError {
  const said = lastLine(stderr);
  return (
    hostKeyFailure(route, stderr) ??
    loginFailure(route, stderr, said) ??
    setupFailure(route, stderr, said) ??
    failure('storage_unreachable', { location: route.shown, reason: said ?? ending })
  );
}

function hostKeyFailure(route: SshRoute, stderr: string): HoldfastError | undefined {
  const { host, port } = route.target;
  const login = loginCommand(route);
  if (/IDENTIFICATION HAS CHANGED|REVOKED HOST KEY|DNS SPOOFING|Host certificate .*expired/.test(stderr)) {
    const fingerprint = /SHA256:[\w+/]+/.exec(stderr)?.[0];
    const reason = fingerprint === undefined ? 'ssh refuses it' : `it shows ${fingerprint}`;
    const entry = port === undefined || port === 22 ? host : `"[${host}]:${port}"`;
    return failure('sftp_host_key_changed', { host, reason, entry, login });
  }
  if (/Host key verification failed|No \S+ host key is known/.test(stderr))
    return failure('sftp_host_key_unknown', { host, login });
  return undefined;
}

function loginFailure(route: SshRoute, stderr: string, said = ''): HoldfastError | undefined {
  const refused =
    /Permission denied|Too many authentication failures|UNPROTECTED PRIVATE KEY|no mutual signature|account is locked|Authentication failed/i;
  if (!refused.test(stderr)) return undefined;
  const { settings, target } = route;
  const unusable = /^(?:Load key .*|no such identity.*|Identity file .*|sign_and_send_pubkey.*)$/im.exec(
    stderr,
  )?.[0];
  const openRights = /UNPROTECTED PRIVATE KEY/.test(stderr) ? 'others may read the private key' : undefined;
  const why = [said, openRights ?? unusable].filter((text) => text !== undefined && text !== '').join('; ');
  const params = {
    host: target.host,
    reason: redact(why),
    key: settings.identity_file ?? defaultKey,
    target: `${target.port === undefined ? '' : `-p ${target.port} `}${sshTargetText(target)}`,
    login: loginCommand(route),
  };
  return failure('sftp_login', params);
}

function setupFailure(route: SshRoute, stderr: string, said = ''): HoldfastError | undefined {
  const { target, settings, shown: location } = route;
  if (/subsystem request failed|PTY allocation request failed.*subsystem/i.test(stderr))
    return notSftp(route, 'it has no subsystem of that name');
  if (/Could not resolve hostname .*(?:not known|No address|nodename nor servname)/i.test(stderr))
    return failure('sftp_host_name', { host: target.host, reason: said, location });
  const wrongSetup =
    /Bad configuration option|Bad owner or permissions|command-line line \d+|Can't open user conf|terminating, \d+ bad|Unable to negotiate|unknown option|extra arguments|Unsupported option|Bad \S+ argument/i;
  if (!wrongSetup.test(stderr)) return undefined;
  const mend = `mend the configuration of ssh (sftp.options, ~/.ssh/config) until this works: ${loginCommand(route)}`;
  return failure('sftp_ssh', { location, command: settings.ssh, reason: said, mend });
}

/** What answered is no server of SFTP. */
export function notSftp(route: SshRoute, reason: string): HoldfastError {
  return failure('sftp_no_subsystem', { host: route.target.host, reason, login: loginCommand(route) });
}

/** For people to type: what Holdfast does, by hand. */
function loginCommand({ target, settings }: SshRoute): string {
  const words = ['sftp'];
  if (settings.config_file !== undefined) words.push(`-F ${settings.config_file}`);
  if (settings.identity_file !== undefined) words.push(`-i ${settings.identity_file}`);
  if (settings.known_hosts_file !== undefined)
    words.push(`-o UserKnownHostsFile=${settings.known_hosts_file}`);
  if (target.port !== undefined) words.push(`-P ${target.port}`);
  const host = target.host.includes(':') ? `[${target.host}]` : target.host;
  return [...words, sshTargetText({ user: target.user, host })].join(' ');
}

function lastLine(stderr: string): string | undefined {
  const lines = stderr.split(/[\r\n]+/).filter((line) => line.trim() !== '');
  return lines.at(-1)?.trim();
}
