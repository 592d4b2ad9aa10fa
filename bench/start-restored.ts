import { execFile } from 'node:child_process';
import { chownSync, readdirSync } from 'node:fs';
import { appendFile, chmod, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { PostgresServer } from '../testing/postgres-server.ts';

const run = promisify(execFile);

/** Starts a restored cluster with the WAL that lies in its `pg_wal`, and no other; stopped by `await using`. */
export async function startRestored(
  { binDirectory, user, socketDirectory }: PostgresServer,
  directory: string,
): Promise<AsyncDisposable & { readonly port: number }> {
  const port = 32_000 + Math.floor(Math.random() * 700);
  for (const name of ['recovery.signal', 'standby.signal']) await rm(join(directory, name), { force: true });
  const auto = join(directory, 'postgresql.auto.conf');
  const lines = (await readFile(auto, 'utf8')).split('\n');
  await writeFile(auto, lines.filter((line) => !/^\s*(?:restore_command|recovery_)/.test(line)).join('\n'));
  await appendFile(auto, `\narchive_mode = off\nunix_socket_directories = '${socketDirectory}'\n`);
  await chmod(directory, 0o700);
  if (user !== undefined) giveAll(directory, user.uid, user.gid);
  for (let up = join(directory, '..'); up.includes('holdfast-bench-'); up = join(up, '..'))
    await chmod(up, 0o755);
  const as = { cwd: '/', ...user };
  const log = join(directory, 'started.log');
  const pgCtl = (...args: string[]) =>
    run(join(binDirectory, 'pg_ctl'), ['-D', directory, '-s', ...args], as);
  try {
    await pgCtl('-w', '-t', '600', '-l', log, '-o', `-p ${port}`, 'start');
  } catch (error) {
    throw new Error(`what was restored does not start:\n${(await readFile(log, 'utf8')).slice(-2000)}`, {
      cause: error,
    });
  }
  return {
    port,
    [Symbol.asyncDispose]: async () => {
      await pgCtl('-m', 'immediate', 'stop');
    },
  };
}

function giveAll(directory: string, uid: number, gid: number): void {
  chownSync(directory, uid, gid);
  for (const name of readdirSync(directory, { recursive: true, encoding: 'utf8' }))
    chownSync(join(directory, name), uid, gid);
}
