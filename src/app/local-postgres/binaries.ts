import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { canReach, type ServerUser } from './server-user.ts';

export interface PostgresBinaries {
  readonly major: number;
  readonly origin: 'system' | 'embedded';
  /** Holds `initdb`, `pg_ctl` and `postgres`; client tools only when `origin` is `system`. */
  readonly binDirectory: string;
}

/** The servers installed on this machine that `user` can execute, newest first. */
export function systemServers(user: ServerUser | undefined): PostgresBinaries[] {
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
    .flatMap((binDirectory) => {
      const major = majorOf(binDirectory);
      return major === undefined ? [] : [{ major, origin: 'system' as const, binDirectory }];
    })
    .toSorted((a, b) => b.major - a.major);
}

function childrenOf(directory: string): string[] {
  return existsSync(directory) ? readdirSync(directory) : [];
}

/** What `postgres --version` says; undefined when it does not run here, for want of a library for instance. */
export function majorOf(binDirectory: string): number | undefined {
  try {
    const version = execFileSync(join(binDirectory, 'postgres'), ['--version'], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    return Number(/(\d+)/.exec(version)?.[1]);
  } catch {
    return undefined;
  }
}
