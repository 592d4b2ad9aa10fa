import { failure, type HoldfastError } from '../../kernel/errors/failure.ts';
import { explainDenied } from './denied.ts';

/** What was being done, for the message. */
export interface FsDeed {
  /** A verb: `write`, `read`, `list`, `delete`, `create`. */
  readonly action: string;
  /** The object's name, or the path's. */
  readonly name: string;
  readonly location: string;
  /** The path the call was about, for looking up who owns it. */
  readonly path: string;
}

/** The `E…` code of an error from a system call, undefined for every other value. */
export function errnoOf(error: unknown): string | undefined {
  if (!(error instanceof Error) || !('code' in error) || !('syscall' in error)) return undefined;
  return typeof error.code === 'string' && error.code.startsWith('E') ? error.code : undefined;
}

/** Nothing is there under that name: no such file, a file where a folder should be, or a folder itself. */
export function saysAbsent(error: unknown): boolean {
  const errno = errnoOf(error);
  return errno === 'ENOENT' || errno === 'ENOTDIR' || errno === 'EISDIR';
}

/**
 * Runs `act`; an error from a system call becomes the coded one of {@link fsFailure}. The reason of an abort stays
 * as it is, whatever it looks like: it may be another part's broken connection.
 */
export async function coded<T>(deed: FsDeed, act: () => Promise<T>, signal?: AbortSignal): Promise<T> {
  try {
    return await act();
  } catch (error) {
    throw signal?.aborted === true && error === signal.reason ? error : await fsFailure(error, deed);
  }
}

/** The coded error for an error of a system call; anything else (abort reasons, bugs, coded errors) as it is. */
export async function fsFailure(error: unknown, deed: FsDeed): Promise<unknown> {
  const errno = errnoOf(error);
  if (errno === undefined) return error;
  const { location, name } = deed;
  switch (errno) {
    case 'EACCES':
    case 'EPERM': {
      const { reason, mend } = await explainDenied(deed.path, location);
      return failure('storage_denied', { action: deed.action, location, reason, mend }, { cause: error });
    }
    case 'EROFS':
      return failure('storage_read_only', { location }, { cause: error });
    case 'ENOSPC':
    case 'EDQUOT':
      return failure('storage_full', { location, name }, { cause: error });
    case 'EFBIG':
      return failure('storage_file_limit', { location, name }, { cause: error });
    case 'EIO':
      return failure('storage_io', { action: deed.action, location, name }, { cause: error });
    default:
      return (
        layoutFailure(errno, error, deed) ??
        unreachableFailure(errno, error, deed) ??
        otherFailure(errno, error, deed)
      );
  }
}

function layoutFailure(
  errno: string,
  cause: unknown,
  { location, name, path }: FsDeed,
): HoldfastError | undefined {
  const inTheWay: Readonly<Record<string, readonly [reason: string, mend: string]>> = {
    ENOTDIR: [
      `a part of ${path} is a file where a directory should be`,
      'move that file away, or name another place with --repo',
    ],
    EISDIR: [
      `${path} is a directory where ${name} should be`,
      'move that directory away, or name another place with --repo',
    ],
    ENOTEMPTY: [
      `${path} is a directory where ${name} should be`,
      'move that directory away, or name another place with --repo',
    ],
    ELOOP: [
      `the symbolic links of ${path} lead in a circle`,
      'mend the links, or name another place with --repo',
    ],
    ENAMETOOLONG: [
      `${path} is longer than the file system takes`,
      'name a place with a shorter path with --repo',
    ],
    EXDEV: [
      `${path} is on another file system than ${location}`,
      'keep the whole repository on one file system: no mounts or links to other disks inside it',
    ],
  };
  const found = inTheWay[errno];
  if (found === undefined) return undefined;
  return failure('storage_layout', { location, reason: found[0], mend: found[1] }, { cause });
}

function unreachableFailure(errno: string, cause: unknown, { location }: FsDeed): HoldfastError | undefined {
  const reasons: Readonly<Record<string, string>> = {
    ESTALE: 'the network file system lost track of it (ESTALE)',
    ENOTCONN: 'the mount is no longer connected (ENOTCONN)',
    ETIMEDOUT: 'it did not answer in time (ETIMEDOUT)',
    EHOSTDOWN: 'its host is down (EHOSTDOWN)',
    EHOSTUNREACH: 'there is no way to its host (EHOSTUNREACH)',
    ECONNABORTED: 'the connection broke (ECONNABORTED)',
    ECONNREFUSED: 'its host refused the connection (ECONNREFUSED)',
    ECONNRESET: 'the connection broke (ECONNRESET)',
    ENETUNREACH: 'the network is down (ENETUNREACH)',
    ENODEV: 'the device is gone (ENODEV)',
    ENXIO: 'the device is gone (ENXIO)',
  };
  const reason = reasons[errno];
  return reason === undefined ? undefined : failure('storage_unreachable', { location, reason }, { cause });
}

function otherFailure(errno: string, cause: unknown, { action, name, location }: FsDeed): HoldfastError {
  const reasons: Readonly<Record<string, string>> = {
    EMFILE: 'too many open files in this process (EMFILE; see ulimit -n)',
    ENFILE: 'too many open files on this machine (ENFILE; see sysctl fs.file-max)',
    ENOMEM: 'the system is out of memory (ENOMEM)',
    ENOENT: 'its directory was removed while it was in use (ENOENT)',
    EBUSY: 'it is in use (EBUSY)',
  };
  const reason = reasons[errno] ?? (cause instanceof Error ? cause.message : errno);
  return failure('storage_failed', { action, name, location, reason }, { cause });
}
