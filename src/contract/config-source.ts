import { z } from 'zod';
import { clusterSourceSchema } from './config-source-cluster.ts';
import { filesSourceSchema } from './config-source-files.ts';
import { postgresSourceSchema } from './config-source-postgres.ts';
import { sqliteSourceSchema } from './config-source-sqlite.ts';

/** One source of the configuration, by its type. */
export const sourceSchema = z.discriminatedUnion('type', [
  postgresSourceSchema,
  clusterSourceSchema,
  sqliteSourceSchema,
  filesSourceSchema,
]);

export type SourceConfig = z.output<typeof sourceSchema>;
