import { failure } from '../../kernel/errors/failure.ts';
import type { SourceKind } from './kind.ts';

/** PostgreSQL clusters, physically. */
export const clusterKind: SourceKind<'postgres-cluster'> = {
  prepare: () => Promise.reject(notYet()),
  check: () => Promise.reject(notYet()),
  planRestore: () => Promise.reject(notYet()),
};

function notYet(): Error {
  return failure('not_in_this_version', {
    what: 'a source of type postgres-cluster',
    suggestion: 'use type postgres',
  });
}
