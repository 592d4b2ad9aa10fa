import { rmdir, unlink } from 'node:fs/promises';
import type { RestoreContext } from '../../port.ts';
import type { Areas } from './areas.ts';
import { everythingIn } from './difference.ts';
import { writeFailure } from './failure.ts';
import type { TablespaceState } from './tablespaces.ts';
import { wantedPaths } from './wanted.ts';

/** Removes what the backup does not have, or has as something else; gives how many files that were. */
export async function removeExtra(
  areas: Areas,
  target: string,
  tablespaces: readonly TablespaceState[],
  context: RestoreContext,
): Promise<number> {
  const wanted = await wantedPaths(
    context,
    tablespaces.map(({ placed }) => placed),
  );
  const held = tablespaces.map((state) => ({
    ...state,
    placed: { ...state.placed, location: areas.of(state.placed.oid).base },
  }));
  const directories: (string | Buffer)[] = [];
  let removed = 0;
  for await (const { local } of everythingIn(areas.of(null).base, held)) {
    context.signal.throwIfAborted();
    if (wanted.get(local.path)?.kind === local.kind) continue;
    if (local.kind === 'directory') directories.push(local.location);
    else {
      await attempt(`${target}/${local.path}`, target, () => unlink(local.location));
      removed += 1;
    }
  }
  // What is in a directory came after it.
  for (const path of directories.toReversed()) await attempt(path.toString(), target, () => rmdir(path));
  return removed;
}

async function attempt(shown: string, target: string, work: () => Promise<void>): Promise<void> {
  try {
    await work();
  } catch (error) {
    throw writeFailure(shown, error, target);
  }
}
