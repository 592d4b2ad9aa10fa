import type { RetentionBackup } from '../../src/policy/retention/model.ts';

/** A backup that is only worth its time, unless said otherwise. */
export function backupAt(
  startedAtMs: number,
  sequence: number,
  more: Partial<RetentionBackup> = {},
): RetentionBackup {
  return {
    id: sequence.toString(16).padStart(8, '0').padEnd(32, '0'),
    source: 'shop',
    kind: 'postgres',
    sequence,
    startedAtMs,
    tags: {},
    pinned: null,
    incomplete: false,
    imported: false,
    wal: null,
    ...more,
  };
}

export const hourMs = 3_600_000;
export const dayMs = 24 * hourMs;
