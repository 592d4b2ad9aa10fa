import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import type { PostgresServer } from '../../testing/postgres-server.ts';

const run = promisify(execFile);

/** Runs a line in a shell, as a user would type it; rejects when it fails. Gives what it printed. */
export async function shell(
  line: string,
  cwd: string,
  env: Readonly<Record<string, string>> = {},
): Promise<string> {
  const { stdout } = await run('bash', ['-o', 'pipefail', '-c', line], {
    cwd,
    env: { PATH: process.env['PATH'] ?? '', LC_ALL: 'C.UTF-8', HOME: cwd, ...env },
    maxBuffer: 64 * 1024 * 1024,
  });
  return stdout;
}

/** What psql and its relatives need to find that server, whose tools come first. */
export function clientEnv(server: PostgresServer): Record<string, string> {
  return {
    PATH: `/usr/lib/postgresql/${server.major}/bin:${process.env['PATH'] ?? ''}`,
    PGHOST: '127.0.0.1',
    PGPORT: String(server.port),
    PGUSER: server.superuser,
    PGPASSWORD: server.password,
  };
}
