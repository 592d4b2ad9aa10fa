import { reasonOf } from '../../../../kernel/errors/failure.ts';
import type { BackupContext } from '../../../port.ts';
import { entryKinds } from '../../metadata.ts';
import type { ParentPlan } from '../rule.ts';
import type { EntryTable } from './entry-table.ts';

/** The parent to build on, or why there is none, for people. */
export type Plan = ParentPlan | { readonly fullBecause: string };

export interface Parent {
  readonly plan: ParentPlan;
  /** Its relations, and their stamps. */
  readonly entries: EntryTable;
}

/** Reads the entries of the parent that are compared; as many as are not damaged. */
export async function loadParent(
  { plan, entries }: Parent,
  { signal, log }: Pick<BackupContext, 'signal' | 'log'>,
): Promise<void> {
  const { previous } = plan;
  try {
    for await (const entry of previous.entries()) {
      signal.throwIfAborted();
      if (entry.kind === entryKinds.relation || entry.kind === entryKinds.stamps) entries.put(entry);
    }
  } catch (error) {
    signal.throwIfAborted();
    log.warn('the list of the backup before is damaged: what is left is read anew', {
      previous: previous.id,
      reason: reasonOf(error),
    });
  }
}
