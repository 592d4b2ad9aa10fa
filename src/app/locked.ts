import type { Forgotten } from '../operations/forget.ts';
import type { App } from './compose.ts';

/** Says which backups the storage keeps locked: they are there as before. */
export function tellLocked({ observer }: App, locked: Forgotten['locked']): void {
  for (const { id, error } of locked)
    observer.notice({ level: 'warning', message: `backup ${id.slice(0, 8)} stays: ${error.message}` });
}
