import { access, constants, realpath } from 'node:fs/promises';
import { dirname, isAbsolute } from 'node:path';
import { systemClock, type Clock } from '../../kernel/clock.ts';
import { failure } from '../../kernel/errors/failure.ts';
import { newBackupId } from '../../kernel/ids.ts';
import { silentLogger, type Logger } from '../../kernel/log.ts';
import { realFsCalls, type FsCalls } from './calls.ts';
import { makeDirectory, syncDirectory } from './durable.ts';
import { coded, errnoOf, type FsDeed } from './errors.ts';
import { FsStorage } from './fs-storage.ts';
import { FsRoot, identify } from './root.ts';
import { sweepTemporaryFiles } from './sweep.ts';
import { removeTemporary, writeTemporary } from './write.ts';

export interface OpenFsOptions {
  /** Make the directory (mode 0700) unless it is there, and prove that it can be written by writing a file. */
  readonly create: boolean;
  readonly clock?: Pick<Clock, 'sleep' | 'monotonicNs'>;
  readonly logger?: Logger;
  /** For tests only. */
  readonly calls?: FsCalls;
}

/**
 * Opens the directory of a repository; `directory` is absolute and may be a symbolic link to a directory.
 * With `create`, what is missing is made, durably. Removes what crashed writers left in `.tmp/` a day ago.
 *
 * Rejects with `storage_missing` (not there, and `create` is false), `storage_layout` (a file is in its place),
 * `storage_denied`, `storage_read_only`, `storage_full`, `storage_url` (not an absolute path).
 */
export async function openFsStorage(directory: string, options: OpenFsOptions): Promise<FsStorage> {
  if (!isAbsolute(directory))
    throw failure('storage_url', { location: directory, reason: 'it is not an absolute path' });
  const calls = options.calls ?? realFsCalls;
  const deed: FsDeed = {
    action: options.create ? 'create' : 'open',
    name: 'the repository',
    location: directory,
    path: directory,
  };
  const root = await coded(deed, async () => {
    if (options.create) await makeRoot(calls, directory);
    return resolveRoot(calls, directory, options);
  });
  if (options.create) await coded({ ...deed, path: root.temporaryDirectory }, () => proveWritable(root));
  await sweepTemporaryFiles(root);
  return new FsStorage(root);
}

async function resolveRoot(calls: FsCalls, directory: string, options: OpenFsOptions): Promise<FsRoot> {
  const path = await realpathOf(directory);
  if (!(await calls.stat(path)).isDirectory()) throw notDirectory(directory);
  await access(path, constants.R_OK | constants.X_OK);
  const identity = await identify(calls, path);
  if (identity === undefined) throw failure('storage_missing', { location: directory });
  return new FsRoot({
    path,
    location: directory,
    calls,
    clock: options.clock ?? systemClock,
    logger: options.logger ?? silentLogger,
    uniqueName: newBackupId,
    identity,
  });
}

async function realpathOf(directory: string): Promise<string> {
  try {
    return await realpath(directory);
  } catch (error) {
    if (errnoOf(error) === 'ENOENT')
      throw failure('storage_missing', { location: directory }, { cause: error });
    throw error;
  }
}

/** A directory may refuse files for many reasons; making one is the only answer that holds. */
async function proveWritable(root: FsRoot): Promise<void> {
  await root.directories.ensure(root.temporaryDirectory);
  await removeTemporary(root, await writeTemporary(root, [Buffer.from('probe')], undefined));
}

/** Like `mkdir -p -m 700`: parents get the usual mode, the directory itself 0700. */
async function makeRoot(calls: FsCalls, directory: string, mode = 0o700): Promise<void> {
  if (await isDirectory(calls, directory)) return;
  const parent = dirname(directory);
  if (parent !== directory) await makeRoot(calls, parent, 0o777);
  const made = await makeDirectory(calls, directory, mode);
  if (!made && !(await isDirectory(calls, directory))) throw notDirectory(directory);
  await syncDirectory(calls, parent);
}

async function isDirectory(calls: FsCalls, path: string): Promise<boolean> {
  try {
    return (await calls.stat(path)).isDirectory();
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return false;
    throw error;
  }
}

function notDirectory(directory: string): Error {
  return failure('storage_layout', {
    location: directory,
    reason: 'it is not a directory',
    mend: 'move it away, or name another place with --repo',
  });
}
