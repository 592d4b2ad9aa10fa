import type { BackupContext } from '../../port.ts';
import type { LinkTable } from './links.ts';
import type { Xattrs } from '../posix-helper.ts';
import type { Known, PreviousFiles } from './previous.ts';
import type { ReadResult } from './read-task.ts';
import { topPath } from '../path-order.ts';
import type { Root } from './roots.ts';
import type { ScanBatch, Scanned, ScannedFile } from './scan.ts';

/** One thing that was found, and what is to be done about it. */
export interface Slot {
  readonly found: Scanned;
  /**
   * `seen` costs nothing more. `known` is as in the backup before. `linked` is another name of a file that came before,
   * if that got into the backup.
   */
  how: 'seen' | 'known' | 'read' | 'linked';
  known?: Known;
  result?: ReadResult;
  xattrs?: Xattrs;
  /** Why the extended attributes could not be read: an errno. */
  xattrsError?: string;
}

/** A batch of what was found, on its way into the backup. */
export interface Unit {
  readonly root: Root;
  readonly slots: readonly Slot[];
  readonly notes: ScanBatch['notes'];
}

/** Where a thing is that has this path in the backup: absolute, written as `pathText` does. */
export function placeOf(root: Root, path: string): string {
  if (path === root.at) return root.path;
  const below = root.at === topPath ? path : path.slice(root.at.length + 1);
  return `${root.path === '/' ? '' : root.path}/${below}`;
}

/** Decides which files of a batch have to be read. Batches must come in their order. */
export async function planUnit(
  batch: ScanBatch,
  root: Root,
  links: LinkTable,
  previous: PreviousFiles | undefined,
  context: Pick<BackupContext, 'keep'>,
): Promise<Unit> {
  const slots: Slot[] = [];
  const hoped: (Slot & { known: Known })[] = [];
  for (const found of batch.found) {
    if (found.kind !== 'file') {
      slots.push({ found, how: 'seen' });
    } else if (isLaterName(found, links)) {
      slots.push({ found, how: 'linked' });
    } else {
      const known = await previous?.find(found);
      const slot: Slot = { found, how: 'read' };
      slots.push(slot);
      if (known !== undefined) hoped.push(Object.assign(slot, { known }));
    }
  }
  const kept = hoped.length === 0 ? [] : await context.keep(hoped.map(({ known }) => known.stream));
  for (const [index, slot] of hoped.entries()) if (kept[index] === true) slot.how = 'known';
  return { root, slots, notes: batch.notes };
}

/** The first name of a file is noted. */
function isLaterName({ shared, path }: ScannedFile, links: LinkTable): boolean {
  if (shared === undefined) return false;
  if (links.get(shared.id) !== undefined) return true;
  links.set(shared.id, { path, left: shared.names - 1, ctime: '' });
  return false;
}
