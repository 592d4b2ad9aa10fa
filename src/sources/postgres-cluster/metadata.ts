import { z } from 'zod';

/** Kinds of the entries of a backup of a cluster. Paths are those in the data directory. */
export const entryKinds = {
  /** A segment of the main fork of a relation: `base/5/16384.1`, `pg_tblspc/16400/PG_15_202209061/5/16385`. A page map. */
  relation: 'pg.relation',
  /** Of each page of a relation 8 bytes that tell whether it is the same page still: see `stamps.ts`. */
  stamps: 'pg.stamps',
  /** Any other file, whole. */
  file: 'pg.file',
  /** A directory; every one that the server needs, the empty ones too. No stream. */
  directory: 'pg.directory',
  /** `backup_label` and `tablespace_map` as the server gave them when the backup ended. */
  label: 'pg.label',
  /** `global/pg_control`. The last entry; written last by a restore, for a directory without it cannot be started. */
  control: 'pg.control',
} as const;

const lsn = z.string().regex(/^[0-9A-F]{1,8}\/[0-9A-F]{1,8}$/);
const time = z.iso.datetime({ precision: 3 });
const count = z.number().int().min(0);

export const tablespaceSchema = z.strictObject({
  oid: count,
  /** Where `pg_tblspc/OID` leads to on the server; relative, `pg_tblspc/OID`, for one that lies in the data directory. */
  path: z.string().min(1),
  /** Bytes. */
  size: count,
});

export const badPageSchema = z.strictObject({
  /** In the data directory. */
  path: z.string(),
  /** Of the relation, counted from its beginning over all its segments. */
  block: count,
  /** `database.schema.name`, when it could be found out. */
  relation: z.string().nullable(),
  reason: z.string(),
});

/** What a backup of a cluster tells about itself; `metadata` of its manifest. */
export const clusterMetadataSchema = z.strictObject({
  schema: z.literal(1),
  /** Files were read in the data directory, or came over the replication protocol. */
  mode: z.enum(['local', 'stream']),
  server_version: z.string(),
  /** 150018 */
  server_version_num: count,
  /** Decimal digits. */
  system_identifier: z.string().regex(/^\d{1,20}$/),
  from_standby: z.boolean(),
  /** Of the WAL that the backup starts with. */
  timeline: count,
  /** Where recovery begins to read: the redo position of the checkpoint the backup started with. */
  start_lsn: lsn,
  /** Recovery must come at least here before the cluster is consistent. */
  stop_lsn: lsn,
  /** By the server's clock. Only moments from `stopped_at` on can be recovered to. */
  started_at: time,
  stopped_at: time,
  page_bytes: count,
  wal_segment_bytes: count,
  data_checksums: z.boolean(),
  wal_level: z.string(),
  data_directory: z.string(),
  /** Of the server when it was backed up; a restore looks whether they fit where it goes. */
  port: count,
  tablespaces: z.array(tablespaceSchema),
  /** Databases, with the transaction that made each one's row: another one means another database under this OID. */
  databases: z.array(z.strictObject({ oid: count, name: z.string(), xmin: z.string() })),
  /** Earlier backup whose pages were taken over where they have not changed; null for a full one. */
  parent: z.string().nullable(),
  /** Why everything was read and nothing taken over by its LSN, for people; null for an increment. */
  full_because: z.string().nullable(),
  files: count,
  /** Files taken over without being read. */
  files_kept: count,
  /** Bytes of the data directory that are in the backup. */
  bytes: count,
  pages: count,
  /** Pages stored anew because they changed since the parent. */
  pages_changed: count,
  /** Pages that the LSN called unchanged and that were compared with what is stored, all the same. */
  pages_guarded: count,
  /** At most a hundred of them are listed. */
  bad_pages: z.array(badPageSchema),
  bad_page_count: count,
  /** The archive with the WAL from `start_lsn` to `stop_lsn`: its id in the repository. */
  wal_archive: z.string().regex(/^[0-9a-f]{32}$/),
});

export type ClusterMetadata = z.infer<typeof clusterMetadataSchema>;
export type Tablespace = z.infer<typeof tablespaceSchema>;
export type BadPage = z.infer<typeof badPageSchema>;

/** What an entry of a file says beside its bytes. */
export const fileMetaSchema = z.strictObject({
  /** Nanoseconds since 1970; null when it is not known as exactly as that (streams know seconds). */
  mtime_ns: z
    .string()
    .regex(/^-?\d+$/)
    .nullable(),
  /** Of the file system it was read from: together with the time they tell a file that was put in its place. Local mode only. */
  inode: z.string().nullable(),
  mode: z.number().int(),
  /** Of a configuration file from outside the data directory: its path on the server. Its entry is below `configDirectory`. */
  original: z.string().optional(),
  /** Pages of it have a wrong checksum: the next backup reads it again, whatever its times say. */
  damaged: z.literal(true).optional(),
});

export type FileMeta = z.infer<typeof fileMetaSchema>;

/** Paths of configuration files that lie outside the data directory begin with this. */
export const configDirectory = 'holdfast.config/';

/** The path of the entry with the stamps of a relation's segment. */
export function stampsPath(path: string): string {
  return `${path}#stamps`;
}
