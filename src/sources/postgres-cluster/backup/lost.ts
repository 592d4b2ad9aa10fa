import { isFailure } from '../../../kernel/errors/failure.ts';

/** Whether what the parent has is damaged, or not in the repository any more: then it is read and stored anew. */
export function isLost(error: unknown): boolean {
  return isFailure(error) && (error.kind === 'integrity' || error.kind === 'not_found');
}
