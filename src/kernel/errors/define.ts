/** What went wrong, in the few classes that decide how callers react. */
export type ErrorKind =
  | 'usage'
  | 'failed'
  | 'partial'
  | 'refused'
  | 'aborted'
  | 'not_found'
  | 'conflict'
  | 'unreachable'
  | 'integrity'
  | 'wrong_key'
  | 'interrupted';

export const exitCodes: Readonly<Record<ErrorKind, number>> = {
  failed: 1,
  usage: 2,
  partial: 3,
  refused: 4,
  aborted: 5,
  not_found: 6,
  conflict: 7,
  unreachable: 8,
  integrity: 9,
  wrong_key: 10,
  interrupted: 130,
};

export const httpStatuses: Readonly<Record<ErrorKind, number>> = {
  failed: 500,
  usage: 400,
  partial: 207,
  refused: 422,
  aborted: 409,
  not_found: 404,
  conflict: 409,
  unreachable: 503,
  integrity: 500,
  wrong_key: 401,
  interrupted: 503,
};

/**
 * One row of the error catalogue.
 *
 * `message` and `hint` are templates: `{name}` stands for a parameter given when the error is made,
 * and the type of {@link failure} demands exactly those parameters.
 */
export interface ErrorEntry {
  /** Stable for ever, never given to another error. */
  readonly code: `HF-${number}`;
  readonly kind: ErrorKind;
  /** True when the same call may succeed later with nothing changed by the user. */
  readonly retryable: boolean;
  /** What happened, one sentence without the final stop. */
  readonly message: string;
  /** The next thing to do or type. */
  readonly hint: string;
  /** For the reference page: why this happens and what Holdfast has and has not done by then. */
  readonly explain: string;
}

/** Keeps the literal types of a part of the catalogue, so that templates can be checked. */
export function defineErrors<const T extends Record<string, ErrorEntry>>(entries: T): T {
  return entries;
}
