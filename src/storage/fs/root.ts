import { join } from 'node:path';
import type { Clock } from '../../kernel/clock.ts';
import { failure } from '../../kernel/errors/failure.ts';
import type { Logger } from '../../kernel/log.ts';
import type { FsCalls } from './calls.ts';
import { DurableDirectories } from './durable.ts';
import { coded, errnoOf } from './errors.ts';

export interface FsRootParts {
  /** Absolute, without symbolic links. */
  readonly path: string;
  /** As the user knows it. */
  readonly location: string;
  readonly calls: FsCalls;
  readonly clock: Pick<Clock, 'sleep' | 'monotonicNs'>;
  readonly logger: Logger;
  /** A name nobody else uses, valid as a file name. */
  readonly uniqueName: () => string;
  readonly identity: RootIdentity;
}

/** Which directory this is, whatever its path leads to later. */
export interface RootIdentity {
  readonly device: bigint;
  readonly inode: bigint;
}

/** The directory of a repository, and the tools for working in it. */
export class FsRoot {
  readonly path: string;
  readonly location: string;
  readonly calls: FsCalls;
  readonly clock: Pick<Clock, 'sleep' | 'monotonicNs'>;
  readonly logger: Logger;
  readonly uniqueName: () => string;
  readonly directories: DurableDirectories;
  readonly #identity: RootIdentity;

  constructor(parts: FsRootParts) {
    this.path = parts.path;
    this.location = parts.location;
    this.calls = parts.calls;
    this.clock = parts.clock;
    this.logger = parts.logger;
    this.uniqueName = parts.uniqueName;
    this.directories = new DurableDirectories(parts.calls, parts.path);
    this.#identity = parts.identity;
  }

  /** Where unfinished files live. Its dot keeps it out of the space of object names for ever. */
  get temporaryDirectory(): string {
    return join(this.path, '.tmp');
  }

  /** The path of an object, of a folder (with or without its final `/`), or of the root (''). */
  pathOf(name: string): string {
    return name === '' ? this.path : join(this.path, name.endsWith('/') ? name.slice(0, -1) : name);
  }

  /**
   * Rejects with `storage_unreachable` unless the directory opened at first is still in its place.
   * A disk unmounted meanwhile leaves an empty directory behind, which must never read as an empty repository.
   */
  async assertInPlace(): Promise<void> {
    const deed = { action: 'look at', name: 'its directory', location: this.location, path: this.path };
    const now = await coded(deed, () => identify(this.calls, this.path));
    if (now?.device === this.#identity.device && now.inode === this.#identity.inode) return;
    const reason =
      now === undefined ? 'its directory is gone' : 'its directory was replaced or unmounted meanwhile';
    throw failure('storage_unreachable', { location: this.location, reason });
  }
}

/** Undefined where there is nothing. */
export async function identify(calls: FsCalls, path: string): Promise<RootIdentity | undefined> {
  try {
    const { dev, ino } = await calls.stat(path, { bigint: true });
    return { device: dev, inode: ino };
  } catch (error) {
    if (errnoOf(error) === 'ENOENT' || errnoOf(error) === 'ENOTDIR') return undefined;
    throw error;
  }
}
