import { z } from 'zod';
import { databaseMetadataSchema } from './metadata.ts';

const count = z.number().int().nonnegative();

/** How the database was made that a script was dumped from, where that is known. */
export const scriptDatabaseSchema = databaseMetadataSchema.pick({
  name: true,
  owner: true,
  encoding: true,
  collate: true,
  ctype: true,
  locale_provider: true,
  locale: true,
  icu_rules: true,
  tablespace: true,
});

/** What a manifest says of a backup of kind `postgres-sql`: a script for psql. */
export const scriptMetadataSchema = z.strictObject({
  schema: z.literal(1),
  bytes: count,
  statements: count,
  /** Filled by COPY, and how many rows. */
  tables: count,
  rows: count,
  /** It can run in one transaction. */
  transactional: z.boolean(),
  server_version: z.string().nullable(),
  pg_dump_version: z.string().nullable(),
  /** Null: as a new database is on the server it is restored to. */
  database: scriptDatabaseSchema.nullable(),
});

export type ScriptMetadata = z.infer<typeof scriptMetadataSchema>;
export type ScriptDatabase = z.infer<typeof scriptDatabaseSchema>;

/** The one entry. */
export const scriptEntry = { kind: 'pg.sql', path: 'script.sql' } as const;
