import { chown, mkdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { runAgain } from '../../../kernel/errors/core.ts';
import { asFailure, failure, HoldfastError } from '../../../kernel/errors/failure.ts';
import type { RestoreContext } from '../../port.ts';
import { Areas } from './areas.ts';
import { moveAside } from './aside.ts';
import { writeFailure } from './failure.ts';
import { lookAtCluster } from './local-cluster.ts';
import { checkStopped, type ClusterRestoreWork } from './plan.ts';
import { examineTarget, isEmpty, nearestDirectory } from './target.ts';
import { ClusterRun, type RunResult } from './cluster-run.ts';

/** Runs a plan. Until all is done no server starts from the target: it has no `pg_control`. */
export async function runWork(work: ClusterRestoreWork, context: RestoreContext): Promise<RunResult> {
  const { target } = work;
  const now = await examineTarget(work.options.target);
  if (now.found === 'full') await checkStopped(now);
  if (now.path !== target.path || (now.found === 'full' && work.mode === 'create'))
    throw failure('cluster_target_not_empty', { target: target.path, detail: changed });
  const replaced: string[] = [];
  let begun = false;
  try {
    if (work.mode === 'replace') await moveAllAside(work, replaced);
    const made = await makePlaces(work);
    await using areas = await Areas.open(
      target.path,
      work.tablespaces.map(({ placed }) => placed),
    );
    await checkHeld(work, areas);
    begun = true;
    return { ...(await new ClusterRun(work, context, areas, made).run()), replaced };
  } catch (error) {
    const { signal } = context;
    throw unfinished(signal.aborted ? (signal.reason as unknown) : error, target.path, begun, replaced);
  }
}

/** That the directory that was opened is the one that was looked at: its name may lead elsewhere by now. */
async function checkHeld({ mode, target, metadata }: ClusterRestoreWork, areas: Areas): Promise<void> {
  const { base } = areas.of(null);
  if (mode !== 'delta') {
    if (await isEmpty(base)) return;
    throw failure('cluster_target_not_empty', { target: target.path, detail: changed });
  }
  const { systemIdentifier, mark } = await lookAtCluster(base);
  if ((systemIdentifier ?? mark?.system_identifier) === metadata.system_identifier) return;
  throw failure('cluster_target_other', {
    target: target.path,
    reason: 'it is another than when the restore was planned',
  });
}

const changed = ' by now; it was when the restore was planned';

async function moveAllAside(
  { target, tablespaces, options }: ClusterRestoreWork,
  moved: string[],
): Promise<void> {
  const move = async (path: string): Promise<void> => {
    try {
      moved.push(await moveAside(path, options.now()));
    } catch (error) {
      throw writeFailure(path, error, target.path);
    }
  };
  await move(target.path);
  for (const { placed, occupied } of tablespaces)
    for (const version of occupied) await move(join(placed.location, version));
}

/** Tells what is left and how to go on, whatever it was that failed. */
function unfinished(error: unknown, target: string, begun: boolean, replaced: readonly string[]): Error {
  const failed = asFailure(error);
  const kept = replaced.length === 0 ? '' : `; what was there before is kept as ${replaced.join(', ')}`;
  if (!begun && replaced.length === 0) return failed;
  const told = failed.errorName === 'cluster_restore_unfinished';
  const how = replaced.length === 0 ? '--delta' : '--delta in place of --force';
  const goOn = `run the same command with ${how}, and it goes on where this one stopped`;
  // What a face says of an interruption is true of restores that take back what they did.
  const isOver = failed.errorName === 'interrupted' || [runAgain, ''].includes(failed.hint);
  const first = isOver ? '' : `${failed.hint}; then `;
  const hint = told ? failed.hint : `${first}${goOn}`;
  const message = told ? failed.message : `${failed.message}; the restore to ${target} is not finished`;
  const { details } = failed;
  return new HoldfastError(failed.errorName, message + kept, hint, {
    cause: failed,
    details: { ...details, replaced },
  });
}

/** Makes the directories that all else goes into; gives those of which the nearest directory above was there before. */
async function makePlaces({ target, tablespaces, owner }: ClusterRestoreWork): Promise<Map<string, string>> {
  const made = new Map<string, string>();
  for (const path of [target.path, ...tablespaces.map(({ placed }) => placed.location)]) {
    try {
      const nearest = await nearestDirectory(path);
      if (nearest === path) continue;
      made.set(path, nearest);
      // Those above it have to let its owner through.
      await mkdir(dirname(path), { recursive: true });
      await mkdir(path, { mode: 0o700 });
      if (owner === null) continue;
      for (let at = path; at !== nearest; at = dirname(at))
        if (at !== target.path) await chown(at, owner.uid, owner.gid);
    } catch (error) {
      throw writeFailure(path, error, target.path);
    }
  }
  return made;
}
