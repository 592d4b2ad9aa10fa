import type { ConnectionParameters } from '../../../../postgres/connection/connection.ts';

export interface ClusterStreamOptions {
  readonly connection: ConnectionParameters;
  /** Stands in `backup_label` and in the log of the server. */
  readonly label: string;
  /** Have the checkpoint that a backup begins with written at once, instead of over minutes. */
  readonly fastCheckpoint: boolean;
  /** For the list of files while they come. */
  readonly tempDirectory: string;
  /** Milliseconds since 1970. */
  readonly now: () => number;
  /** Of so many unchanged pieces of 128 KiB one is compared with what is stored; default 64. */
  readonly guardOneIn?: number;
}
