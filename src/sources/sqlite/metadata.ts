import { z } from 'zod';

const count = z.number().int().nonnegative();
/** Nanoseconds since 1970, which no double can hold. */
const instantNs = z.string().regex(/^-?\d+$/);

/** What entries of a `sqlite` backup are. */
export const entryKinds = {
  /** The bytes of a database. */
  database: 'sqlite.database',
  /** For each of its pages the first 16 bytes of its SHA-256, one after another. */
  hashes: 'sqlite.page-hashes',
} as const;

export const hashBytes = 16;

const fileIdentitySchema = z.strictObject({
  size: count,
  mtime: instantNs,
  ctime: instantNs,
  inode: z.string(),
});

/** The files of a database as they were just before it was read; null what was not there. */
export const identitySchema = z.strictObject({
  main: fileIdentitySchema,
  wal: fileIdentitySchema.nullable(),
  journal: fileIdentitySchema.nullable(),
  /** What the log says of its content; not there when there is no log, or one too large to be looked through. */
  wal_mark: z.string().optional(),
});

export const checkResultSchema = z.strictObject({
  level: z.enum(['quick', 'full', 'none']),
  /** `unknown`: not examined, or it could not be. */
  result: z.enum(['ok', 'damaged', 'unknown']),
  /** The first that were found. */
  problems: z.array(z.string()),
});

/** `meta` of an entry of kind `sqlite.database`. */
export const databaseMetaSchema = z.strictObject({
  /** Its absolute path when it was backed up, as `pathText` writes it. */
  file: z.string().min(1),
  /** 0 for an empty file. */
  page_size: count,
  pages: count,
  journal: z.enum(['wal', 'rollback']),
  encoding: z.enum(['UTF-8', 'UTF-16le', 'UTF-16be']).nullable(),
  user_version: z.number().int(),
  application_id: z.number().int(),
  /** The lower twelve bits. */
  mode: count,
  uid: count,
  gid: count,
  mtime: instantNs,
  /**
   * How it was read: `snapshot` by SQLite's online backup, `still` as a file that did not change, `recovered` from a copy
   * in which SQLite finished what a crash had left, `empty` not at all.
   */
  way: z.enum(['snapshot', 'still', 'recovered', 'empty']),
  identity: identitySchema,
  check: checkResultSchema,
  /** Path of the entry with the hashes of its pages; null for an empty file. */
  hashes: z.string().nullable(),
});

/** `meta` of an entry of kind `sqlite.page-hashes`. */
export const hashesMetaSchema = z.strictObject({
  /** Path of the entry of the database. */
  database: z.string().min(1),
  page_size: count,
});

/** What a manifest says of a backup of kind `sqlite`. */
export const sqliteMetadataSchema = z.strictObject({
  schema: z.literal(1),
  /** The directory that paths of entries are relative to, as `pathText` writes it. */
  directory: z.string().min(1),
  databases: count,
  bytes: count,
  /** Databases taken over from the backup before without being read. */
  unchanged: count,
  /** Databases in which damage was found. */
  damaged: count,
  /** Databases that could not be backed up, and paths that match nothing. */
  failed: count,
});

export type FileIdentity = z.infer<typeof fileIdentitySchema>;
export type Identity = z.infer<typeof identitySchema>;
export type CheckResult = z.infer<typeof checkResultSchema>;
export type DatabaseMeta = z.infer<typeof databaseMetaSchema>;
export type SqliteMetadata = z.infer<typeof sqliteMetadataSchema>;
