import { execFile, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { appendFile, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer, type Socket } from 'node:net';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { sftpSchema, type SftpConfig } from '../src/contract/config-sftp.ts';
import { parseSftpLocation, type SftpLocation } from '../src/storage/sftp/location.ts';

const run = promisify(execFile);

export interface SftpServerOptions {
  /** What follows `Subsystem sftp`; `internal-sftp` unless given. Null: there is none. */
  readonly subsystem?: string | null;
  /** Further lines of sshd_config. */
  readonly config?: readonly string[];
}

/** OpenSSH's sshd on loopback, with keys and a directory of its own. Ended and removed by `await using`. */
export interface SftpServer extends AsyncDisposable {
  readonly port: number;
  readonly user: string;
  /** An empty directory for the test; everything of the server is beside it. */
  readonly directory: string;
  /** For private keys and known_hosts of the test. */
  readonly keys: string;
  /** Settings with which one is let in. */
  readonly settings: SftpConfig;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** An absolute path on it, as a location. */
  at(path: string): SftpLocation;
  /** Ends every connection at once, as when the server loses its power. New ones are let in. */
  cut(): void;
  /** New connections are closed at once from now on, as when there are too many. */
  turnAway(): void;
  /** Another host key from now on. */
  changeHostKey(): Promise<void>;
  /** The host key is known for another port of this machine, too: that of a proxy. */
  trust(port: number): Promise<void>;
  /** Connections let in so far. */
  readonly connections: number;
  /** Resolves when no connection is open. */
  untilIdle(): Promise<void>;
}

const sshd = '/usr/sbin/sshd';

/** False when the server can be had, else a line saying why not. With `CI` set always false: then the tests fail. */
export function withoutSftpServer(): string | false {
  if ((process.env['CI'] ?? '') !== '' || (existsSync(sshd) && servers.some((path) => existsSync(path))))
    return false;
  return 'skipped: no sshd here (Debian: apt-get install openssh-server)';
}

/**
 * Starts a server. It is our own listener that hands each connection to a process `sshd -i`: so the port is free for
 * certain, and nothing is left behind when a test is killed, as those end with their connections.
 */
export async function startSftpServer(options: SftpServerOptions = {}): Promise<SftpServer> {
  const base = await mkdtemp(join(tmpdir(), 'holdfast-sftp-'));
  const [keys, directory, config] = [join(base, 'keys'), join(base, 'files'), join(base, 'sshd_config')];
  await mkdir(keys);
  await mkdir(directory);
  // As root sshd wants its place for separated privileges, which the service of the system makes when it starts.
  const isRoot = process.geteuid?.() === 0;
  if (isRoot) await mkdir('/run/sshd', { recursive: true, mode: 0o755 });
  for (const name of ['host', 'user']) await makeSshKey(join(keys, name));
  const lines = [
    `HostKey ${join(keys, 'host')}`,
    `AuthorizedKeysFile ${join(keys, 'user.pub')}`,
    // An ordinary user's sshd cannot read /etc/shadow and takes accounts for locked, unless PAM looks for it.
    `UsePAM ${isRoot ? 'no' : 'yes'}`,
    'StrictModes no',
    'PermitRootLogin yes',
    'PasswordAuthentication no',
    'KbdInteractiveAuthentication no',
    'UseDNS no',
    'PidFile none',
    ...(options.config ?? []),
  ];
  const { subsystem = 'internal-sftp' } = options;
  if (subsystem !== null) lines.push(`Subsystem sftp ${subsystem}`);
  await writeFile(config, `${lines.join('\n')}\n`);
  const listener = new Listener(config);
  const port = await listener.start();
  await trustHostKey(keys, port);
  const user = userInfo().username;
  const settings = sftpSchema.parse({
    identity_file: join(keys, 'user'),
    known_hosts_file: join(keys, 'known_hosts'),
    // Neither what this machine is set up for, nor keys of people.
    config_file: '/dev/null',
    options: ['IdentityAgent=none', 'GlobalKnownHostsFile=/dev/null'],
    connections: 2,
  });
  return {
    port,
    user,
    directory,
    keys,
    settings,
    env: { PATH: process.env['PATH'], HOME: base },
    at: (path) => parseSftpLocation(`sftp://${user}@127.0.0.1:${port}${path}`),
    cut: () => listener.cut(),
    turnAway: () => {
      listener.isFull = true;
    },
    changeHostKey: async () => {
      await rm(join(keys, 'host'));
      await makeSshKey(join(keys, 'host'));
    },
    trust: (other) => trustHostKey(keys, other),
    untilIdle: () => listener.untilIdle(),
    get connections() {
      return listener.connections;
    },
    [Symbol.asyncDispose]: async () => {
      await listener.stop();
      await rm(base, { recursive: true, force: true, maxRetries: 5, retryDelay: 50 });
    },
  };
}

const servers = [
  '/usr/lib/openssh/sftp-server',
  '/usr/libexec/openssh/sftp-server',
  '/usr/lib/ssh/sftp-server',
];

export interface DirectSftpServer extends AsyncDisposable {
  /** An empty directory for the test. */
  readonly directory: string;
  /** Settings whose `ssh` is the server itself: nothing to log in to, which takes most of the time of a small test. */
  readonly settings: SftpConfig;
  readonly env: Readonly<Record<string, string | undefined>>;
  at(path: string): SftpLocation;
}

/**
 * OpenSSH's sftp-server without ssh around it. `flags` are its own: `-P fsync` hides an extension, `-R` allows no
 * writes. `before`: commands of the shell that starts it.
 */
export async function directSftpServer(flags = '', before = ''): Promise<DirectSftpServer> {
  const server = servers.find((path) => existsSync(path));
  if (server === undefined)
    throw new Error('no sftp-server here (Debian: apt-get install openssh-sftp-server)');
  const base = await mkdtemp(join(tmpdir(), 'holdfast-sftp-'));
  const [directory, ssh] = [join(base, 'files'), join(base, 'ssh')];
  await mkdir(directory);
  await writeFile(ssh, `#!/bin/sh\n${before}\nexec ${server} ${flags}\n`, { mode: 0o755 });
  return {
    directory,
    settings: sftpSchema.parse({ ssh, connections: 2 }),
    env: {},
    at: (path) => parseSftpLocation(`sftp://direct${path}`),
    [Symbol.asyncDispose]: () => rm(base, { recursive: true, force: true, maxRetries: 5, retryDelay: 50 }),
  };
}

class Listener {
  readonly #config: string;
  readonly #processes = new Set<ChildProcess>();
  readonly #server = createServer({ pauseOnConnect: true }, (socket) => this.#serve(socket));
  connections = 0;
  isFull = false;

  constructor(config: string) {
    this.#config = config;
  }

  async start(): Promise<number> {
    this.#server.listen(0, '127.0.0.1');
    await once(this.#server, 'listening');
    return (this.#server.address() as { port: number }).port;
  }

  /** The whole group of each: it is a process of the group that holds the connection. */
  cut(): void {
    for (const { pid } of this.#processes) {
      try {
        if (pid !== undefined) process.kill(-pid, 'SIGKILL');
      } catch {
        // It has just ended.
      }
    }
  }

  async untilIdle(): Promise<void> {
    await Promise.all([...this.#processes].map((child) => once(child, 'exit')));
  }

  async stop(): Promise<void> {
    this.#server.close();
    const idle = this.untilIdle();
    this.cut();
    await idle;
  }

  #serve(socket: Socket): void {
    if (this.isFull) return void socket.destroy();
    this.connections += 1;
    const args = ['-i', '-f', this.#config];
    const child = spawn(sshd, args, { stdio: [socket, socket, 'ignore'], detached: true });
    this.#processes.add(child);
    child.on('error', () => this.#processes.delete(child));
    child.on('exit', () => this.#processes.delete(child));
    // It is the process that holds the connection from now on.
    socket.destroy();
  }
}

/** A private key without a passphrase, and the public one beside it. */
export async function makeSshKey(path: string): Promise<void> {
  await run('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-C', 'test', '-f', path]);
}

async function trustHostKey(keys: string, port: number): Promise<void> {
  const key = await readFile(join(keys, 'host.pub'), 'utf8');
  await appendFile(join(keys, 'known_hosts'), `[127.0.0.1]:${port} ${key}`);
}
