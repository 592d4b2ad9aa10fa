import type { SftpConfig } from '../../contract/config-sftp.ts';
import type { Clock } from '../../kernel/clock.ts';
import { failure, isFailure } from '../../kernel/errors/failure.ts';
import { newBackupId } from '../../kernel/ids.ts';
import { silentLogger, type Logger } from '../../kernel/log.ts';
import { statuses } from './codec.ts';
import { SftpConnections } from './connections.ts';
import { coded } from './errors.ts';
import type { SftpLocation } from './location.ts';
import { removeTemporary, writeTemporary } from './publish.ts';
import { hasStatus, type Remote } from './remote.ts';
import { SftpRoot } from './root.ts';
import { SftpStorage } from './sftp-storage.ts';
import { sweepTemporaryFiles } from './sweep.ts';

export interface OpenSftpOptions {
  /** Make the directory (mode 0700) unless it is there, and prove that it can be written by writing a file. */
  readonly create: boolean;
  readonly clock: Pick<Clock, 'sleep'>;
  readonly logger?: Logger | undefined;
  readonly settings: SftpConfig;
  /** What ssh gets: where its agent is, and PATH. */
  readonly env: Readonly<Record<string, string | undefined>>;
  /** How often logging in is tried where that may help; 3 unless given. */
  readonly attempts?: number;
}

/** Busy servers turn logins away at random (MaxStartups), and the wrappers that try again come only with the storage. */
const pausesMs = [250, 1000];

/**
 * Opens a directory on a server. With `create`, what is missing is made, durably.
 * Removes what crashed writers left in `.tmp/` a day ago.
 *
 * Rejects with whatever keeps ssh from logging in (`storage_unreachable`, `sftp_…`), with `storage_missing` (no such directory, and `create` is false),
 * `storage_layout` (a file is in its place), `storage_denied`, `storage_read_only`, `storage_full`, `sftp_no_fsync`.
 */
export async function openSftpStorage(place: SftpLocation, options: OpenSftpOptions): Promise<SftpStorage> {
  const { settings, env, clock, logger = silentLogger } = options;
  const connections = new SftpConnections({ ...place, settings, env }, { clock, logger });
  const root = new SftpRoot({
    path: place.path,
    location: place.shown,
    user: place.target.user,
    connections,
    logger,
    uniqueName: newBackupId,
    allowUnflushed: settings.allow_unflushed,
  });
  try {
    for (let failed = 0; ; failed += 1) {
      try {
        await connections.run((remote) => prepare(root, remote, options.create), undefined);
        return new SftpStorage(root);
      } catch (error) {
        const isPassing = isFailure(error, 'storage_unreachable') && failed + 1 < (options.attempts ?? 3);
        if (!isPassing) throw error;
        logger.warn('logging in failed and is tried again', { location: place.shown, error });
        await clock.sleep(pausesMs[failed] ?? 1000);
      }
    }
  } catch (error) {
    await connections.close();
    throw error;
  }
}

async function prepare(root: SftpRoot, remote: Remote, create: boolean): Promise<void> {
  const deed = {
    action: create ? 'create' : 'open',
    name: 'the repository',
    path: root.path,
    changes: create,
  };
  await coded(root, remote, deed, async () => {
    if (create) {
      await root.assertFlushable(remote);
      await makeRoot(root, remote, root.path);
    }
    const present = await remote.stat(root.path);
    if (present === undefined) throw failure('storage_missing', { location: root.location });
    if (present.kind !== 'directory') throw root.inTheWay(root.path, 'not a directory');
    await root.assertInPlace(remote);
    if (create) await proveWritable(root, remote);
    await sweepTemporaryFiles(root, remote);
  });
}

/** A directory may refuse files for many reasons; making one is the only answer that holds. */
async function proveWritable(root: SftpRoot, remote: Remote): Promise<void> {
  await root.ensureFolder(remote, root.temporaryDirectory);
  const temporary = `${root.temporaryDirectory}/${root.uniqueName()}`;
  try {
    await writeTemporary(root, remote, { temporary, parts: [Buffer.from('probe')], signal: undefined });
  } finally {
    if (remote.session.isAlive) await removeTemporary(root, remote, temporary);
  }
}

/** Like `mkdir -p -m 700`. */
async function makeRoot(root: SftpRoot, remote: Remote, path: string): Promise<void> {
  const present = await remote.stat(path);
  if (present?.kind === 'directory') return;
  if (present !== undefined) throw root.inTheWay(path, 'not a directory');
  const slash = path.lastIndexOf('/');
  const parent = slash > 0 ? path.slice(0, slash) : slash === 0 ? '/' : '.';
  if (parent !== path) await makeRoot(root, remote, parent);
  try {
    await remote.mkdir(path);
  } catch (error) {
    // Somebody else may have been faster.
    if (hasStatus(error, statuses.permissionDenied) || (await remote.stat(path))?.kind !== 'directory')
      throw error;
  }
  await root.flushFolder(remote, parent);
}
