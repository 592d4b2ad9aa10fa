import type { DatabaseFacts } from './inventory.ts';
import type { ArchiveToc } from './archive/toc.ts';

export interface ArchiveFacts {
  readonly database: Omit<DatabaseFacts, 'size_bytes'>;
  readonly serverVersion: string;
  readonly serverVersionNumber: number;
  /** `15.18` */
  readonly dumpVersion: string;
}

/**
 * What an archive says of the database it was made from, in the shape that a backup has it: pg_dump writes how the
 * database is to be made into every archive. What that leaves open is as a new database has it.
 */
export function databaseInArchive(toc: ArchiveToc): ArchiveFacts {
  const { header, entries, encoding } = toc;
  const itself = entries.find(({ description }) => description === 'DATABASE');
  const clauses = clausesOf(itself?.definition ?? '');
  const locale = clauses.get('LOCALE');
  const provider = (clauses.get('LOCALE_PROVIDER') ?? 'libc').toLowerCase();
  const owners = new Set(entries.flatMap(({ owner }) => (owner === '' ? [] : [owner])));
  return {
    database: {
      name: itself?.tag ?? (header.databaseName === '' ? 'database' : header.databaseName),
      owner: itself?.owner ?? [...owners][0] ?? 'postgres',
      encoding: clauses.get('ENCODING') ?? encoding,
      collate: clauses.get('LC_COLLATE') ?? locale ?? 'C',
      ctype: clauses.get('LC_CTYPE') ?? locale ?? 'C',
      locale_provider: provider === 'icu' ? 'i' : provider === 'builtin' ? 'b' : 'c',
      locale: clauses.get('ICU_LOCALE') ?? clauses.get('BUILTIN_LOCALE') ?? null,
      icu_rules: clauses.get('ICU_RULES') ?? null,
      tablespace: clauses.get('TABLESPACE') ?? 'pg_default',
      // Their versions are not in an archive; which ones it needs the restore sees for itself.
      extensions: [],
      roles: [...owners].toSorted((a, b) => (a < b ? -1 : 1)),
    },
    serverVersion: header.serverVersion,
    serverVersionNumber: versionNumber(header.serverVersion),
    dumpVersion: /^\S+/.exec(header.dumpVersion)?.[0] ?? header.dumpVersion,
  };
}

/** `LOCALE = 'C'` and the like in a CREATE DATABASE, by their words. */
function clausesOf(definition: string): Map<string, string> {
  const clauses = new Map<string, string>();
  const body = definition.slice(definition.search(/ WITH TEMPLATE = /) + 1);
  for (const [, word = '', quoted, named, bare] of body.matchAll(
    /\b([A-Z_]+) = (?:'((?:[^']|'')*)'|"((?:[^"]|"")*)"|(\w+))/g,
  ))
    clauses.set(word, quoted?.replaceAll("''", "'") ?? named?.replaceAll('""', '"') ?? bare ?? '');
  return clauses;
}

/** `150018` for `15.18 (Debian 15.18-0)`; a version that is not out yet counts as its first. */
function versionNumber(version: string): number {
  const [, major = '0', minor = '0'] = /^(\d+)(?:\.(\d+))?/.exec(version) ?? [];
  return Number(major) * 10_000 + Number(minor);
}
