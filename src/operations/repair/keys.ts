import { readKeys } from '../../repository/keyring.ts';
import { keyObject, keysPrefix } from '../../repository/layout.ts';
import { stepOf, type RepairContext } from './context.ts';
import { assertAsWritten } from './good-sources.ts';
import type { RepairStep } from './report.ts';

/**
 * Where no key is left: the one that opened a copy. Others of the copy stay there, for they may have been removed here on
 * purpose.
 */
export async function planKeys(context: RepairContext): Promise<RepairStep[]> {
  const found = await keyToTake(context);
  return [found === undefined ? stepOf('leave', keysPrefix, { note: 'no copy has a key' }) : found.step];
}

export async function mendKeys(context: RepairContext): Promise<void> {
  const { repository, tell } = context;
  // A damaged one may have been put back meanwhile.
  if ((await readKeys(repository.storage, repository.info.id)).keys.length > 0) return;
  const found = await keyToTake(context);
  if (found === undefined) return;
  await repository.storage.put(found.step.object, found.bytes);
  tell({ ...found.step, quarantined: null });
}

async function keyToTake({
  repository,
  sources,
  signal,
}: RepairContext): Promise<{ readonly step: RepairStep; readonly bytes: Uint8Array } | undefined> {
  for await (const { name: from, copy } of sources.copies()) {
    const current = (await copy.keys.list()).find((key) => key.current);
    if (current === undefined) continue;
    const name = keyObject(current.id);
    const bytes = await copy.storage.get(name, { signal });
    assertAsWritten(repository, name, bytes);
    return { step: stepOf('replace', name, { from }), bytes };
  }
  return undefined;
}
