import { failure, type HoldfastError } from '../../kernel/errors/failure.ts';
import { statuses } from './codec.ts';
import type { Remote, Room } from './remote.ts';
import type { SftpRoot } from './root.ts';
import { SftpStatus } from './session.ts';

/** What was being done, for the message. */
export interface SftpDeed {
  /** A verb: `write`, `read`, `list`, `delete`, `create`. */
  readonly action: string;
  /** The object's name, or what it is. */
  readonly name: string;
  /** On the server. */
  readonly path: string;
  /** Whether the server's disk was to change. */
  readonly changes: boolean;
  /** Bytes that were to be written. */
  readonly sizeBytes?: number;
}

/** Runs `act`; what the server refuses becomes the coded error. Everything else stays as it is. */
export async function coded<T>(
  root: SftpRoot,
  remote: Remote,
  deed: SftpDeed,
  act: () => Promise<T>,
): Promise<T> {
  try {
    return await act();
  } catch (error) {
    if (error instanceof SftpStatus) throw await sftpFailure(root, remote, deed, error);
    if (!(error instanceof RangeError)) throw error;
    const { action, name } = deed;
    const reason = 'the answer of the server is not whole';
    throw failure('storage_failed', { action, name, location: root.location, reason }, { cause: error });
  }
}

async function sftpFailure(
  root: SftpRoot,
  remote: Remote,
  deed: SftpDeed,
  error: SftpStatus,
): Promise<HoldfastError> {
  const { location } = root;
  const { action, name, path } = deed;
  switch (error.status) {
    case statuses.permissionDenied:
      return denied(root, deed, error);
    case statuses.noConnection:
    case statuses.connectionLost:
      return failure('storage_unreachable', { location, reason: error.message }, { cause: error });
    case statuses.badMessage: {
      const reason = `the server does not take ${path}; most likely it is too long (${error.message})`;
      return failure(
        'storage_layout',
        { location, reason, mend: 'name a place with a shorter path with --repo' },
        { cause: error },
      );
    }
    case statuses.failure:
      if (deed.changes) return await explained(root, remote, deed, error);
      break;
    default:
  }
  const reason = `the server says "${error.message}"`;
  return failure('storage_failed', { action, name, location, reason }, { cause: error });
}

function denied(root: SftpRoot, { action, path }: SftpDeed, cause: SftpStatus): HoldfastError {
  const who = root.user ?? 'the user we log in as';
  return failure(
    'storage_denied',
    {
      action,
      location: root.location,
      reason: `the server does not let ${who} do that at ${path}`,
      mend: `look on the server who owns it (ls -ld ${path}) and give it to ${who}; a server may also be set up for reading only. Or name another place with --repo`,
    },
    { cause },
  );
}

/** SFTP has one word for a full disk, a read-only one, a quota and a broken disk. The file system tells two of them. */
async function explained(
  root: SftpRoot,
  remote: Remote,
  { action, name, sizeBytes = 0 }: SftpDeed,
  cause: SftpStatus,
): Promise<HoldfastError> {
  const { location } = root;
  const room = await roomOf(root, remote);
  if (room?.isReadOnly === true) return failure('storage_read_only', { location }, { cause });
  if (room !== undefined && (room.freeBytes < Math.max(sizeBytes, 4096) || !room.hasFreeFiles))
    return failure('storage_full', { location, name }, { cause });
  return failure('sftp_write_refused', { action, name, location, reason: cause.message }, { cause });
}

async function roomOf(root: SftpRoot, remote: Remote): Promise<Room | undefined> {
  if (!remote.can('statvfs')) return undefined;
  try {
    return await remote.statvfs(root.path);
  } catch (error) {
    if (error instanceof SftpStatus) return undefined;
    throw error;
  }
}
