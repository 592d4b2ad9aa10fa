import type { Storage } from '../storage/port.ts';
import { infoOf, readConfig } from './config-object.ts';
import type { RepositoryInfo } from './model.ts';

/** What `holdfast.json` says, without any key; null when there is no repository. */
export async function readRepositoryInfo(storage: Storage): Promise<RepositoryInfo | null> {
  const config = await readConfig(storage);
  return config === undefined ? null : infoOf(config);
}
