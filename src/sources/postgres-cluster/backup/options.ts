import type { ConnectionParameters } from '../../../postgres/connection/connection.ts';

export interface ClusterBackupOptions {
  /** To the very server whose files are read. */
  readonly connection: ConnectionParameters;
  /** Absolute. */
  readonly dataDirectory: string;
  /** Stands in `backup_label` and in the log of the server. */
  readonly label: string;
  /** Have the checkpoint that a backup begins with written at once, instead of over minutes. */
  readonly fastCheckpoint: boolean;
  /** Of this machine, to tell whether the backup before was taken here. */
  readonly host: string;
  /** Milliseconds since 1970. */
  readonly now: () => number;
  /** Of so many unchanged pieces of 128 KiB one is compared with what is stored; default 64. */
  readonly guardOneIn?: number;
  /** Large segments are stored in parts of so many bytes, a multiple of 1 MiB; default 32 MiB. */
  readonly partBytes?: number;
}
