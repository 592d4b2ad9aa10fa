import { z } from 'zod';
import { connectionShape, excludeInConnection, excluding } from './config-postgres-connection.ts';
import { clusterRetentionSchema } from './config-retention.ts';
import {
  durationSchema,
  jobsSchema,
  setting,
  sizeSchema,
  tagsSetting,
  textSchema,
} from './config-setting.ts';
import { maxAgeSetting } from './config-verify.ts';

/** Settings of one PostgreSQL cluster, backed up physically, with its WAL. */
export const clusterSourceSchema = z
  .strictObject({
    type: setting(z.literal('postgres-cluster'), {
      description:
        'The kind of source: postgres-cluster is a whole PostgreSQL server, backed up page by page, with its WAL for recovery to any moment',
      example: 'postgres-cluster',
    }),
    ...connectionShape,
    database: setting(textSchema.optional(), {
      description: 'The database to connect to; all of them are backed up',
      defaultText: 'PGDATABASE, else postgres',
      example: 'postgres',
    }),
    data_directory: setting(textSchema.optional(), {
      description:
        'The data directory of the server, where this machine can read it. Without it everything comes over the replication protocol',
      path: true,
      defaultText: 'none: over the replication protocol',
      example: '/var/lib/postgresql/17/main',
    }),
    checkpoint: setting(z.enum(['fast', 'spread']).default('fast'), {
      description:
        'How a backup begins: fast writes everything out at once, spread takes its time (checkpoint_completion_target) and loads the server less',
    }),
    slot: setting(
      z
        .string({ error: 'must be text' })
        .regex(/^[a-z0-9_]{1,63}$/, { error: 'must be made of lower-case letters, digits and _' })
        .optional(),
      {
        description: 'The replication slot that holdfast wal stream makes and uses',
        defaultText: 'holdfast_ and the name of the source',
        example: 'holdfast_main',
      },
    ),
    wal_interval: setting(durationSchema.prefault('1s'), {
      description:
        'How often what was streamed is stored: about as much is lost when the server is lost. With --synchronous it is stored at once',
    }),
    wal_waiting_limit: setting(sizeSchema.prefault('8GiB'), {
      description:
        'holdfast wal stream and wal status warn when the server keeps more WAL than this for the repository',
    }),
    wal_prefetch: setting(sizeSchema.prefault('256MiB'), {
      description:
        'During a recovery, how much WAL wal get fetches before the server asks for it; 0 for none',
    }),
    jobs: setting(jobsSchema(), {
      description: 'How many files of this source are read at once; auto takes the global jobs',
    }),
    tags: tagsSetting(),
    max_age: maxAgeSetting(),
    retention: clusterRetentionSchema.optional(),
  })
  .superRefine((source, context) => excludeInConnection(excluding(source, context)));

export type ClusterSourceConfig = z.output<typeof clusterSourceSchema>;
