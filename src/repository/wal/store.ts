import type { WalArchiveInfo } from '../../contract/wal.ts';
import { isFailure } from '../../kernel/errors/failure.ts';
import type { Logger } from '../../kernel/log.ts';
import type { PipelineKeys } from '../../pipeline/keys.ts';
import type { Storage } from '../../storage/port.ts';

/** Where the WAL of one archive is kept: what all that reads and writes it needs. */
export interface WalStore {
  readonly storage: Storage;
  readonly keys: PipelineKeys;
  readonly log: Logger;
  readonly id: string;
  readonly info: WalArchiveInfo;
  readonly unitBytes: number;
}

/** What `read` gives; undefined where the object is not there (any more). */
export async function orGone<T>(read: Promise<T>): Promise<T | undefined> {
  try {
    return await read;
  } catch (error) {
    if (isFailure(error, 'object_missing')) return undefined;
    throw error;
  }
}
