import { catalogue } from '../kernel/errors/catalogue.ts';
import { failure } from '../kernel/errors/failure.ts';
import { plural } from '../kernel/plural.ts';
import { verifyRepository } from '../operations/verify.ts';
import type { VerifyReport } from '../operations/verify-report.ts';
import {
  openConfiguredRepository,
  withApp,
  type AppContext,
  type CommonOptions,
  type Outcome,
} from './compose.ts';

export interface VerifyOptions extends CommonOptions {
  /** References of backups; everything in the repository when empty. */
  readonly ids: readonly string[];
  readonly readData?: boolean | undefined;
  /** Share of the packs to read, above 0 and at most 1; implies `readData`. */
  readonly subset?: number | undefined;
}

export interface VerifyResult extends Outcome, Omit<VerifyReport, 'ok'> {
  readonly repository: { readonly id: string; readonly location: string };
}

/** Checks the repository. Problems make the result not ok (`verify_failed`); they are all in it. */
export async function verify(options: VerifyOptions, context: AppContext): Promise<VerifyResult> {
  return withApp(options, context, { name: 'verify', touched: () => [] }, async (app) => {
    await using repository = await openConfiguredRepository(app);
    const backups: string[] = [];
    for (const reference of options.ids)
      backups.push((await repository.find(reference, { signal: app.signal })).id);
    using progress = app.observer.progress('verify');
    const report = await verifyRepository(repository, {
      signal: app.signal,
      log: app.log,
      jobs: app.jobs,
      progress,
      readData: options.readData === true || options.subset !== undefined,
      ...(options.subset === undefined ? {} : { subset: options.subset, random: Math.random }),
      ...(backups.length === 0 ? {} : { backups }),
    });
    const error = report.ok ? undefined : problemsFound(report, repository.storage.location);
    return {
      schema: 1,
      ...report,
      ...(error === undefined ? {} : { error: error.toJSON() }),
      repository: { id: repository.info.id, location: repository.storage.location },
    };
  });
}

function problemsFound(report: VerifyReport, location: string) {
  const affected = new Set(report.problems.flatMap(({ backups }) => backups));
  return failure('verify_failed', {
    location,
    problems: plural(report.problems.length + report.problems_not_listed, 'problem'),
    affected:
      affected.size === 0
        ? 'no backup that is there is affected'
        : `${plural(affected.size, 'backup')} ${affected.size === 1 ? 'is' : 'are'} affected`,
    mend: mendOf(report, affected),
  });
}

/** Codes of what is no damage to anything that is there: WAL that never came. */
const gapCodes: ReadonlySet<string> = new Set([
  catalogue.wal_interrupted.code,
  catalogue.wal_backup_broken.code,
]);

function mendOf(report: VerifyReport, affected: ReadonlySet<string>): string {
  const isAll = report.problems_not_listed === 0 && report.problems.every(({ code }) => gapCodes.has(code));
  if (!isAll) {
    return 'what is not named above restores. See docs/operations.md#verify-found-damage: put back good copies of the objects named, or set them aside and run holdfast backup';
  }
  const sources = new Set(
    report.recovery.filter(({ backup }) => affected.has(backup)).map(({ source }) => source),
  );
  const words = ['holdfast backup', ...sources].join(' ');
  return `take a backup now, from which recovery can go on: ${words}; if the missing WAL is somewhere else: holdfast wal push FILE`;
}
