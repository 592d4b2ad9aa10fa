import { failure } from '../../../kernel/errors/failure.ts';

/** A backup whose entries or metadata are not what they must be. */
export function damaged(reason: string): Error {
  return failure('object_damaged', { name: 'the list of entries of the backup', reason });
}
