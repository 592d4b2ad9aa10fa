import type { Recoverable } from '../operations/wal/recoverable.ts';
import { instant } from './format.ts';

/** `to 2026-11-21 20:33:00Z (16/B374D848, timeline 2)`, or that it does not. */
export function recoveryWords({ from, to, gap, broken }: Recoverable): string {
  if (to === null) return `nowhere: ${broken ?? 'WAL it needs is missing'}`;
  const time = to.at === null ? `to its end, ${instant(from.at)}` : `to ${instant(to.at)}`;
  const hole = gap?.to === null || gap === null ? '' : '; behind it WAL is missing';
  return `${time} (${to.lsn}, timeline ${to.timeline})${hole}`;
}
