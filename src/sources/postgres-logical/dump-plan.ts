import { exactTablePattern } from '../../postgres/names.ts';
import type { SizedTable } from './inventory.ts';

/** What one pg_dump of a database is asked for. */
export interface ArchivePlan {
  readonly number: number;
  readonly content: 'all' | 'data';
  /** Left out of the first archive, or the only ones of a further one. */
  readonly tables: readonly SizedTable[];
}

/**
 * The archives to write side by side: the first has the schema and every table that is not big, each further one some
 * of the big tables. Biggest first into the least filled, so that all end at about the same time; the first archive
 * starts with what the small tables weigh.
 */
export function planArchives(
  bigTables: readonly SizedTable[],
  restBytes: number,
  jobs: number,
): ArchivePlan[] {
  const whole: ArchivePlan = { number: 0, content: 'all', tables: [] };
  if (jobs < 2 || bigTables.length === 0) return [whole];
  const shares = Array.from({ length: jobs }, (_, number) => ({
    number,
    bytes: number === 0 ? restBytes : 0,
    tables: [] as SizedTable[],
  }));
  for (const table of bigTables.toSorted((a, b) => b.bytes - a.bytes)) {
    const least = shares.reduce((best, share) => (share.bytes < best.bytes ? share : best));
    least.bytes += table.bytes;
    least.tables.push(table);
  }
  const further = shares.slice(1).filter(({ tables }) => tables.length > 0);
  const elsewhere = further.flatMap(({ tables }) => tables);
  return [
    { ...whole, tables: elsewhere },
    ...further.map(({ tables }, index) => ({ number: index + 1, content: 'data' as const, tables })),
  ];
}

export interface DumpSettings {
  /** Of `pg_export_snapshot()`; undefined where the dump takes its own. */
  readonly snapshot: string | undefined;
  readonly lockWaitMs: number;
  /** On a standby, where unlogged tables cannot be read. */
  readonly withoutUnlogged: boolean;
}

/** Arguments for pg_dump; never a secret, never the name of the database (PGDATABASE carries it). */
export function dumpArguments(plan: ArchivePlan, settings: DumpSettings): string[] {
  const args = [
    '--format=custom',
    '--compress=0',
    '--no-password',
    `--lock-wait-timeout=${settings.lockWaitMs}`,
  ];
  if (settings.snapshot !== undefined) args.push(`--snapshot=${settings.snapshot}`);
  if (settings.withoutUnlogged) args.push('--no-unlogged-table-data');
  const option = plan.content === 'all' ? '--exclude-table-data' : '--table';
  if (plan.content === 'data') args.push('--data-only');
  for (const { schema, table } of plan.tables) args.push(`${option}=${exactTablePattern(schema, table)}`);
  return args;
}
