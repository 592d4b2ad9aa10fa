import { catalogue } from '../kernel/errors/catalogue.ts';
import { failure, type HoldfastError } from '../kernel/errors/failure.ts';
import { plural } from '../kernel/plural.ts';
import type { RepairStep } from '../operations/repair/report.ts';
import type { VerifyReport } from '../operations/verify-report.ts';

/** The error of a verification that has found something. */
export function problemsFound(report: VerifyReport, location: string): HoldfastError {
  const affected = affectedBy(report);
  return failure('verify_failed', {
    location,
    problems: countOf(report),
    affected: affectedWords(affected),
    mend: mendOf(report, affected),
  });
}

/** The error of a repair that has left something broken. */
export function notMended(report: VerifyReport, location: string, sources: readonly string[]): HoldfastError {
  const affected = affectedBy(report);
  const anew = ['holdfast backup', ...sources].join(' ');
  const gaps = gapsOnly(report);
  const mend = gaps
    ? mendOf(report, affected)
    : affected.size > 0
      ? `what a source still has mends the backups of before, too: ${anew}; then holdfast verify --repair again. What stays broken then: holdfast forget`
      : 'see what is named above; docs/verify-repair.md says what to do about each';
  return failure('repair_incomplete', {
    location,
    problems: countOf(report),
    affected: affectedWords(affected),
    mend,
  });
}

/** What a dry run answers: there is damage, and what would be left of it, as far as it can know. */
export function wouldMend(
  report: VerifyReport,
  location: string,
  plan: readonly RepairStep[],
): HoldfastError {
  const planned = new Set(plan.map(({ object }) => object));
  const left = plan.filter(({ action }) => action === 'leave').map(({ object }) => object);
  const isOfStep = (object: string): boolean =>
    planned.has(object) || /^(?:packs\/|chunk |snapshots\/|backup |the entries )/.test(object);
  const isWalCopied = plan.some(({ action, object }) => action === 'replace' && object.startsWith('wal/'));
  for (const { object, code } of report.problems)
    if (!isOfStep(object) && !(isWalCopied && (code.startsWith('HF-54') || object.startsWith('wal/'))))
      left.push(object);
  const named = [...new Set(left)];
  const more = named.length > 5 ? ' and others' : '';
  const outlook =
    named.length === 0
      ? 'all of it can be mended, as far as a dry run can tell'
      : `this would stay broken, as far as a dry run can tell: ${named.slice(0, 5).join(', ')}${more}`;
  return failure('repair_planned', { location, problems: countOf(report), outlook });
}

export function countOf(report: VerifyReport): string {
  return plural(report.problems.length + report.problems_not_listed, 'problem');
}

export function affectedBy(report: VerifyReport): ReadonlySet<string> {
  return new Set(report.problems.flatMap(({ backups }) => backups));
}

function affectedWords(affected: ReadonlySet<string>): string {
  if (affected.size === 0) return 'no backup that is there is affected';
  return `${plural(affected.size, 'backup')} ${affected.size === 1 ? 'is' : 'are'} affected`;
}

/** Codes of what is no damage to anything that is there: WAL that never came, backups that were not made. */
const gapCodes: ReadonlySet<string> = new Set([
  catalogue.wal_interrupted.code,
  catalogue.wal_backup_broken.code,
]);
const ageCodes: ReadonlySet<string> = new Set([catalogue.backup_too_old.code, catalogue.backup_none.code]);

function gapsOnly(report: VerifyReport): boolean {
  return report.problems_not_listed === 0 && report.problems.every(({ code }) => gapCodes.has(code));
}

function mendOf(report: VerifyReport, affected: ReadonlySet<string>): string {
  const { problems } = report;
  if (gapsOnly(report)) {
    const sources = new Set(
      report.recovery.filter(({ backup }) => affected.has(backup)).map(({ source }) => source),
    );
    const words = ['holdfast backup', ...sources].join(' ');
    return `take a backup now, from which recovery can go on: ${words}; if the missing WAL is somewhere else: holdfast wal push FILE`;
  }
  if (problems.every(({ code }) => ageCodes.has(code)))
    return `find out why none was made: holdfast backup ${problems.map(({ object }) => object.replace('source ', '')).join(' ')}`;
  if (problems.every(({ code }) => code === catalogue.place_changed.code))
    return 'set the place up as it was, as said above; or, if it shall be so: holdfast verify --accept-place';
  return 'what is not named above restores. See what can be mended: holdfast verify --repair --dry-run';
}
