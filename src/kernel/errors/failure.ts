import { catalogue, type Catalogue, type ErrorName } from './catalogue.ts';
import { runAgain } from './core.ts';
import { exitCodes, httpStatuses, type ErrorEntry, type ErrorKind } from './define.ts';
import { toPlain } from '../plain.ts';
import { redact } from '../redact.ts';

type Placeholders<S extends string> = S extends `${string}{${infer P}}${infer Rest}`
  ? P | Placeholders<Rest>
  : never;

/** The parameters an error of this name needs: every `{placeholder}` of its message and hint. */
export type ErrorParams<N extends ErrorName> = {
  readonly [P in Placeholders<`${Catalogue[N]['message']}${Catalogue[N]['hint']}`>]: string | number | bigint;
};

export interface FailureOptions {
  /** The error underneath, if any. Its text must be free of secrets. */
  readonly cause?: unknown;
  /** Further facts for `--json` and the log. Must be free of secrets. */
  readonly details?: Readonly<Record<string, unknown>>;
}

/** Any error Holdfast means to show. Everything else that is thrown is a bug and shown as `HF-1000`. */
export class HoldfastError extends Error {
  override readonly name = 'HoldfastError';
  readonly errorName: ErrorName;
  readonly code: string;
  readonly kind: ErrorKind;
  readonly retryable: boolean;
  readonly exitCode: number;
  readonly httpStatus: number;
  readonly hint: string;
  readonly details: Readonly<Record<string, unknown>>;

  constructor(errorName: ErrorName, message: string, hint: string, options: FailureOptions) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    const entry: ErrorEntry = catalogue[errorName];
    this.errorName = errorName;
    this.code = entry.code;
    this.kind = entry.kind;
    this.retryable = entry.retryable;
    this.exitCode = exitCodes[entry.kind];
    this.httpStatus = httpStatuses[entry.kind];
    this.hint = hint;
    this.details = options.details ?? {};
  }

  /** The shape every face shows: `--json`, REST and the log. */
  toJSON(): Record<string, unknown> {
    return {
      code: this.code,
      name: this.errorName,
      kind: this.kind,
      message: this.message,
      hint: this.hint,
      retryable: this.retryable,
      ...(Object.keys(this.details).length > 0 ? { details: toPlain(this.details) } : {}),
    };
  }
}

/** Makes (does not throw) the catalogued error `name`. */
export function failure<N extends ErrorName>(
  name: N,
  params: ErrorParams<N>,
  options: FailureOptions = {},
): HoldfastError {
  const entry: ErrorEntry = catalogue[name];
  const values = params as Readonly<Record<string, string | number | bigint>>;
  return new HoldfastError(name, fill(entry.message, values), fill(entry.hint, values), options);
}

function fill(template: string, values: Readonly<Record<string, string | number | bigint>>): string {
  return template.replaceAll(/\{(\w+)\}/g, (_, key: string) => String(values[key] ?? `{${key}}`));
}

export function isFailure(error: unknown, name?: ErrorName): error is HoldfastError {
  return error instanceof HoldfastError && (name === undefined || error.errorName === name);
}

/** One line about any thrown value, without passwords: for causes quoted inside messages. Never empty. */
export function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return redact(String(error));
  if (error.message !== '') return redact(error.message);
  // Node's answer when none of a host's addresses can be reached has its words only in the errors inside.
  if (error instanceof AggregateError && error.errors.length > 0)
    return error.errors.map(reasonOf).join('; ');
  const { code } = error as NodeJS.ErrnoException;
  return typeof code === 'string' ? code : error.name;
}

/** What failed first is what people must know; that it could not be cleaned up afterwards comes second. */
function withAftermath(both: SuppressedError): HoldfastError {
  const first = asFailure(both.suppressed);
  const message = `${first.message}; nor could it be cleaned up after: ${reasonOf(both.error)}`;
  return new HoldfastError(first.errorName, message, first.hint, { cause: both, details: first.details });
}

/**
 * Any thrown value as a catalogued error. An abort without a reason of its own becomes `interrupted`, anything else
 * that is not catalogued `internal`.
 */
export function asFailure(error: unknown): HoldfastError {
  if (error instanceof HoldfastError) return error;
  if (error instanceof SuppressedError) return withAftermath(error);
  if (error instanceof Error && error.name === 'AbortError') {
    return failure('interrupted', { what: reasonOf(error), next: runAgain }, { cause: error });
  }
  return failure('internal', { reason: reasonOf(error) }, { cause: error });
}
