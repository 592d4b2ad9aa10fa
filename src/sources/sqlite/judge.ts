import { failure, type HoldfastError } from '../../kernel/errors/failure.ts';
import type { CheckResult } from './metadata.ts';

/** What a check says about a database, for people. */
export function judgeCheck(
  file: string,
  check: CheckResult,
): { readonly problem: HoldfastError | null; readonly flaw: string | null } {
  if (check.result === 'damaged') {
    const problems = check.problems.slice(0, 3).join('; ').replaceAll(/\s+/g, ' ');
    return { problem: failure('sqlite_damage_found', { file, problems }), flaw: 'is damaged' };
  }
  const [reason] = check.problems;
  if (check.result === 'unknown' && reason !== undefined)
    return { problem: failure('sqlite_unchecked', { file, reason }), flaw: null };
  return { problem: null, flaw: null };
}

export function warningOf({ code, message }: HoldfastError): string {
  return `${code}: ${message}`;
}
