import { parseSpan, type CalendarSpan } from '../../contract/calendar-span.ts';
import type { RetentionConfig } from '../../contract/config-retention.ts';
import { failure } from '../../kernel/errors/failure.ts';
import type { BucketKind } from './buckets.ts';

/** A rule that keeps a number of backups, each the newest of its bucket; `last` has buckets of one backup. */
export interface SlotRule {
  readonly kind: BucketKind | 'last';
  readonly count: number;
}

/** A policy, read. */
export interface Rules {
  readonly slots: readonly SlotRule[];
  readonly within: { readonly text: string; readonly span: CalendarSpan } | null;
  readonly tags: readonly string[];
  readonly wal: { readonly text: string; readonly span: CalendarSpan } | null;
}

const slotKeys = {
  last: 'keep_last',
  hourly: 'keep_hourly',
  daily: 'keep_daily',
  weekly: 'keep_weekly',
  monthly: 'keep_monthly',
  yearly: 'keep_yearly',
} as const;

/**
 * Reads a policy. `retention_empty` for one that has no rule, or only rules that keep nothing: it would be the order to
 * forget everything, which nobody means. `where` says which policy it is, for the message.
 */
export function readRules(policy: RetentionConfig, where: string): Rules {
  const slots = Object.entries(slotKeys)
    .map(([kind, key]) => ({ kind: kind as SlotRule['kind'], count: policy[key] ?? 0 }))
    .filter(({ count }) => count > 0);
  const rules: Rules = {
    slots,
    within: readSpan(policy.keep_within),
    tags: policy.keep_tags ?? [],
    wal: readSpan(policy.keep_wal),
  };
  if (slots.length === 0 && rules.within === null && rules.tags.length === 0)
    throw failure('retention_empty', { where });
  return rules;
}

/** `last 10, 7 daily, within 7d`: a policy in one line, for people. */
export function describePolicy(policy: RetentionConfig): string {
  const slots = Object.entries(slotKeys).flatMap(([kind, key]) => {
    const count = policy[key] ?? 0;
    return count === 0 ? [] : [kind === 'last' ? `last ${count}` : `${count} ${kind}`];
  });
  return [
    ...slots,
    ...(policy.keep_within === undefined ? [] : [`within ${policy.keep_within}`]),
    ...(policy.keep_tags ?? []).map((tag) => `tag ${tag}`),
    ...(policy.keep_wal === undefined ? [] : [`WAL of ${policy.keep_wal}`]),
  ].join(', ');
}

function readSpan(text: string | undefined): { text: string; span: CalendarSpan } | null {
  if (text === undefined) return null;
  const span = parseSpan(text);
  // The schema has refused these; a policy from elsewhere must not be taken for another one.
  if (typeof span === 'string') throw new Error(`${text} ${span}`);
  return { text, span };
}
