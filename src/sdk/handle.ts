import type {
  BackupOptions,
  CleanOptions,
  ListOptions,
  RestoreOptions,
  SignalOption,
  VerifyOptions,
  Within,
} from './options.ts';
import type {
  BackupDetails,
  BackupEntry,
  BackupResult,
  CleanResult,
  ListResult,
  RestoreResult,
  VerifyResult,
} from './results.ts';

/**
 * An open repository, from {@link openRepository}. Close it with `close()`, or let `await using` do it: until then it may
 * hold threads, and a program that has one open does not end by itself.
 */
export interface HoldfastRepository extends AsyncDisposable {
  /** 32 hexadecimal digits. */
  readonly id: string;
  readonly location: string;
  readonly encrypted: boolean;
  /** As {@link listBackups}. */
  list(options?: Within<ListOptions>): Promise<ListResult>;
  /** One backup in detail. `id` is as for a restore. */
  info(id: string, options?: SignalOption): Promise<BackupDetails>;
  /** What is in a backup, in its order, streamed. */
  entries(id: string, options?: SignalOption): AsyncGenerator<BackupEntry, void, void>;
  /**
   * The content of one entry as it is stored, streamed, each piece checked before it is handed out: a file's bytes, a
   * table's rows as `COPY` writes them. Memory stays small however large it is. Rejects with `restore_selects_nothing`
   * (HF-4003) where the backup has no entry of that path.
   */
  read(id: string, path: string, options?: SignalOption): AsyncGenerator<Uint8Array, void, void>;
  /** As {@link createBackup}. */
  backup(options?: Within<BackupOptions>): Promise<BackupResult>;
  /** As {@link restoreBackup}. */
  restore(options: Within<RestoreOptions>): Promise<RestoreResult>;
  /** As {@link verifyBackup}. */
  verify(options?: Within<VerifyOptions>): Promise<VerifyResult>;
  /** As {@link cleanOldBackups}. */
  clean(options?: Within<CleanOptions>): Promise<CleanResult>;
  /** Frees everything. Nothing can be done with it afterwards; reading that is under way rejects. */
  close(): Promise<void>;
}
