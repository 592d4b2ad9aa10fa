import { failure, type HoldfastError } from '../../kernel/errors/failure.ts';
import type { Logger } from '../../kernel/log.ts';
import { statuses } from './codec.ts';
import type { SftpConnections } from './connections.ts';
import { hasStatus, type Handle, type Remote } from './remote.ts';
import { SftpStatus } from './session.ts';

export interface SftpRootParts {
  /** Without a final `/`, but for `/` itself. */
  readonly path: string;
  readonly location: string;
  readonly user: string | undefined;
  readonly connections: SftpConnections;
  readonly logger: Logger;
  /** A name nobody else uses, valid as a file name. */
  readonly uniqueName: () => string;
  readonly allowUnflushed: boolean;
}

/** Folders remembered at most; beyond that they are checked again. */
const maxKnown = 4096;

/** The directory of a repository on a server, and the tools for working in it. */
export class SftpRoot {
  readonly path: string;
  readonly location: string;
  readonly user: string | undefined;
  readonly connections: SftpConnections;
  readonly logger: Logger;
  readonly uniqueName: () => string;
  readonly #allowUnflushed: boolean;
  /** Folders that are known to be there for good. */
  readonly #known = new Set<string>();
  /** Whether the temporary directory was seen, and so must be there as long as the place is the same. */
  #isMarked = false;
  #hasWarned = false;
  #folderFlush: 'unknown' | 'works' | 'none' = 'unknown';

  constructor(parts: SftpRootParts) {
    this.path = parts.path;
    this.location = parts.location;
    this.user = parts.user;
    this.connections = parts.connections;
    this.logger = parts.logger;
    this.uniqueName = parts.uniqueName;
    this.#allowUnflushed = parts.allowUnflushed;
  }

  /** Where unfinished files live. Its dot keeps it out of the space of object names for ever. */
  get temporaryDirectory(): string {
    return this.pathOf('.tmp');
  }

  /** The path of an object, of a folder (with or without its final `/`), or of the root (''). */
  pathOf(name: string): string {
    if (name === '') return this.path;
    return `${this.path === '/' ? '' : this.path}/${name.endsWith('/') ? name.slice(0, -1) : name}`;
  }

  /** The folder that a path below the root is in. */
  folderOf(path: string): string {
    return path.slice(0, Math.max(path.lastIndexOf('/'), this.path.length));
  }

  /**
   * Rejects with `storage_unreachable` unless the directory, and the temporary one in it, are still in their place.
   * A disk unmounted on the server leaves an empty directory behind, which must never read as an empty repository.
   */
  async assertInPlace(remote: Remote): Promise<void> {
    const [root, marker] = await Promise.all([remote.stat(this.path), remote.stat(this.temporaryDirectory)]);
    if (root === undefined) throw this.#outOfPlace('its directory is gone');
    if (marker !== undefined) this.#isMarked = true;
    else if (this.#isMarked) throw this.#outOfPlace('its directory was replaced or unmounted meanwhile');
  }

  #outOfPlace(reason: string): HoldfastError {
    return failure('storage_unreachable', { location: this.location, reason });
  }

  /**
   * Rejects with `sftp_no_fsync` where what is written could not be flushed, unless that is allowed. A server for
   * reading only offers no flush either, and is told by what it says to a new file.
   */
  async assertFlushable(remote: Remote): Promise<void> {
    if (remote.can('fsync')) return;
    if (!this.#allowUnflushed) {
      const path = `${this.temporaryDirectory}/${this.uniqueName()}`;
      const refused = await remote.create(path, 0o400).catch((error: unknown) => error);
      if (hasStatus(refused, statuses.permissionDenied)) throw refused;
      if (!(refused instanceof Error)) await remote.remove(path);
    }
    this.#notFlushed('it does not offer fsync@openssh.com');
  }

  /** Makes a file survive a power cut on the server. */
  async flush(remote: Remote, handle: Handle): Promise<void> {
    if (!remote.can('fsync')) return this.#notFlushed('it does not offer fsync@openssh.com');
    try {
      await remote.fsync(handle);
    } catch (error) {
      if (!hasStatus(error, statuses.unsupported)) throw error;
      this.#notFlushed(`its file system refuses (${error.message})`);
    }
  }

  /**
   * Makes the entries of a folder survive a power cut. SFTP knows no such request, but a server that opens a folder as
   * if it were a file (OpenSSH does) flushes it like one. Where the first try says that it does not, nothing is to be had.
   */
  async flushFolder(remote: Remote, path: string): Promise<void> {
    if (!remote.can('fsync') || this.#folderFlush === 'none') return;
    try {
      const handle = await remote.open(path);
      try {
        await remote.fsync(handle);
      } finally {
        remote.close(handle).catch(() => undefined);
      }
      this.#folderFlush = 'works';
    } catch (error) {
      // Writable for us and not readable: nothing to be had at this one.
      if (hasStatus(error, statuses.permissionDenied)) return;
      const isFirst = this.#folderFlush === 'unknown' && error instanceof SftpStatus;
      if (!isFirst || error.status === statuses.noSuchFile) throw error;
      this.#folderFlush = 'none';
      const { location } = this;
      this.logger.info('the server flushes no folders: it decides when new names are durable', { location });
    }
  }

  /** Makes `path` (the root or below it) and every folder on the way, mode 0700, durably. */
  async ensureFolder(remote: Remote, path: string): Promise<void> {
    if (path === this.path || this.#known.has(path)) return;
    const parent = this.folderOf(path);
    await this.ensureFolder(remote, parent);
    await this.#makeFolder(remote, path);
    // Another process may have made it a moment ago, and it may not be durable yet.
    await this.flushFolder(remote, parent);
    if (this.#known.size >= maxKnown) this.#known.clear();
    this.#known.add(path);
    if (path === this.temporaryDirectory) this.#isMarked = true;
  }

  /** To be called when a folder turned out to be gone. */
  forgetFolders(): void {
    this.#known.clear();
  }

  async #makeFolder(remote: Remote, path: string): Promise<void> {
    try {
      await remote.mkdir(path);
    } catch (error) {
      // Servers do not say "it is there already" in words of their own.
      if (!(error instanceof SftpStatus)) throw error;
      const present = await remote.stat(path);
      if (present?.kind === 'directory') return;
      if (present !== undefined) throw this.inTheWay(path, 'a file where a directory should be');
      if (error.status === statuses.noSuchFile) await this.assertInPlace(remote);
      throw error;
    }
  }

  inTheWay(path: string, what: string): HoldfastError {
    const reason = `${path} is ${what}`;
    const mend = 'move it away on the server, or name another place with --repo';
    return failure('storage_layout', { location: this.location, reason, mend });
  }

  #notFlushed(reason: string): void {
    const error = failure('sftp_no_fsync', { location: this.location, reason });
    if (!this.#allowUnflushed) throw error;
    if (this.#hasWarned) return;
    this.#hasWarned = true;
    this.logger.warn('what is stored is not flushed: a power cut on the server may lose it', { error });
  }
}
