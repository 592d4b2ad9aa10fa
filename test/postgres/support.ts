import { randomBytes } from 'node:crypto';
import { tmpdir } from 'node:os';
import type { HoldfastError } from '../../src/kernel/errors/failure.ts';
import { isFailure } from '../../src/kernel/errors/failure.ts';
import { backupPostgres, type PostgresBackupOptions } from '../../src/sources/postgres-logical/backup.ts';
import { connectionFromUrl } from '../../src/postgres/connection/connection.ts';
import {
  postgresMetadataSchema,
  type PostgresMetadata,
} from '../../src/sources/postgres-logical/metadata.ts';
import type {
  PostgresRestoreOptions,
  RestorePlan,
} from '../../src/sources/postgres-logical/restore-options.ts';
import { planRestore } from '../../src/sources/postgres-logical/restore-plan.ts';
import { runRestore, type RestoreSummary } from '../../src/sources/postgres-logical/restore.ts';
import { MemoryBackup } from '../../testing/memory-backup.ts';
import type { PostgresServer } from '../../testing/postgres-server.ts';

export interface Taken {
  readonly memory: MemoryBackup;
  readonly metadata: PostgresMetadata;
  readonly warnings: readonly string[];
}

export interface RunSettings {
  readonly jobs?: number;
  readonly signal?: AbortSignal;
}

/** No variable of the machine but PATH: a PGHOST of whoever runs the tests must not matter. */
export const env = { PATH: process.env['PATH'] };

export async function takeBackup(
  url: string,
  options: Partial<PostgresBackupOptions> = {},
  settings: RunSettings = {},
  memory = new MemoryBackup(),
): Promise<Taken> {
  const outcome = await backupPostgres(
    { connection: connectionFromUrl(url, {}), env, globals: false, ...options },
    memory.backupContext(settings),
  );
  return { memory, metadata: postgresMetadataSchema.parse(outcome.metadata), warnings: outcome.warnings };
}

export async function plan(
  taken: Taken,
  url: string,
  options: Partial<PostgresRestoreOptions> = {},
  settings: RunSettings = {},
): Promise<RestorePlan> {
  return await planRestore(
    {
      target: connectionFromUrl(url, {}),
      env,
      temporaryDirectory: tmpdir(),
      randomHex: (bytes) => randomBytes(bytes).toString('hex'),
      ...options,
    },
    taken.memory.restoreContext(taken.metadata, settings),
  );
}

export async function restore(
  taken: Taken,
  url: string,
  options: Partial<PostgresRestoreOptions> = {},
  settings: RunSettings = {},
): Promise<RestoreSummary> {
  const planned = await plan(taken, url, options, settings);
  return await runRestore(planned, taken.memory.restoreContext(taken.metadata, settings), () =>
    process.hrtime.bigint(),
  );
}

export async function databaseNames(server: PostgresServer): Promise<string[]> {
  return (
    await server.psql(`SELECT datname FROM pg_database WHERE datname NOT LIKE 'template%' ORDER BY 1`)
  ).split('\n');
}

/** For `assert.rejects`: the error of that name, with nothing in it that must be secret. */
export function failing(
  name: HoldfastError['errorName'],
  check: (error: HoldfastError) => void = () => undefined,
) {
  return (error: unknown): boolean => {
    if (!isFailure(error)) throw error;
    if (error.errorName !== name)
      throw new Error(`expected ${name}, got ${error.errorName}: ${error.message}`, { cause: error });
    check(error);
    return true;
  };
}

/** A promise and the way to settle it. */
export function gate(): { readonly opened: Promise<void>; readonly open: () => void } {
  const { promise, resolve } = Promise.withResolvers<void>();
  return { opened: promise, open: resolve };
}
