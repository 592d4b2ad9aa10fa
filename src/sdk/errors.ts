import type { ErrorKind } from '../kernel/errors/define.ts';
import { HoldfastError as Failure } from '../kernel/errors/failure.ts';
import type { ErrorName } from './error-codes.ts';
import type { ErrorInfo } from './results.ts';

/** What calls reject with: the same errors that the command line shows. Each has its section in errors.md. */
export interface HoldfastError extends Error {
  readonly name: 'HoldfastError';
  /** `HF-` and four digits, never given to another error. */
  readonly code: string;
  /** The same in words: a key of {@link errorCodes}. */
  readonly errorName: ErrorName;
  /** The class it belongs to, by which the command line chooses its exit code. */
  readonly kind: ErrorKind;
  /** Whether the same call may succeed later with nothing changed. */
  readonly retryable: boolean;
  /** What to do. */
  readonly hint: string;
  readonly exitCode: number;
  readonly httpStatus: number;
  readonly details: Readonly<Record<string, unknown>>;
  toJSON(): ErrorInfo;
}

/** For `error instanceof HoldfastError`. Only Holdfast makes them. */
export const HoldfastError: abstract new (...args: never[]) => HoldfastError =
  Failure as unknown as abstract new (...args: never[]) => HoldfastError;

/** Whether something that was thrown is an error of Holdfast, and, where a name is given, that one. */
export function isHoldfastError(error: unknown, name?: ErrorName): error is HoldfastError {
  return error instanceof HoldfastError && (name === undefined || error.errorName === name);
}
