import type { Manifest } from '../../contract/manifest.ts';

/** What tells one backup from another, for people. */
export type Described = Pick<Manifest, 'id' | 'source'>;

const titles: Readonly<Record<string, string>> = {
  postgres: 'PostgreSQL',
  'postgres-sql': 'PostgreSQL',
  'postgres-cluster': 'PostgreSQL clusters',
  sqlite: 'SQLite',
};

/** `PostgreSQL`, `PostgreSQL clusters`, `SQLite`, `files`. */
export function titleOf({ source: { kind } }: Described): string {
  return titles[kind] ?? kind;
}

/** `backup c706a403 is one of files (uploads)`. */
export function describeBackup(manifest: Described): string {
  return `backup ${manifest.id.slice(0, 8)} is one of ${titleOf(manifest)} (${manifest.source.name})`;
}
