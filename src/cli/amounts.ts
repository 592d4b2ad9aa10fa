import type { BackupView } from '../app/backup-view.ts';
import { bytes } from './format.ts';

/** Below this share of it, what was read of a backup is worth a word: the rest was taken over from the one before. */
const nearlyAll = 0.95;

/** What a backup holds, how much of that was read where the rest was taken over, and what it cost. */
export function amountsOf(view: BackupView): string {
  // Lists that a source keeps beside the contents count in `bytes` and are not read.
  const read = view.bytes_read < view.bytes * nearlyAll ? `, ${bytes(view.bytes_read)} of it read` : '';
  return `${bytes(view.bytes)}${read}, ${costOf(view)}`;
}

function costOf({ bytes: all, bytes_added: added, bytes_new: fresh }: BackupView): string {
  if (added === 0) return 'nothing new to store';
  return all === 0 ? `${bytes(added)} stored` : `${bytes(added)} stored, ${share(fresh / all)} of it new`;
}

/** Two digits of a percentage; `all` from the whole on. */
export function share(part: number): string {
  if (part >= 1) return 'all';
  const percent = Number((part * 100).toPrecision(2));
  if (percent === 0) return 'nothing';
  return percent < 0.01 ? 'less than 0.01%' : `${percent}%`;
}
