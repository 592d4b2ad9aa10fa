import type { Entry } from '../../../contract/stream.ts';
import type { RestoreContext } from '../../port.ts';
import type { FilesRestoreOptions } from './options.ts';
import { type FilesRestoreWork, makePlan } from './plan.ts';
import { runWork } from './run.ts';

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
  readonly work: FilesRestoreWork;
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
  options: FilesRestoreOptions,
  context: RestoreContext,
): Promise<FilesRestorePlan> {
  const { work, ...counted } = await makePlan(options, context);
  const { selection, renamed } = work;
  return {
    summary: { kind: 'files', target: options.target, ...counted },
    work,
    needs: ({ path, stream }) => stream !== null && (selection.chooses(path) || renamed.has(path)),
  };
}

/** Does what a plan says. When it rejects, the target is as it was. */
export async function runFilesRestore(
  { summary, work }: FilesRestorePlan,
  context: RestoreContext,
): Promise<FilesRestored> {
  context.signal.throwIfAborted();
  context.progress.total(summary.bytes);
  const { checked, replaced, warnings } = await runWork(work, context);
  const { target, files, directories, links, bytes } = summary;
  return {
    target,
    files,
    directories,
    links,
    bytes,
    checked,
    replaced,
    warnings: [...summary.warnings, ...warnings],
  };
}
