import type { BackupId, KeyId, RepositoryId } from '../kernel/ids.ts';
import type { Secret } from '../kernel/secret.ts';
import type { Semaphore } from '../kernel/queue.ts';
import type { Compression } from '../pipeline/codec.ts';

/** What `holdfast.json` says; readable without any key. */
export interface RepositoryInfo {
  readonly id: RepositoryId;
  readonly format: number;
  readonly encrypted: boolean;
  readonly createdAt: string;
}

/** A backup as its manifest's name tells it, without reading the manifest. */
export interface BackupName {
  readonly id: BackupId;
  readonly sequence: number;
  /** When the backup started: milliseconds since 1970. */
  readonly startedAtMs: number;
  readonly objectName: string;
}

export interface KeyInfo {
  readonly id: KeyId;
  readonly label: string;
  readonly createdAt: string;
  readonly host: string;
  readonly user: string;
  /** True for the key this repository was opened with. */
  readonly current: boolean;
}

export interface NewKey {
  readonly passphrase: Secret;
  readonly label: string;
  /** It was made of 256 random bits by this program, not by a person: guessing it is hopeless however fast a guess is. */
  readonly isRandom?: boolean | undefined;
}

/** The passphrases of a repository: each wraps the same master key. */
export interface Keyring {
  list(): Promise<readonly KeyInfo[]>;
  add(key: NewKey): Promise<KeyInfo>;
  /** Refuses to remove the last key (`key_last`) and an unknown one (`key_unknown`). */
  remove(id: KeyId): Promise<void>;
  /**
   * Adds the new passphrase, then removes the current one; a crash between leaves both, never none. `whenBothOpen`
   * runs between the two: where it fails, both stay.
   */
  change(key: NewKey, whenBothOpen?: () => Promise<void>): Promise<KeyInfo>;
}

export interface CallContext {
  readonly signal?: AbortSignal | undefined;
}

export interface SessionOptions {
  readonly signal: AbortSignal;
  readonly compression: Compression;
  /** Tasks, and so worker threads, at once. */
  readonly jobs: number;
  /** Shared with other sessions, when they are to have no more than so many tasks at once all together. */
  readonly permits?: Semaphore | undefined;
  /** A pack is closed when it has grown beyond this: 16 MiB unless said. Every thread holds two of them in memory. */
  readonly packBytes?: number | undefined;
  /** Told now and then, while it runs: how many plain bytes more turned out to be new. */
  readonly onNewBytes?: ((bytes: number) => void) | undefined;
}
