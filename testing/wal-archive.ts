import { unscannedFacts } from '../src/contract/wal.ts';
import { systemClock } from '../src/kernel/clock.ts';
import { isFailure, type HoldfastError } from '../src/kernel/errors/failure.ts';
import type { Repository } from '../src/repository/repository.ts';
import type { WalArchive, WalPut } from '../src/repository/wal/model.ts';
import { MemoryStorage } from '../src/storage/memory/memory-storage.ts';
import type { Storage } from '../src/storage/port.ts';
import { makeRepository } from './repository.ts';

export const mib = 1024 * 1024;
export const walInfo = {
  source: 'main',
  system_identifier: '7300000000000000001',
  segment_bytes: mib,
  postgres_major: 15,
};

/** A repository in memory with an archive of WAL in segments of 1 MiB. */
export async function makeWalArchive(
  options: { readonly encrypted?: boolean; readonly storage?: Storage; readonly segmentBytes?: number } = {},
): Promise<{
  readonly repository: Repository;
  readonly archive: WalArchive;
  readonly storage: Storage;
}> {
  const storage = options.storage ?? new MemoryStorage(systemClock);
  const repository = await makeRepository(storage, { encrypted: options.encrypted ?? false });
  const segment_bytes = options.segmentBytes ?? mib;
  return { repository, archive: await repository.walArchive({ ...walInfo, segment_bytes }), storage };
}

/** WAL as a cluster would write it: at each position the same byte, whoever asks; another `flavour` differs everywhere. */
export function walBytes(start: bigint | number, length: number, flavour = 0): Uint8Array {
  const bytes = new Uint8Array(length);
  const first = Number(start);
  for (let at = 0; at < length; at += 1) {
    const position = first + at;
    // Compressible, as WAL is: rows of counters.
    bytes[at] = (position & 7) === 0 ? (position >>> 3) & 0xff : ((position >>> 11) + flavour) & 0xff;
  }
  return flavour === 0 ? bytes : bytes.map((byte) => byte ^ 0xff);
}

export async function putWal(
  archive: WalArchive,
  start: bigint | number,
  bytes: Uint8Array,
  timeline = 1,
): Promise<WalPut> {
  return await archive.put({ timeline, start: BigInt(start), bytes }, unscannedFacts);
}

/** What a promise rejects with; fails the test when that is no coded error, or when it resolves. */
export async function failureOf(promise: Promise<unknown>): Promise<HoldfastError> {
  try {
    await promise;
  } catch (error) {
    if (isFailure(error)) return error;
    throw error;
  }
  throw new Error('it did not fail');
}
