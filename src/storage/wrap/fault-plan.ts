import type { StorageOperation } from './log.ts';

/** What goes wrong with one call. */
export type Fault =
  /** The call does not reach the storage. */
  | { readonly kind: 'fail_before'; readonly error?: Error }
  /** The storage does it, and the answer is lost. */
  | { readonly kind: 'fail_after'; readonly error?: Error }
  /** A put is broken off while it runs; a correct storage then shows the whole object or none. */
  | { readonly kind: 'torn_write'; readonly error?: Error }
  /** A put stores only its first `keepBytes` and says it is done: a storage that lies. Readers must notice. */
  | { readonly kind: 'short_write'; readonly keepBytes: number }
  /** A get answers with one bit flipped; `bit` counts from the start and wraps around. */
  | { readonly kind: 'flip_bit'; readonly bit: number }
  /** A get answers with its first `keepBytes` only. */
  | { readonly kind: 'truncate'; readonly keepBytes: number }
  /** A list fails after it gave `items`. */
  | { readonly kind: 'list_fail'; readonly items: number; readonly error?: Error }
  /** A list leaves out the objects `hides` says, and ends as if it were complete: a stale answer. */
  | { readonly kind: 'list_stale'; readonly hides: (name: string) => boolean }
  /** The call waits first, by the injected clock. */
  | { readonly kind: 'delay'; readonly ms: number }
  /** This call and every later one of any kind fail; `applied` says whether this one still happens. */
  | { readonly kind: 'crash'; readonly applied: boolean };

/** A call as the plan sees it. Counts start at 1. */
export interface FaultyCall {
  readonly operation: StorageOperation;
  /** The object's name or the list's prefix. */
  readonly name: string;
  /** Among all calls. */
  readonly index: number;
  /** Among put and delete; 0 for the others. */
  readonly mutation: number;
}

/** Decides for each call, in order, what goes wrong with it; undefined: nothing. */
export type FaultPlan = (call: FaultyCall) => Fault | undefined;

/** Every `n`th call of any kind. */
export function everyNth(n: number, fault: Fault): FaultPlan {
  return (call) => (call.index % n === 0 ? fault : undefined);
}

/** Given faults for given calls, by their index. */
export function atCalls(faults: Readonly<Record<number, Fault>>): FaultPlan {
  return (call) => faults[call.index];
}

/** The process dies at its `n`th put or delete, just before (`applied: false`) or just after it happened. */
export function crashAtMutation(n: number, applied: boolean): FaultPlan {
  return (call) => (call.mutation === n ? { kind: 'crash', applied } : undefined);
}

/**
 * With probability `rate`, something that a retry must get over: an error before, an error after, a torn write,
 * a list that breaks off. `random` is uniform in [0, 1); seed it and print the seed.
 */
export function passingFaults(random: () => number, rate: number): FaultPlan {
  return ({ operation }) => {
    if (random() >= rate) return undefined;
    const which = Math.floor(random() * 3);
    if (operation === 'list') return { kind: 'list_fail', items: Math.floor(random() * 10) };
    if (which === 0) return { kind: 'fail_before' };
    return which === 1 || operation !== 'put' ? { kind: 'fail_after' } : { kind: 'torn_write' };
  };
}
