import { chmod, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { failure, reasonOf } from '../../kernel/errors/failure.ts';
import type { AppContext } from '../compose.ts';
import { guardDirectory } from '../local-postgres/guard.ts';
import { reachableTemp, serverUser, type ServerUser } from '../local-postgres/server-user.ts';
import { dataDirectoryOf, startLocalServer, type LocalServer } from '../local-postgres/server.ts';
import type { Machine } from '../machine.ts';
import { slotOf } from '../wal/slot.ts';
import { clientTools, type ClientTools } from './client-tools.ts';
import { chooseServer } from './server-choice.ts';

/** Where the demo plays: a directory with everything in it, and a server. Removed by `await using`. */
export interface Stage extends AsyncDisposable {
  readonly directory: string;
  readonly server: LocalServer;
  readonly tools: ClientTools;
  /** Of the database `shop`, without the password, which is in PGPASSWORD. */
  readonly url: string;
  /** A SQLite database and a directory, which are not there yet. */
  readonly sessions: string;
  readonly uploads: string;
  /** What a user sets to play on; nothing else matters. */
  readonly variables: Readonly<Record<string, string>>;
  /** The machine as the commands of the demo see it: without the user's own settings and places. */
  readonly machine: Machine;
  /** Disposing does nothing from now on, nor does the end of this process. */
  leave(): void;
}

/** Speed is what counts for a server that lives for a minute; and that its WAL can be streamed. */
const settings: Readonly<Record<string, string>> = {
  autovacuum: 'off',
  jit: 'off',
  max_wal_size: '4GB',
  shared_buffers: '128MB',
  synchronous_commit: 'off',
  // Whoever turns synchronous_commit on waits for the stream to have stored the commit.
  synchronous_standby_names: slotOf('cluster', {}),
  // A long temporary directory would make the path of a socket too long.
  unix_socket_directories: '',
  wal_level: 'replica',
};

export async function setStage(context: AppContext): Promise<Stage> {
  const { machine, signal } = context;
  const tools = await clientTools(context);
  await using cleanup = new AsyncDisposableStack();
  const { directory, user } = await makeDirectory();
  const base = join(directory, 'server');
  const guard = guardDirectory(directory, dataDirectoryOf(base));
  cleanup.defer(async () => {
    await rm(directory, { recursive: true, force: true, maxRetries: 10, retryDelay: 50 });
    guard.release();
  });
  const server = cleanup.use(await startServer(directory, base, tools, user, machine));
  signal.throwIfAborted();
  // Whatever a query waits for, it fails then.
  const onAbort = (): void => void server.stop('immediate');
  signal.addEventListener('abort', onAbort, { once: true });
  cleanup.defer(() => signal.removeEventListener('abort', onAbort));
  const variables = await furnish(directory, server);
  const stacked = cleanup.move();
  let left = false;
  return {
    directory,
    server,
    tools,
    url: variables.DATABASE_URL,
    sessions: join(directory, 'data', 'sessions.db'),
    uploads: join(directory, 'uploads'),
    variables,
    machine: { ...machine, env: environment(machine, directory, variables), cwd: directory, home: directory },
    leave: () => {
      left = true;
      signal.removeEventListener('abort', onAbort);
      server.leaveRunning();
      guard.disarm();
    },
    [Symbol.asyncDispose]: async () => {
      if (!left) await stacked.disposeAsync();
    },
  };
}

/** A new directory of mode 0711: the server's user may pass through to its own, and nobody sees what is there. */
async function makeDirectory(): Promise<{ directory: string; user: ServerUser | undefined }> {
  try {
    const user = serverUser();
    const directory = await mkdtemp(join(reachableTemp(user, tmpdir()), 'holdfast-demo-'));
    await chmod(directory, 0o711);
    return { directory, user };
  } catch (error) {
    throw failure('demo_server_failed', { reason: reasonOf(error) }, { cause: error });
  }
}

async function startServer(
  directory: string,
  base: string,
  tools: ClientTools,
  user: ServerUser | undefined,
  machine: Machine,
): Promise<LocalServer> {
  const binaries = chooseServer(tools.major, user, directory);
  const path = machine.env['PATH'];
  try {
    await mkdir(base);
    return await startLocalServer({ binaries, user, base, settings, guarded: true, path });
  } catch (error) {
    const reason = reasonOf(error).trim().split('\n').slice(-3).join(' ');
    throw failure('demo_server_failed', { reason }, { cause: error });
  }
}

function configuration(url: string): string {
  // The server that recovers runs holdfast as well, and has none of our variables.
  return `# What the shop of the demo backs up, and where to. Paths are relative to this file.
repository: backups
sources:
  shop:
    type: postgres
    url: ${url}
  sessions:
    type: sqlite
    paths: [data/sessions.db]
  uploads:
    type: files
    paths: [uploads]
  cluster:
    type: postgres-cluster
    url: ${url}
    data_directory: ${dataDirectoryOf('server')}
`;
}

async function furnish(directory: string, server: LocalServer) {
  const temp = join(directory, 'tmp');
  // What the server's user needs may be copied to there.
  await mkdir(temp, { mode: 0o711 });
  const url = `postgres://${server.superuser}@127.0.0.1:${server.port}/shop`;
  await mkdir(join(directory, 'data'), { mode: 0o700 });
  await writeFile(join(directory, 'holdfast.yaml'), configuration(url));
  return {
    DATABASE_URL: url,
    PGPASSWORD: server.password,
    HOLDFAST_TEMP_DIRECTORY: temp,
    XDG_CACHE_HOME: join(directory, 'cache'),
    XDG_CONFIG_HOME: join(directory, 'config'),
    XDG_STATE_HOME: join(directory, 'state'),
  };
}

function environment(
  { env }: Machine,
  home: string,
  variables: Readonly<Record<string, string>>,
): Machine['env'] {
  const kept = ['PATH', 'LANG', 'LC_ALL', 'LD_LIBRARY_PATH', 'TZ'];
  return { ...Object.fromEntries(kept.map((name) => [name, env[name]])), ...variables, HOME: home };
}
