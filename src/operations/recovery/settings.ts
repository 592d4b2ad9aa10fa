import { formatLsn } from '../../postgres/lsn.ts';
import type { PostgresTarget } from './target-model.ts';
import type { RecoveryPlan } from './target.ts';
import { formatMicroseconds } from './words.ts';

/** The settings that make PostgreSQL recover to what was planned, by name; values are not quoted. */
export function recoverySettings(
  plan: Pick<RecoveryPlan, 'target' | 'timelineSetting'>,
): Readonly<Record<string, string>> {
  const timeline = { recovery_target_timeline: plan.timelineSetting };
  return plan.target === null ? timeline : { ...targetSettings(plan.target), ...timeline };
}

function targetSettings(target: PostgresTarget): Readonly<Record<string, string>> {
  switch (target.kind) {
    case 'immediate':
      return { recovery_target: 'immediate' };
    case 'name':
      return { recovery_target_name: target.value };
    case 'time':
      return { recovery_target_time: `${formatMicroseconds(target.value)}+00`, ...inclusive(target) };
    case 'lsn':
      return { recovery_target_lsn: formatLsn(target.value), ...inclusive(target) };
    case 'xid':
      return { recovery_target_xid: String(target.value), ...inclusive(target) };
  }
}

function inclusive(target: { readonly inclusive: boolean }): Readonly<Record<string, string>> {
  return { recovery_target_inclusive: target.inclusive ? 'on' : 'off' };
}
