import { isFailure } from '../../kernel/errors/failure.ts';
import { headerBytes } from '../../pipeline/seal.ts';
import { readConfig } from '../../repository/config-object.ts';
import { keysPrefix } from '../../repository/layout.ts';
import type { Repository } from '../../repository/repository.ts';

/** Objects that are looked at; one of the repository's is enough. */
const mostLookedAt = 100;

/** Whether what lies in a place is of this repository, though its `holdfast.json` may be damaged or gone. */
export async function isPlaceOf({ storage, info }: Repository, signal: AbortSignal): Promise<boolean> {
  try {
    const config = await readConfig(storage, signal);
    if (config !== undefined) return config.id === info.id;
  } catch (error) {
    if (!isFailure(error, 'repository_damaged')) throw error;
  }
  let left = mostLookedAt;
  for await (const { name } of storage.list('', { signal })) {
    if (left === 0) return false;
    left -= 1;
    const length = name.startsWith(keysPrefix) ? {} : { length: headerBytes };
    const bytes = Buffer.from(await storage.get(name, { signal, ...length }));
    if (
      name.startsWith(keysPrefix)
        ? bytes.includes(info.id)
        : bytes.subarray(12, 28).toString('hex') === info.id
    )
      return true;
  }
  return false;
}
