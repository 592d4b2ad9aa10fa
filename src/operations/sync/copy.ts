import { failure, isFailure } from '../../kernel/errors/failure.ts';
import { authenticateObject } from '../../repository/authenticate.ts';
import type { PipelineKeys } from '../../pipeline/keys.ts';
import type { ObjectInfo, Storage } from '../../storage/port.ts';

/** Objects under way at once; the largest have some 22 MiB. */
const atOnce = 4;

export interface CopyContext {
  readonly from: Storage;
  readonly to: Storage;
  readonly keys: PipelineKeys;
  readonly signal: AbortSignal;
  /** Told of every object that was copied. */
  readonly copied: (object: ObjectInfo) => void;
  /** Told of every object that could not be, for it is damaged in one of the places. */
  readonly problem: (name: string, error: Error) => void;
}

export interface CopyChoice {
  /** Objects that it is false for are passed over. */
  readonly isWanted?: ((name: string) => boolean) | undefined;
  /** Told of objects that only the other place has. */
  readonly onlyThere?: ((name: string) => void) | undefined;
}

/**
 * Copies every object below a prefix that the other place lacks, each checked before it is written. Both listings are
 * read side by side, so memory does not grow with them; what is not wanted is passed over. What is damaged is told and passed over; whatever else goes wrong
 * rejects, and the same call goes on where it ended.
 */
export async function copyMissing(
  context: CopyContext,
  prefix: string,
  { isWanted = () => true, onlyThere = () => {} }: CopyChoice = {},
): Promise<void> {
  const missing = lacking(context, prefix, onlyThere);
  const lane = async (): Promise<void> => {
    for (;;) {
      const next = await missing.next();
      if (next.done === true) return;
      if (isWanted(next.value.name)) await copyOne(context, next.value);
    }
  };
  const lanes = Array.from({ length: atOnce }, lane);
  try {
    await Promise.all(lanes);
  } finally {
    await Promise.allSettled(lanes);
  }
}

/** Copies one object; false when it is damaged where it comes from. */
export async function copyOne(
  { from, to, keys, signal, copied, problem }: CopyContext,
  object: ObjectInfo,
): Promise<boolean> {
  const { name } = object;
  try {
    const bytes = await from.get(name, { signal });
    authenticateObject(keys, name, bytes);
    await to.put(name, bytes, { signal });
    copied(object);
    return true;
  } catch (error) {
    signal.throwIfAborted();
    // Removed since it was listed: by a prune there, so nobody needs it.
    if (isFailure(error, 'object_missing')) return false;
    if (!isFailure(error, 'object_damaged') && !isFailure(error, 'object_exists')) throw error;
    problem(name, error);
    return false;
  }
}

/** What the one place has and the other lacks, by name. */
async function* lacking(
  { from, to, signal, problem }: CopyContext,
  prefix: string,
  onlyThere: (name: string) => void,
): AsyncGenerator<ObjectInfo, void, void> {
  const there = to.list(prefix, { signal })[Symbol.asyncIterator]();
  try {
    let other = await there.next();
    for await (const object of from.list(prefix, { signal })) {
      while (other.done !== true && other.value.name < object.name) {
        onlyThere(other.value.name);
        other = await there.next();
      }
      if (other.done === true || other.value.name !== object.name) {
        yield object;
      } else if (other.value.sizeBytes !== object.sizeBytes) {
        const { name, sizeBytes: expected } = object;
        const found = other.value.sizeBytes;
        problem(name, failure('object_differs', { name, location: to.location, found, expected }));
      }
    }
    for (; other.done !== true; other = await there.next()) onlyThere(other.value.name);
  } finally {
    await there.return?.();
  }
}
