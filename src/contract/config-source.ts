import { z } from 'zod';
import { filesSourceSchema } from './config-source-files.ts';
import { postgresSourceSchema } from './config-source-postgres.ts';
import { sqliteSourceSchema } from './config-source-sqlite.ts';

/** One source of the configuration, by its type. */
export const sourceSchema = z.discriminatedUnion('type', [
  postgresSourceSchema,
  sqliteSourceSchema,
  filesSourceSchema,
]);

export type SourceConfig = z.output<typeof sourceSchema>;

/** Source types that are planned: named as such instead of being called unknown. */
export const laterSourceTypes: readonly string[] = ['postgres-cluster'];
