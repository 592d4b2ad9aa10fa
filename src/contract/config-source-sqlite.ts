import { z } from 'zod';
import { sourceRetentionSchema } from './config-retention.ts';
import {
  durationSchema,
  jobsSchema,
  pathsSchema,
  setting,
  tagsSetting,
  textSchema,
} from './config-setting.ts';
import { maxAgeSetting } from './config-verify.ts';

/** A source of type `sqlite`: one or many SQLite databases in one backup. */
export const sqliteSourceSchema = z.strictObject({
  type: setting(z.literal('sqlite'), {
    description:
      'The kind of source: sqlite is one or many SQLite databases, backed up while they are in use',
    example: 'sqlite',
  }),
  paths: setting(pathsSchema(), {
    description:
      'Files, or patterns such as data/*.db and data/**/*.sqlite. Each must match something. What lies beside a database (-wal, -shm, -journal) belongs to it and need not be named',
    path: true,
    example: '[".data/*.db"]',
  }),
  exclude: setting(z.array(textSchema, { error: 'must be a list of patterns' }).default([]), {
    description: 'Patterns of files that paths match and that are to be left out',
    path: true,
    example: '["data/cache*.db"]',
  }),
  check: setting(z.enum(['quick', 'full', 'none']).default('quick'), {
    description:
      'How the copy is examined before it is stored: quick looks at every page (PRAGMA quick_check), full at the indexes as well (integrity_check). A damaged database is backed up all the same, and the backup is marked',
  }),
  lock_timeout: setting(durationSchema.prefault('60s'), {
    description: 'How long to wait for a database that somebody has locked, before it is given up',
  }),
  jobs: setting(jobsSchema(), {
    description: 'How many databases of this source are read at once; auto takes the global jobs',
  }),
  tags: tagsSetting(),
  max_age: maxAgeSetting(),
  retention: sourceRetentionSchema.optional(),
});

export type SqliteSourceConfig = z.output<typeof sqliteSourceSchema>;
