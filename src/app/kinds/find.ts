import { failure } from '../../kernel/errors/failure.ts';
import type { RestorableKind, SourceKind, SourceType } from './kind.ts';

const kinds: { readonly [T in SourceType]: () => Promise<SourceKind<T>> } = {
  postgres: async () => (await import('./postgres.ts')).postgresKind,
  'postgres-cluster': async () => (await import('./postgres-cluster.ts')).clusterKind,
  sqlite: async () => (await import('./sqlite.ts')).sqliteKind,
  files: async () => (await import('./files.ts')).filesKind,
};

/** The kind of a configured source; loaded when first asked for. */
export async function kindOf<T extends SourceType>(type: T): Promise<SourceKind<T>> {
  return await kinds[type]();
}

/** The kind a manifest names. Throws `not_in_this_version` for one that this version does not have. */
export async function kindNamed(name: string): Promise<RestorableKind> {
  if (name === 'postgres-sql') return (await import('./postgres-sql.ts')).postgresSqlKind;
  if (!Object.hasOwn(kinds, name)) {
    const what = `restoring a backup of kind ${name}`;
    throw failure('not_in_this_version', { what, suggestion: 'install the newest Holdfast' });
  }
  return await kindOf(name as SourceType);
}
