import { failure } from '../../kernel/errors/failure.ts';

/** A directory on a server, as a location names it. */
export interface SftpLocation {
  /** For people, without a password: `sftp://ada@host:2222/srv/backups`. */
  readonly shown: string;
  readonly target: SshTarget;
  /** Absolute, or relative to where the server starts after a login: most often the home directory. */
  readonly path: string;
}

export interface SshTarget {
  /** Undefined: what the configuration of ssh says. */
  readonly user: string | undefined;
  /** A name, an address, or a Host of the configuration of ssh. */
  readonly host: string;
  readonly port: number | undefined;
}

const form = /^sftp:\/\/(?:([^/]*)@)?(\[[^\]]*\]|[^/:@[\]]*)(?::([^/]*))?(\/.*)?$/is;

/** A name, or an address of version 6, with a zone perhaps. */
const hostName = /^[a-z0-9_][a-z0-9._-]*$|^(?=.*:)[0-9a-f:.]+(?:%[a-z0-9._-]+)?$/i;

/** What ssh, and whatever its ProxyCommand hands these to, could take for something else than a name. */
const strangeUser = /^-|[\s'"`$\\;&<>|(){}]|\p{Cc}/u;

/**
 * Takes `sftp://user@host:port/absolute/path` and `sftp://user@host/~/relative` apart; user and port may be left out.
 * Throws `storage_url`, and `sftp_password` where a password is in it.
 */
export function parseSftpLocation(location: string): SftpLocation {
  const [matched, login, bareHost, portText, pathText] = form.exec(location) ?? [];
  const hidden = `sftp://${location.replace(/^sftp:\/{0,2}/i, '').replace(/^.*@/s, '')}`;
  const refuse = (reason: string): Error => failure('storage_url', { location: hidden, reason });
  if (matched === undefined || bareHost === undefined)
    throw refuse('it is not of the form sftp://user@host:port/path or sftp://user@host/~/path');
  const host = bareHost.replace(/^\[(.*)\]$/, '$1');
  if (!hostName.test(host)) throw refuse(`"${host}" is no name of a host`);
  if (login?.includes(':') === true) {
    const target = sshTargetText({ user: login.split(':')[0], host });
    throw failure('sftp_password', { location: hidden, key: defaultKey, target });
  }
  const user = login === undefined ? undefined : decoded(login, refuse);
  if (user !== undefined && (user === '' || strangeUser.test(user)))
    throw refuse('its user is no name of a user');
  const port = portText === undefined ? undefined : Number(portText);
  if (port !== undefined && !(/^\d+$/.test(portText ?? '') && port >= 1 && port <= 65_535))
    throw refuse('its port is no number from 1 to 65535');
  const path = pathOf(pathText, refuse);
  const shownPath = path.startsWith('/') ? path : `/~${path === '.' ? '' : `/${path}`}`;
  const at = `${user === undefined ? '' : `${user}@`}${bareHost}${port === undefined ? '' : `:${port}`}`;
  return { shown: `sftp://${at}${shownPath}`, target: { user, host, port }, path };
}

function pathOf(text: string | undefined, refuse: (reason: string) => Error): string {
  if (text === undefined)
    throw refuse('it names no directory; write /path, or /~/path for one below the home directory');
  if (/[?#]/.test(text)) throw refuse('? and # have no meaning here; write them as %3F and %23');
  const path = decoded(text, refuse).replace(/(?<=.)\/+$/, '');
  if (path.includes('\0')) throw refuse('it holds a zero byte');
  if (path === '/~') return '.';
  return path.startsWith('/~/') ? path.slice(3).replace(/^\/+/, '') : path;
}

function decoded(text: string, refuse: (reason: string) => Error): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw refuse('a % in it is not followed by two hexadecimal digits; write % as %25');
  }
}

/** For hints. */
export const defaultKey = '~/.ssh/id_ed25519';

/** As `ssh` and `ssh-copy-id` take it. */
export function sshTargetText({ user, host }: Pick<SshTarget, 'host' | 'user'>): string {
  return user === undefined ? host : `${user}@${host}`;
}
