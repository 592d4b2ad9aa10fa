import { asFailure } from '../../kernel/errors/failure.ts';
import type { Finding } from '../../sources/port.ts';

/** A finding for whatever a check threw. */
export function findingOf(check: string, error: unknown): Finding {
  const { message, hint, code } = asFailure(error);
  return { check, level: 'error', message, mend: hint, code };
}
