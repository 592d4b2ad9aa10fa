import { access, constants, readdir, realpath } from 'node:fs/promises';
import { basename, delimiter, join } from 'node:path';
import { failure } from '../kernel/errors/failure.ts';
import { runChild } from './child.ts';
import type { Environment } from './connection/connection.ts';

export const toolNames = ['pg_dump', 'pg_dumpall', 'pg_restore', 'psql'] as const;
export type ToolName = (typeof toolNames)[number];

/** One installation of the client tools. */
export interface Tools {
  readonly directory: string;
  /** As `pg_dump --version` prints it: `15.18`, `17beta1`. */
  readonly version: string;
  readonly major: number;
}

export interface ToolSearch {
  readonly env: Environment;
  readonly signal: AbortSignal;
  /** When the user names a directory, only that one counts. */
  readonly directory?: string | undefined;
}

/** `tool` in that installation, ready to be started. */
export function toolPath(tools: Tools, tool: ToolName): string {
  return join(tools.directory, tool);
}

/**
 * The installation to use where `neededMajor` is the least that will do: the lowest major that is not older, so that
 * what it writes stays readable for the tools nearest to the server.
 * Throws `postgres_tool_missing` or `postgres_tool_too_old`.
 */
export async function findTools(
  search: ToolSearch,
  tool: ToolName,
  neededMajor: number,
  what: string,
): Promise<Tools> {
  const found = await listTools(search, tool);
  const newest = found.at(-1);
  if (newest === undefined) {
    throw failure('postgres_tool_missing', {
      tool,
      needed: neededMajor,
      install: installCommands(neededMajor),
    });
  }
  const fitting = found.find((tools) => tools.major >= neededMajor);
  if (fitting !== undefined) return fitting;
  throw failure('postgres_tool_too_old', {
    tool,
    found: newest.version,
    needed: neededMajor,
    what,
    install: installCommands(neededMajor),
  });
}

/** Every installation on this machine that has `tool`, oldest major first; PATH before the usual places. */
export async function listTools(search: ToolSearch, tool: ToolName): Promise<Tools[]> {
  const directories =
    search.directory === undefined ? await candidateDirectories(search.env) : [search.directory];
  const found: Tools[] = [];
  for (const directory of new Set(directories)) {
    const version = await versionOf(join(directory, tool), search);
    if (version !== undefined) found.push({ directory, version, major: Number.parseInt(version, 10) });
  }
  return found.toSorted((a, b) => a.major - b.major);
}

/** What to type to get them, for the three families of systems. */
export function installCommands(major: number): string {
  return `apt install postgresql-client-${major} (Debian, Ubuntu), dnf install postgresql${major} (Red Hat), brew install postgresql@${major} (macOS)`;
}

/** `15.18` of `pg_dump (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)`; undefined for anything else. */
export function parseToolVersion(output: string): string | undefined {
  const version = /\(PostgreSQL\)\s+(\d+[\w.]*)/.exec(output)?.[1];
  return version !== undefined && Number.parseInt(version, 10) >= 10 ? version : undefined;
}

async function versionOf(path: string, search: ToolSearch): Promise<string | undefined> {
  try {
    await access(path, constants.X_OK);
    // Debian's wrapper picks a version anew on every call; the real ones are found in their own directories.
    if (basename(await realpath(path)) === 'pg_wrapper') return undefined;
  } catch {
    return undefined; // not there, or not ours to run: the next directory may have it
  }
  const env = { PATH: search.env['PATH'] ?? '', LC_ALL: 'C' };
  const result = await runChild({ command: path, args: ['--version'], env, signal: search.signal });
  return result.code === 0 ? parseToolVersion(result.stdout.toString('utf8')) : undefined;
}

async function candidateDirectories(env: Environment): Promise<string[]> {
  const onPath = (env['PATH'] ?? '').split(delimiter).filter((directory) => directory.startsWith('/'));
  return [
    ...onPath.filter((directory) => !directory.includes('node_modules')),
    ...(await versionedDirectories('/usr/lib/postgresql', /^\d+$/, 'bin')),
    ...(await versionedDirectories('/usr', /^pgsql-\d+$/, 'bin')),
    ...(await versionedDirectories('/opt/homebrew/opt', /^(?:postgresql|libpq)(?:@\d+)?$/, 'bin')),
    ...(await versionedDirectories('/usr/local/opt', /^(?:postgresql|libpq)(?:@\d+)?$/, 'bin')),
    ...(await versionedDirectories('/Applications/Postgres.app/Contents/Versions', /^\d+$/, 'bin')),
    '/usr/local/pgsql/bin',
  ];
}

async function versionedDirectories(parent: string, name: RegExp, below: string): Promise<string[]> {
  try {
    const names = await readdir(parent);
    return names
      .filter((candidate) => name.test(candidate))
      .map((candidate) => join(parent, candidate, below));
  } catch {
    return []; // this system does not put them there
  }
}
