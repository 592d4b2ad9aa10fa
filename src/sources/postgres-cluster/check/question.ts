import { isFailure, reasonOf } from '../../../kernel/errors/failure.ts';
import type { Session } from '../../../postgres/connection/session.ts';
import type { Finding } from '../../port.ts';
import type { ClusterCheckOptions } from './options.ts';
import type { Settings } from './settings.ts';
import type { SlotRow } from './slot-rows.ts';

/** What all questions about a server that answers may use. */
export interface Asked {
  readonly options: ClusterCheckOptions;
  readonly session: Session;
  readonly signal: AbortSignal;
  readonly major: number;
  readonly settings: Settings;
  /** Of the server; empty when they could not be listed. */
  readonly slots: readonly SlotRow[];
  /** It is in recovery, and no standby: it opens when it has come to the target of its restore. */
  readonly restoring: boolean;
}

/** One part of the check. What it throws becomes a finding. */
export type Question = (asked: Asked) => Promise<Finding[]> | Finding[];

export function ok(check: string, message: string): Finding {
  return { check, level: 'ok', message };
}

export function warning(check: string, message: string, mend: string): Finding {
  return { check, level: 'warning', message, mend };
}

export function wrong(check: string, message: string, mend: string): Finding {
  return { check, level: 'error', message, mend };
}

/** The finding for whatever was thrown; only an abort is thrown on. */
export function brokenBy(
  check: string,
  error: unknown,
  signal: AbortSignal,
  level: 'warning' | 'error' = 'error',
): Finding {
  signal.throwIfAborted();
  if (isFailure(error)) {
    const { message, hint, code } = error;
    return { check, level, message, mend: hint, code };
  }
  return {
    check,
    level,
    message: `it could not be looked at: ${reasonOf(error)}`,
    mend: 'look at the reason',
  };
}

export const thenRestart = 'then restart the server';
export const reload = 'SELECT pg_reload_conf();';

/** Takes effect by {@link reload}, for some settings by a restart only. */
export function alterSystem(name: string, literal: string): string {
  return `ALTER SYSTEM SET ${name} = ${literal};`;
}
