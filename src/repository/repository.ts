import type { Manifest } from '../contract/manifest.ts';
import type { Entry, StreamRef } from '../contract/stream.ts';
import type { BackupId, KeyId, RepositoryId } from '../kernel/ids.ts';
import type { Secret } from '../kernel/secret.ts';
import type { Compression } from '../pipeline/codec.ts';
import type { Storage } from '../storage/port.ts';
import type { WriteSession } from './write-session.ts';

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
}

/** The passphrases of a repository: each wraps the same master key. */
export interface Keyring {
  list(): Promise<readonly KeyInfo[]>;
  add(key: NewKey): Promise<KeyInfo>;
  /** Refuses to remove the last key (`key_last`) and an unknown one (`key_unknown`). */
  remove(id: KeyId): Promise<void>;
  /** Adds the new passphrase, then removes the current one; a crash between leaves both, never none. */
  change(key: NewKey): Promise<KeyInfo>;
}

export interface CallContext {
  readonly signal?: AbortSignal | undefined;
}

/** An open repository. Several programs may have it open and write to it at once. */
export interface Repository extends AsyncDisposable {
  readonly info: RepositoryInfo;
  readonly storage: Storage;
  readonly keys: Keyring;

  /** Every backup there is, oldest first, from one listing. */
  names(context?: CallContext): Promise<readonly BackupName[]>;
  /** Reads, authenticates and parses one manifest. */
  manifest(name: BackupName, context?: CallContext): Promise<Manifest>;
  /**
   * Finds the backup meant by an id, a unique prefix of one (at least 4 digits), a timestamp (the newest backup that
   * started at or before it), `latest` or `latest:SOURCE`. `backup_unknown`, `backup_ambiguous`, `backup_reference`.
   */
  find(reference: string, context?: CallContext): Promise<Manifest>;
  /** The entries of a backup in their order, streamed. */
  entries(manifest: Manifest, context?: CallContext): AsyncIterable<Entry>;
  /** The bytes of a stored stream in order, each piece checked before it is handed out. */
  open(stream: StreamRef, context?: CallContext): AsyncIterable<Uint8Array>;
  /** Begins a backup. One session at a time for an open repository; open it again for another. */
  beginSession(options: SessionOptions): Promise<WriteSession>;
}

export interface SessionOptions {
  readonly signal: AbortSignal;
  readonly compression: Compression;
  /** Tasks, and so worker threads, at once. */
  readonly jobs: number;
}
