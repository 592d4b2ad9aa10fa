import { z } from 'zod';
import { connectionShape, excludeInConnection, excluding } from './config-postgres-connection.ts';
import { sourceRetentionSchema } from './config-retention.ts';
import { durationSchema, jobsSchema, setting, tagsSetting, textSchema } from './config-setting.ts';
import { maxAgeSetting } from './config-verify.ts';

/** Settings of one PostgreSQL database, several, or all of a server, backed up logically. */
const shape = {
  type: setting(z.literal('postgres'), {
    description: 'The kind of source: postgres is a PostgreSQL database, backed up logically (pg_dump)',
    example: 'postgres',
  }),
  ...connectionShape,
  database: setting(textSchema.optional(), {
    description: 'The one database to back up',
    defaultText: 'PGDATABASE, else the name of the user',
    example: 'shop',
  }),
  databases: setting(z.array(textSchema, { error: 'must be a list of names' }).min(1).optional(), {
    description:
      'Several databases in one backup; "*" stands for every one of the server. Excludes database. The first connection goes to PGDATABASE or postgres, else to the first listed that exists, else to template1',
    example: '["*"]',
  }),
  client_bin: setting(textSchema.optional(), {
    description: 'Directory of pg_dump and pg_restore',
    path: true,
    defaultText: 'the newest that serves the server, from /usr/lib/postgresql/*/bin and PATH',
    example: '/usr/lib/postgresql/17/bin',
  }),
  jobs: setting(jobsSchema(), {
    description: 'How many tables of this source are dumped at once; auto takes the global jobs',
  }),
  lock_timeout: setting(durationSchema.prefault('60s'), {
    description:
      'How long to wait for a table that somebody has locked, before the backup of this source fails',
  }),
  globals: setting(z.boolean({ error: 'must be true or false' }).default(true), {
    description: 'Also back up what belongs to the server and not to a database: roles and tablespaces',
  }),
  tags: tagsSetting(),
  max_age: maxAgeSetting(),
  retention: sourceRetentionSchema.optional(),
} as const;

/** A source of type `postgres`. */
export const postgresSourceSchema = z.strictObject(shape).superRefine((source, context) => {
  const exclude = excluding(source, context);
  excludeInConnection(exclude);
  exclude('database', 'databases');
});

export type PostgresSourceConfig = z.output<typeof postgresSourceSchema>;
