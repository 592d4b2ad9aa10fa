import { z } from 'zod';

const count = z.number().int().nonnegative();
const optionalText = z.string().nullable();

/** One archive that pg_dump wrote: its table of contents is an entry, so are its data blocks. */
export const archiveSchema = z.strictObject({
  number: count,
  /** `all`: schema and data. `data`: the data of some big tables only, on the same snapshot. */
  content: z.enum(['all', 'data']),
  toc: z.string().min(1),
  tables: count,
  blobs: count,
});

export const databaseMetadataSchema = z.strictObject({
  name: z.string().min(1),
  owner: z.string(),
  encoding: z.string().min(1),
  collate: z.string(),
  ctype: z.string(),
  /** `c` libc, `i` ICU, `b` built in. */
  locale_provider: z.string(),
  /** Of the ICU or built-in provider. */
  locale: optionalText,
  icu_rules: optionalText,
  tablespace: z.string(),
  size_bytes: count,
  extensions: z.array(z.strictObject({ name: z.string(), version: z.string(), schema: z.string() })),
  /** Roles that objects of this database belong to, are granted to, or are otherwise bound to. */
  roles: z.array(z.string()),
  tables: count,
  rows: count,
  /** Bytes of all table data, as COPY text. */
  bytes: count,
  archives: z.array(archiveSchema).min(1),
});

/** What a manifest says of a backup of kind `postgres`. */
export const postgresMetadataSchema = z.strictObject({
  schema: z.literal(1),
  server_version_number: count,
  server_version: z.string(),
  pg_dump_version: z.string(),
  in_recovery: z.boolean(),
  /** Path of the entry with roles and tablespaces, or why there is none. */
  globals: z.strictObject({ path: optionalText, passwords: z.boolean() }),
  databases: z.array(databaseMetadataSchema).min(1),
});

/** `meta` of an entry of kind `pg.toc`. */
export const tocMetaSchema = z.strictObject({
  database: z.string(),
  archive: count,
  encoding: z.string(),
  entries: count,
});

/** `meta` of an entry of kind `pg.table`. */
export const tableMetaSchema = z.strictObject({
  database: z.string(),
  archive: count,
  dump_id: z.number().int().positive(),
  schema: z.string(),
  table: z.string(),
  rows: count,
  /** Bytes of the rows, without the end mark that pg_dump adds. */
  bytes: count,
  /** Of the rows as a set: see `CopyScanner`. */
  fingerprint: z.string(),
});

/** `meta` of an entry of kind `pg.blobs`; its content is the inside of the block as pg_dump wrote it. */
export const blobsMetaSchema = z.strictObject({
  database: z.string(),
  archive: count,
  dump_id: z.number().int().positive(),
  objects: count,
  bytes: count,
  /** Sum modulo 2^128 over the objects of the first half of SHA-256(number as 4 bytes, least significant first; content). */
  fingerprint: z.string(),
});

export const entryKinds = {
  toc: 'pg.toc',
  table: 'pg.table',
  blobs: 'pg.blobs',
  globals: 'pg.globals',
} as const;

export type PostgresMetadata = z.infer<typeof postgresMetadataSchema>;
export type DatabaseMetadata = z.infer<typeof databaseMetadataSchema>;
export type ArchiveMetadata = z.infer<typeof archiveSchema>;
export type TableMeta = z.infer<typeof tableMetaSchema>;
export type BlobsMeta = z.infer<typeof blobsMetaSchema>;
