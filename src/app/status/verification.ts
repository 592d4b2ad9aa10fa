import { catalogue } from '../../kernel/errors/catalogue.ts';
import { isFailure } from '../../kernel/errors/failure.ts';
import { listReports, readReport, type VerifyRecord } from '../../repository/reports.ts';
import type { HistoryPlace } from '../../repository/history/forgotten.ts';

const ageCodes: readonly string[] = [catalogue.backup_none.code, catalogue.backup_too_old.code];

/** Reports looked at for one of a verification that read data. */
const reportsRead = 8;

/** What the last verification said. */
export interface LastVerification {
  readonly at: string;
  readonly level: VerifyRecord['level'];
  readonly ok: boolean;
  readonly problems: number;
  /** Of those, what is not only the age of backups, which may have changed since. */
  readonly lasting_problems: number;
  readonly backups_checked: number;
  readonly host: string;
  /** When data was read the last time, all or a share; null when the newest few verifications read none. */
  readonly data_read_at: string | null;
}

/** Null when nobody has verified yet, or no report can be read. */
export async function lastVerification(
  repository: HistoryPlace,
  signal: AbortSignal,
): Promise<LastVerification | null> {
  const reports: VerifyRecord[] = [];
  for (const name of (await listReports(repository, signal)).slice(-reportsRead).toReversed()) {
    try {
      const report = await readReport(repository, name, signal);
      if (report !== undefined) reports.push(report);
    } catch (error) {
      if (!isFailure(error, 'object_damaged')) throw error;
    }
    if (reports.some(({ level }) => level !== 'structure')) break;
  }
  const [last] = reports;
  if (last === undefined) return null;
  return {
    at: last.finished_at,
    level: last.level,
    ok: last.ok,
    problems: last.problems_total,
    lasting_problems:
      last.problems_total - last.problems.filter(({ code }) => ageCodes.includes(code)).length,
    backups_checked: last.backups_checked,
    host: last.host,
    data_read_at: reports.find(({ level }) => level !== 'structure')?.finished_at ?? null,
  };
}
