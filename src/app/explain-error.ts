import { catalogue } from '../kernel/errors/catalogue.ts';
import { exitCodes, type ErrorEntry, type ErrorKind } from '../kernel/errors/define.ts';
import { failure } from '../kernel/errors/failure.ts';
import type { Outcome } from './compose.ts';

export interface ExplainResult extends Outcome {
  /** An error of the catalogue. Words in braces stand for what the error names when it is shown. */
  readonly explained: {
    readonly code: string;
    readonly name: string;
    readonly kind: ErrorKind;
    readonly exit_code: number;
    readonly retryable: boolean;
    readonly message: string;
    readonly hint: string;
    readonly explanation: string;
  };
}

/** What the catalogue says of a code, such as `HF-5005`. Throws `usage` for one that it does not have. */
export function explainError(code: string): ExplainResult {
  const [name, entry] =
    Object.entries<ErrorEntry>(catalogue).find(([, { code: known }]) => known === code) ?? [];
  if (name === undefined || entry === undefined) {
    const suggestion = 'check the code; docs/errors.md has all that this version knows';
    throw failure('usage', { reason: `there is no error ${code}`, suggestion });
  }
  const { kind, retryable, message, hint, explain } = entry;
  const explained = { code, name, kind, exit_code: exitCodes[kind], retryable, message, hint };
  return { schema: 1, ok: true, explained: { ...explained, explanation: explain } };
}
