import { siblingModule } from '../../../kernel/module-url.ts';
import type { TaskModule } from '../../../pipeline/task.ts';
import type { RestoreContext } from '../../port.ts';
import type { Exact } from './exact.ts';
import type { FinishInput } from './finish-task.ts';
import { givenTo, type Owners } from './owner.ts';
import type { FileStep } from './walk.ts';
import type { Restored } from './write-task.ts';

/** Where things are restored to before they are put in place, and how. */
export interface Staging {
  /** Absolute. */
  readonly base: string;
  /** What that place is called in errors: where everything will be. */
  readonly shown: string;
  readonly owners: Owners;
  readonly check: boolean;
  /** Files and directories are made durable one by one; otherwise all at once in the end. */
  readonly flush: boolean;
  readonly exact: Exact;
  readonly context: RestoreContext;
}

/** What has been done, for the result. */
export interface Done {
  checked: number;
  /** How many things could not be given to their owners. */
  notGiven: number;
}

export const finishTask: TaskModule<FinishInput, null> = {
  url: siblingModule(import.meta.url, './finish-task.ts'),
  exportName: 'finishFiles',
};

export function restoredFile({ path, meta }: FileStep, owners: Owners): Restored {
  return { path, mtime: meta.mtime, ...givenTo(meta, owners, true) };
}
