import { realpath } from 'node:fs/promises';
import { basename, dirname, isAbsolute, join, sep } from 'node:path';
import { failure } from '../kernel/errors/failure.ts';
import type { Repository } from '../repository/repository.ts';

/**
 * Refuses to write where the repository itself is. `replaces`: what is at the target makes way, so that the repository
 * would too if it lay in there. Throws `restore_target_unusable`.
 */
export async function refuseRepositoryPlace(
  { storage: { location } }: Repository,
  target: string,
  replaces: boolean,
): Promise<void> {
  if (!isAbsolute(location) || !isAbsolute(target)) return;
  const [place, wanted] = await Promise.all([real(location), real(target)]);
  const inside = isWithin(place, wanted);
  if (!inside && !(replaces && isWithin(wanted, place))) return;
  throw failure('restore_target_unusable', {
    target,
    reason: inside ? `the repository is there (${place})` : `the repository lies in there (${place})`,
    mend: 'choose another place',
  });
}

/** Whether `path` is `place`, or below it. */
function isWithin(place: string, path: string): boolean {
  return path === place || path.startsWith(place.endsWith(sep) ? place : place + sep);
}

/** Links resolved, of as much of the path as there is. */
async function real(path: string): Promise<string> {
  try {
    return await realpath(path);
  } catch {
    const above = dirname(path);
    return above === path ? path : join(await real(above), basename(path));
  }
}
