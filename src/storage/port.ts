import type { PlaceDescription } from './description.ts';
import type { RequestCounts } from './requests.ts';

/**
 * Where a repository's objects live. Every implementation passes the same conformance suite
 * (`testing/storage-conformance.ts`).
 *
 * Names are relative, `/`-separated, made of `[a-z0-9._-]` segments of at most 255 bytes that do not start with a
 * dot, 1024 bytes in all (`names.ts`); others are refused with `storage_name`. No name may be the folder of another
 * (`a` beside `a/b`): a file system cannot hold both. Objects are immutable: the port cannot overwrite.
 *
 * Every method rejects with a coded error (see `kernel/errors/storage.ts`): `object_missing`, `object_exists`,
 * `storage_unreachable`, `storage_denied`, `storage_full`, `storage_read_only`, `storage_failed`, and what an
 * implementation adds. It rejects with the signal's own reason when the signal aborts, as soon as it can; a put that
 * became visible by then may still resolve. Any method may be called any number of times at once, and again after it
 * failed.
 */
export interface Storage {
  /** For people: a URL or path without credentials. */
  readonly location: string;

  /**
   * Stores a whole object and resolves only when it would survive a power cut.
   * It appears whole or not at all. Fails with `object_exists` where the name is taken, and then has changed
   * nothing, unless what is there has the very same bytes: that is success (an answer may have been lost).
   * `data` is not changed and must not be changed by the caller until this settles.
   */
  put(name: string, data: Uint8Array | readonly Uint8Array[], options?: CallOptions): Promise<void>;

  /**
   * Reads a whole object, or `length` bytes from `offset`. A range that goes beyond the end of the object gives
   * what there is (never padding); callers check lengths. `object_missing` when there is no such object,
   * `storage_range` when offset or length is not a whole number from 0 up. The bytes belong to the caller.
   */
  get(name: string, options?: GetOptions): Promise<Uint8Array>;

  /**
   * Every object whose name starts with `prefix` ('' for all; best a folder with its final `/`), in ascending
   * byte order of names, streamed: memory does not grow with the number of objects. Objects whose put has
   * settled before the call are in it. Temporary or foreign files are not.
   * A failure in the middle rejects: a listing that ends normally is complete.
   */
  list(prefix: string, options?: ListOptions): AsyncIterable<ObjectInfo>;

  /** Size and time of one object. `object_missing` when there is none. */
  stat(name: string, options?: CallOptions): Promise<ObjectInfo>;

  /**
   * The name of something that lies directly in the place and can be no object: somebody else's files, most likely.
   * Undefined when there is nothing of that sort. For deciding whether a repository may be made here.
   */
  foreign(options?: CallOptions): Promise<string | undefined>;

  /** Removes an object for good, durably. Succeeds when it is not there. */
  delete(name: string, options?: CallOptions): Promise<void>;

  /** Releases connections. Calls under way may fail. May be called twice. */
  close(): Promise<void>;

  /**
   * Where the storage can lock objects and is set to: nobody, not even who stored it, can delete that object before
   * `untilMs` (milliseconds since 1970). A lock that lasts longer stays as it is. `object_missing`, `s3_no_lock`.
   * Deleting what is locked fails with `storage_locked`.
   */
  readonly retain?: Retain | undefined;

  /** Where there is more to know of the place than that it works: how it is set up, and what is of concern. */
  readonly describe?: Describe | undefined;

  /** Where the storage is a service that counts: what was asked of it since it was opened. */
  readonly requests?: RequestCounts | undefined;
}

export type Describe = (options?: CallOptions) => Promise<PlaceDescription>;

export type Retain = (name: string, untilMs: number, options?: CallOptions) => Promise<void>;

export interface CallOptions {
  readonly signal?: AbortSignal | undefined;
}

export interface ListOptions extends CallOptions {
  /**
   * The caller has every name up to and with this one already. They may be left out, or given once more: it spares
   * those who can the way to where a listing broke off.
   */
  readonly after?: string | undefined;
}

export interface GetOptions extends CallOptions {
  /** Bytes from the start; 0 unless given. */
  readonly offset?: number;
  /** Bytes; to the end unless given. */
  readonly length?: number;
}

export interface ObjectInfo {
  readonly name: string;
  readonly sizeBytes: number;
  /** Milliseconds since 1970 by the storage's own clock. */
  readonly modifiedAtMs: number;
}
