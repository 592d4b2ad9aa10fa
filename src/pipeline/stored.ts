import type { StreamRef } from '../contract/stream.ts';
import { blobIdBytes } from './blob.ts';
import type { Channel, Handlers } from './channel.ts';
import { type Extent, readExtents } from './map.ts';

/** What is in the repository already, for tasks that build on an earlier backup. */
export interface StoredData {
  /**
   * For each id whether the repository has the blob, present and not known to be damaged. Those it has may be referred
   * to by this backup, which fails at its commit if they are gone by then.
   */
  present(ids: readonly Uint8Array[]): Promise<readonly boolean[]>;
  /** The bytes of a stored stream, in order and checked. Rejects as `RestoreContext.open` does. */
  bytes(stream: StreamRef): AsyncGenerator<Uint8Array, void, void>;
  /** The extents of a stored stream, in order, some thousands at a time. Damaged maps reject. */
  extents(stream: StreamRef): AsyncGenerator<readonly Extent[], void, void>;
}

/** The same as the owner of the repository answers it to other threads: ids one after another, extents as rows of a map. */
export interface StoredHost {
  present(ids: Uint8Array): Promise<Uint8Array<ArrayBuffer>>;
  read(stream: StreamRef, what: 'bytes' | 'extents'): AsyncGenerator<Uint8Array, void, void>;
}

interface OpenRequest {
  readonly stream: StreamRef;
  readonly what: 'bytes' | 'extents';
}

/** Answers the questions of a {@link storedOver}. */
export function serveStored(host: () => StoredHost): Handlers {
  const open = new Map<number, AsyncGenerator<Uint8Array, void, void>>();
  let last = 0;
  return {
    present: async (ids: Uint8Array) => await host().present(ids),
    storedOpen: ({ stream, what }: OpenRequest): number => {
      last += 1;
      open.set(last, host().read(stream, what));
      return last;
    },
    storedNext: async (handle: number): Promise<Uint8Array | null> => {
      const result = await open.get(handle)?.next();
      return result === undefined || result.done === true ? null : result.value;
    },
    storedClose: async (handle: number): Promise<null> => {
      const reading = open.get(handle);
      open.delete(handle);
      await reading?.return();
      return null;
    },
  };
}

/** What the other side of a channel has stored. */
export function storedOver(channel: () => Channel): StoredData {
  async function* read(stream: StreamRef, what: 'bytes' | 'extents'): AsyncGenerator<Uint8Array, void, void> {
    const handle = await channel().call<number>('storedOpen', { stream, what } satisfies OpenRequest);
    try {
      for (;;) {
        const piece = await channel().call<Uint8Array | null>('storedNext', handle);
        if (piece === null) return;
        yield piece;
      }
    } finally {
      await channel().call<null>('storedClose', handle);
    }
  }
  return storedFrom({
    present: (ids) => channel().call<Uint8Array<ArrayBuffer>>('present', ids),
    read,
  });
}

/** The same without a thread between. */
export function storedFrom(host: StoredHost): StoredData {
  return {
    present: async (ids) => {
      if (ids.length === 0) return [];
      const all = new Uint8Array(ids.length * blobIdBytes);
      ids.forEach((id, index) => all.set(id, index * blobIdBytes));
      return Array.from(await host.present(all), (answer) => answer === 1);
    },
    bytes: (stream) => host.read(stream, 'bytes'),
    extents: async function* (stream) {
      for await (const rows of host.read(stream, 'extents')) yield readExtents(rows);
    },
  };
}
