import type { ConnectionParameters } from '../../../postgres/connection/connection.ts';

export interface ClusterCheckOptions {
  readonly connection: ConnectionParameters;
  /** Absolute. Undefined: everything comes over the replication protocol. */
  readonly dataDirectory: string | undefined;
  /** Of `holdfast wal stream`. */
  readonly slot: string;
  /** More WAL than this should not wait for the repository. */
  readonly walWaitingLimitBytes: number;
  readonly commands: CommandsOfServer;
  /** Of this machine: milliseconds since 1970. */
  readonly now: () => number;
}

/** Values of `archive_command` and `restore_command`, ready to be set. */
export interface CommandsOfServer {
  readonly push: string;
  readonly get: string;
  /** What the server must have for them, for people; null when nothing. */
  readonly needs: string | null;
  /** Variables that its environment must have; null when none. */
  readonly variables: string | null;
}
