import { stat } from 'node:fs/promises';
import { createServer } from 'node:net';
import { failure } from '../../kernel/errors/failure.ts';
import type { Secret } from '../../kernel/secret.ts';
import type { FileOwner, RecoverySettings } from '../../sources/postgres-cluster/restore/options.ts';
import { socketPorts } from '../../sources/postgres-cluster/restore/socket-ports.ts';
import { startRestoredCluster, type Started } from '../../sources/postgres-cluster/restore/start.ts';
import type { App } from '../compose.ts';
import { systemServers, type PostgresBinaries } from '../local-postgres/binaries.ts';
import { embeddedMajors, embeddedServer } from '../local-postgres/embedded.ts';
import { reachableTemp, serverUser } from '../local-postgres/server-user.ts';

/** What is needed to start what will be restored. */
export interface StartPlan {
  readonly binaries: PostgresBinaries;
  /** Who the server will run as; null: ourselves. */
  readonly owner: FileOwner | null;
}

/** A recovery may have days of WAL to replay. */
const longestMs = 7 * 86_400_000;
/** The path of a socket has room for about a hundred bytes, its name included. */
const longestSocketDirectory = 85;
const portAttempts = 20;

/** Looks before anything is restored whether it can be started here. `cluster_start_impossible`. */
export async function planStart(app: App, target: string, major: number): Promise<StartPlan> {
  const owner = await ownerFor(target);
  const user = owner ?? undefined;
  const system = systemServers(user).find((server) => server.major === major);
  if (system !== undefined) return { binaries: system, owner };
  const known = embeddedMajors.find((one) => one === major);
  const copies = reachableTemp(user, app.directories.temp);
  const embedded = known === undefined ? '' : embeddedServer(known, user, copies);
  if (typeof embedded !== 'string') return { binaries: embedded, owner };
  throw failure('cluster_start_impossible', { major });
}

/** Of root, whoever has the directory already, else the user that servers run as: PostgreSQL refuses to run as root. */
async function ownerFor(target: string): Promise<FileOwner | null> {
  if (process.geteuid?.() !== 0) return null;
  const there = await stat(target).catch(() => undefined);
  if (there !== undefined && there.uid !== 0) return { uid: there.uid, gid: there.gid };
  return serverUser() ?? null;
}

/** Starts the server and waits until it has come to its target. */
export async function startServer(
  app: App,
  { binaries, owner }: StartPlan,
  target: {
    readonly directory: string;
    readonly port: number;
    readonly recovery: RecoverySettings;
    readonly typedPassphrase: Secret | null;
  },
): Promise<Started> {
  const { directory, recovery } = target;
  const port = await portFor(target.port);
  const sockets = directory.length > longestSocketDirectory ? '' : directory;
  return await startRestoredCluster({
    binDirectory: binaries.binDirectory,
    directory,
    log: `${directory}.log`,
    owner,
    recovery,
    settings: { port: String(port), unix_socket_directories: sockets },
    connection: null,
    environment: environmentFor(app, target.typedPassphrase),
    timeoutMs: longestMs,
    signal: app.signal,
    now: () => app.machine.clock.now(),
  });
}

/** What the server, and the commands it runs to get its WAL, need; secrets go no other way. */
function environmentFor(app: App, typed: Secret | null): Record<string, string> {
  const environment: Record<string, string> = { LC_ALL: 'C' };
  for (const name of ['PATH', 'HOME', 'TMPDIR', 'LD_LIBRARY_PATH', 'NODE_COMPILE_CACHE']) {
    const value = app.env[name];
    if (value !== undefined) environment[name] = value;
  }
  for (const [name, value] of Object.entries(app.env))
    if (goesAlong(name) && value !== undefined) environment[name] = value;
  const passphrase = app.config.encryption.passphrase ?? typed;
  if (passphrase !== null) environment['HOLDFAST_PASSPHRASE'] = passphrase.reveal();
  return environment;
}

/** How the repository and its copies are reached may be told by variables of other programs. */
function goesAlong(name: string): boolean {
  const ours = /^(?:HOLDFAST_|XDG_|AWS_|AZURE_STORAGE_|GOOGLE_APPLICATION_CREDENTIALS$|SSH_AUTH_SOCK$)/;
  return ours.test(name) || /^(?:https?_proxy|no_proxy|NODE_EXTRA_CA_CERTS)$/i.test(name);
}

/**
 * That port, or another one when it is taken: for TCP, or by a server that listens on a socket in any directory. Two servers
 * of one number are told apart by nothing but the directory, and who forgets it comes to the wrong one.
 */
export async function portFor(wanted: number): Promise<number> {
  const taken = await socketPorts();
  if (!taken.has(wanted) && (await listening(wanted)) !== undefined) return wanted;
  for (let attempt = 0; attempt < portAttempts; attempt += 1) {
    const port = await listening(0);
    if (port !== undefined && !taken.has(port)) return port;
  }
  return wanted;
}

async function listening(port: number): Promise<number | undefined> {
  const server = createServer();
  try {
    return await new Promise((resolve) => {
      server.once('error', () => resolve(undefined));
      server.listen(port, () => {
        const address = server.address();
        resolve(typeof address === 'object' && address !== null ? address.port : undefined);
      });
    });
  } finally {
    await new Promise((resolve) => server.close(resolve));
  }
}
