import type { WalArchiveInfo, WalFacts } from '../../contract/wal.ts';
import type { CallContext } from '../model.ts';

/**
 * WAL is kept by position, not by file: an object holds a stretch of one timeline. A stretch is a whole unit, or, of what
 * was streamed and has not filled its unit yet, a part of one. `docs/format.md` describes the objects.
 */
export interface WalStretch {
  readonly timeline: number;
  /** The first byte, and the first behind. */
  readonly start: bigint;
  readonly end: bigint;
  /** A whole unit; else a part of one. */
  readonly isWhole: boolean;
  readonly objectName: string;
  /** Bytes of the object. */
  readonly storedBytes: number;
  /** When it was stored, by the storage's clock: milliseconds since 1970. */
  readonly storedAtMs: number;
}

/** Positions of a timeline that are there without a gap between. */
export interface WalRun {
  readonly timeline: number;
  readonly start: bigint;
  readonly end: bigint;
  readonly stretches: number;
  readonly storedBytes: number;
  /** The newest of its objects, by the storage's clock. */
  readonly storedAtMs: number;
}

export type WalPut = 'stored' | 'already_there';

/** What whoever stores one stretch after the other knows about them. */
export interface WalPutContext extends CallContext {
  /** Whether the caller has put or compared a stretch of these positions itself: it is not compared once more. */
  readonly known?: ((start: bigint, end: bigint) => boolean) | undefined;
  /**
   * Do not look now for what others have stored at these positions: a caller that puts parts one right after the other
   * looks every few seconds, and when the unit is whole.
   */
  readonly unseen?: boolean | undefined;
}

/** The WAL of one cluster in a repository. Any number of programs may write to it at once. */
export interface WalArchive {
  /** 32 hexadecimal digits; tells nothing to those who do not have the keys. */
  readonly id: string;
  readonly info: WalArchiveInfo;
  /** At most 16 MiB: a segment, or a 16 MiB piece of a larger one. Units lie at its multiples. */
  readonly unitBytes: number;
  /** False for an agent, who can add to it: whatever reads what is stored rejects with `agent_cannot`. */
  readonly isReadable: boolean;

  /**
   * Stores a stretch that does not cross the border of a unit. Resolves when it is durable. The same bytes again are
   * `already_there`; other bytes than are there at any of its positions reject with `wal_differs`, and nothing changes.
   * Parts are compared with the whole unit and with every part that they overlap, and the other way round.
   */
  put(
    stretch: { readonly timeline: number; readonly start: bigint; readonly bytes: Uint8Array },
    facts: WalFacts,
    context?: WalPutContext,
  ): Promise<WalPut>;

  /** Stores a small file of `pg_wal` under its own name: `00000002.history`, `….backup`, `….partial`. As `put`. */
  putFile(name: string, bytes: Uint8Array, context?: CallContext): Promise<WalPut>;
  /** Undefined when it is not there. */
  getFile(name: string, context?: CallContext): Promise<Uint8Array | undefined>;
  /** Names of all such files, in order, as PostgreSQL writes them. */
  files(context?: CallContext): AsyncIterable<string>;

  /** Timelines that there is any WAL of, ascending. */
  timelines(context?: CallContext): Promise<readonly number[]>;
  /** What is there of a timeline from the unit on that `from` lies in, by position; streamed. */
  stretches(
    timeline: number,
    range?: { readonly from?: bigint; readonly to?: bigint },
    context?: CallContext,
  ): AsyncIterable<WalStretch>;
  /** The same put together. What lies between two runs is a gap. */
  runs(
    timeline: number,
    range?: { readonly from?: bigint; readonly to?: bigint },
    context?: CallContext,
  ): Promise<readonly WalRun[]>;

  /** The bytes of a stretch, checked. `object_damaged`, `object_missing`. */
  read(stretch: WalStretch, context?: CallContext): Promise<Uint8Array>;
  /** What is known about a stretch, from the beginning of its object alone. Rejects as `read`. */
  facts(stretch: WalStretch, context?: CallContext): Promise<WalFacts>;
  /**
   * Up to a unit's bytes from its start: from the whole unit, or put together from parts as far as they go without a gap.
   * Empty when there is nothing. Of copies that are damaged another is taken where there is one.
   */
  readUnit(timeline: number, unitStart: bigint, context?: CallContext): Promise<Uint8Array>;

  /**
   * Removes the parts of a unit that lie within something longer, be it the whole unit or another part, which is read
   * back and compared before; what cannot be removed stays.
   */
  dropParts(timeline: number, unitStart: bigint, context?: CallContext): Promise<void>;
}
