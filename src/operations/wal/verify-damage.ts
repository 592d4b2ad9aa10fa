import { reasonOf } from '../../kernel/errors/failure.ts';

/** Why an object is damaged, without its name where that can be told apart. */
export function damageIn(error: unknown): string {
  return reasonOf(error instanceof Error && error.cause instanceof Error ? error.cause : error);
}
