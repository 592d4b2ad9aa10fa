import { failure, reasonOf, type HoldfastError } from '../kernel/errors/failure.ts';

/** No whole answer came: whether the request was carried out is not known. */
export class TroubleReaching extends Error {
  override readonly name = 'TroubleReaching';
  /** It was sent over a kept connection that the other side had closed. */
  readonly wasStale: boolean;

  constructor(cause: unknown, { wasStale }: { readonly wasStale: boolean }) {
    super(reasonOf(cause), { cause });
    this.wasStale = wasStale;
  }

  toFailure(location: string): HoldfastError {
    return failure('storage_unreachable', { location, reason: this.message }, { cause: this.cause });
  }
}

/** The `E…` code of an error from a connection, undefined for every other value. */
export function errnoOf(error: unknown): string | undefined {
  if (!(error instanceof Error) || !('code' in error) || typeof error.code !== 'string') return undefined;
  return error.code.startsWith('E') ? error.code : undefined;
}
