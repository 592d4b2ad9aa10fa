import { randomBytes } from 'node:crypto';
import { failure, reasonOf } from '../../kernel/errors/failure.ts';
import type { Logger } from '../../kernel/log.ts';
import { clockPrefix, indexPrefix } from '../../repository/layout.ts';
import { exists } from '../../storage/exists.ts';
import type { Storage } from '../../storage/port.ts';

/**
 * Refuses a copy that is the very place of the repository under another name: a link, another spelling, another endpoint.
 * It would be believed to be a second place, and to lose the one is to lose both. An index that only one of them has shows
 * that they are two; where there is none, an empty object is put through one name and looked for through the other.
 * `copy_same_place`.
 */
export async function assertOtherPlace(
  from: Storage,
  to: Storage,
  { signal, log }: { readonly signal: AbortSignal; readonly log: Logger },
): Promise<void> {
  if (await hasIndexOfItsOwn(from, to, signal)) return;
  const probe = `${clockPrefix}${randomBytes(16).toString('hex')}`;
  try {
    await to.put(probe, new Uint8Array(0), { signal });
  } catch (error) {
    signal.throwIfAborted();
    // Whoever may not write there is told so as soon as there is something to write.
    log.warn('whether a copy is a place of its own cannot be tried', { reason: reasonOf(error) });
    return;
  }
  try {
    if (await exists(from, probe, signal))
      throw failure('copy_same_place', { location: to.location, origin: from.location });
  } finally {
    // Also when it is interrupted. A prune passes over it where it cannot be removed.
    await to.delete(probe).catch((error: unknown) => {
      log.warn('an empty object stays in the copy', { object: probe, reason: reasonOf(error) });
    });
  }
}

/** Names of indexes are made of what is in them, sealed: two places hardly ever write the same. */
async function hasIndexOfItsOwn(from: Storage, to: Storage, signal: AbortSignal): Promise<boolean> {
  const here = new Set<string>();
  for await (const { name } of from.list(indexPrefix, { signal })) here.add(name);
  for await (const { name } of to.list(indexPrefix, { signal }))
    // It may have been written since.
    if (!here.has(name)) return !(await exists(from, name, signal));
  return false;
}
