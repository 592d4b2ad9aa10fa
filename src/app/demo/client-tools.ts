import { execFile } from 'node:child_process';
import { access, constants } from 'node:fs/promises';
import { delimiter, join } from 'node:path';
import { promisify } from 'node:util';
import { failure, reasonOf } from '../../kernel/errors/failure.ts';
import { listTools, toolPath, type ToolName } from '../../postgres/tools.ts';
import type { AppContext } from '../compose.ts';

export interface ClientTools {
  /** The newest server they can dump and restore. */
  readonly major: number;
  /** The program, ready to be started. */
  readonly pgDump: string;
  /** As `pg_dump --version` says. */
  readonly version: string;
}

const needed: readonly ToolName[] = ['pg_dump', 'pg_restore', 'psql'];
const installWithinMs = 240_000;

/**
 * PostgreSQL's client tools on this machine. Where they are missing and we are root on Debian or Ubuntu they are
 * installed. Throws `demo_no_tools`.
 */
export async function clientTools(context: AppContext): Promise<ClientTools> {
  const { env } = context.machine;
  const found = await findTools(env, context.signal);
  if (typeof found !== 'string') return found;
  if (!(await canInstall(context))) throw failure('demo_no_tools', { reason: `${found} was not found` });
  context.observer.notice({
    level: 'info',
    message: `${found} is missing: installing postgresql-client with apt-get …`,
  });
  const trouble = await install(env, context.signal);
  const installed = await findTools(env, context.signal);
  if (typeof installed !== 'string') return installed;
  const reason = trouble ?? `apt-get has installed postgresql-client, and ${installed} was not found`;
  throw failure('demo_no_tools', { reason });
}

type Env = AppContext['machine']['env'];

/** The tools, or the name of one that is missing. */
async function findTools(env: Env, signal: AbortSignal): Promise<ClientTools | string> {
  const majors: number[] = [];
  for (const tool of needed) {
    const newest = (await listTools({ env, signal }, tool)).at(-1);
    if (newest === undefined) return tool;
    majors.push(newest.major);
  }
  const major = Math.min(...majors);
  const dump = (await listTools({ env, signal }, 'pg_dump')).find((tools) => tools.major >= major);
  return dump === undefined ? 'pg_dump' : { major, pgDump: toolPath(dump, 'pg_dump'), version: dump.version };
}

async function canInstall({ machine: { env, uid } }: AppContext): Promise<boolean> {
  if (uid !== 0 || !(await can('/etc/debian_version', constants.R_OK))) return false;
  const directories = (env['PATH'] ?? '').split(delimiter).filter((directory) => directory.startsWith('/'));
  for (const directory of directories) if (await can(join(directory, 'apt-get'), constants.X_OK)) return true;
  return false;
}

async function can(path: string, mode: number): Promise<boolean> {
  try {
    await access(path, mode);
    return true;
  } catch {
    return false;
  }
}

/** Tries without and then with fresh lists of packages. Answers what went wrong. */
async function install(env: Env, signal: AbortSignal): Promise<string | undefined> {
  const patience = ['-q', '-o', 'DPkg::Lock::Timeout=60', '-o', 'Acquire::http::Timeout=20'];
  const fromLists = ['install', '-y', '--no-install-recommends', ...patience, 'postgresql-client'];
  const freshLists = ['update', ...patience];
  if ((await aptGet(fromLists, env, signal)) === undefined) return undefined;
  return (await aptGet(freshLists, env, signal)) ?? (await aptGet(fromLists, env, signal));
}

async function aptGet(args: readonly string[], env: Env, signal: AbortSignal): Promise<string | undefined> {
  const options = {
    env: { ...env, DEBIAN_FRONTEND: 'noninteractive', LC_ALL: 'C.UTF-8' },
    maxBuffer: 64 * 2 ** 20,
    signal: AbortSignal.any([signal, AbortSignal.timeout(installWithinMs)]),
  };
  try {
    await promisify(execFile)('apt-get', args, options);
    return undefined;
  } catch (error) {
    signal.throwIfAborted();
    const { stderr = '' } = error as { stderr?: string };
    const told = stderr.split('\n').findLast((line) => line.startsWith('E: '));
    return `apt-get ${args[0]}: ${told?.slice(3) ?? reasonOf(error).split('\n')[0]}`;
  }
}
