import type { Entry } from '../../contract/stream.ts';
import { failure } from '../../kernel/errors/failure.ts';
import type { RestoreContext } from '../port.ts';

export interface FilesRestoreOptions {
  /** Absolute path of a directory. */
  readonly target: string;
  /** Paths or patterns of what to restore; everything when empty. */
  readonly only: readonly string[];
  readonly force: boolean;
  /** Read back what was written, and compare. */
  readonly check: boolean;
  /** Give files to the users they belonged to; only root can. */
  readonly owner: boolean;
  readonly randomHex: (bytes: number) => string;
  /** Milliseconds since 1970. */
  readonly now: () => number;
}

/** What a restore would do, as plain data. */
export interface FilesRestoreSummary {
  readonly kind: 'files';
  /** `create`: the target is new or empty. `replace`: it takes the place of what is there. `add`: chosen paths go into it. */
  readonly mode: 'create' | 'replace' | 'add';
  readonly target: string;
  readonly files: number;
  readonly directories: number;
  readonly links: number;
  readonly bytes: number;
  readonly warnings: readonly string[];
}

export interface FilesRestorePlan {
  readonly summary: FilesRestoreSummary;
  readonly needs: (entry: Entry) => boolean;
}

/** What was restored. */
export interface FilesRestored {
  readonly target: string;
  readonly files: number;
  readonly directories: number;
  readonly links: number;
  readonly bytes: number;
  /** Files read back and found equal. */
  readonly checked: number;
  /** Where what was there before is kept; null when nothing was. */
  readonly replaced: string | null;
  readonly warnings: readonly string[];
}

/** Plans a restore; refuses what cannot go well. Changes nothing. */
export async function planFilesRestore(
  _options: FilesRestoreOptions,
  _context: RestoreContext,
): Promise<FilesRestorePlan> {
  throw failure('not_in_this_version', { what: 'files', suggestion: 'wait' });
}

/** Does what a plan says. When it rejects, the target is as it was. */
export async function runFilesRestore(
  _plan: FilesRestorePlan,
  _context: RestoreContext,
): Promise<FilesRestored> {
  throw failure('not_in_this_version', { what: 'files', suggestion: 'wait' });
}
