/** What the server has written into `postmaster.pid`. */
export interface PostmasterFile {
  /** Seconds since 1970. */
  readonly startedAt: number;
  readonly port: number;
}

/** Undefined when the file is not as a running server of 14 or newer leaves it. */
export function parsePostmasterFile(text: string): PostmasterFile | undefined {
  const [pid = '', , started = '', port = ''] = text.split('\n').map((line) => line.trim());
  if (![pid, started, port].every((number) => /^\d+$/.test(number))) return undefined;
  return { startedAt: Number(started), port: Number(port) };
}

/** Where a segment of a relation's main fork lies. */
export interface RelationFile {
  /** OID of the tablespace; 0 for the default one of the cluster, 1664 for `global`. */
  readonly tablespace: number;
  /** OID of the database; 0 for relations that all databases share. */
  readonly database: number;
  readonly filenode: number;
  /** Which part of the relation it is. */
  readonly segment: number;
}

const patterns = {
  base: /^base\/(\d+)\/(\d+)(?:\.(\d+))?$/,
  global: /^global\/()(\d+)(?:\.(\d+))?$/,
  tablespace: /^pg_tblspc\/(\d+)\/PG_\d+_\d+\/(\d+)\/(\d+)(?:\.(\d+))?$/,
};

/** Undefined for any other file. `path` is one in the data directory. */
export function parseRelationPath(path: string): RelationFile | undefined {
  const elsewhere = patterns.tablespace.exec(path);
  if (elsewhere !== null) {
    const [, tablespace = '', database = '', filenode = '', segment = '0'] = elsewhere;
    return {
      tablespace: Number(tablespace),
      database: Number(database),
      filenode: Number(filenode),
      segment: Number(segment),
    };
  }
  const found = patterns.base.exec(path) ?? patterns.global.exec(path);
  if (found === null) return undefined;
  const [, database = '', filenode = '', segment = '0'] = found;
  const isShared = database === '';
  return {
    tablespace: isShared ? 1664 : 0,
    database: isShared ? 0 : Number(database),
    filenode: Number(filenode),
    segment: Number(segment),
  };
}

/** The directory in a tablespace that belongs to servers of this version. */
export function tablespaceDirectory(major: number, catalogVersion: number): string {
  return `PG_${major}_${catalogVersion}`;
}

/** Directories that a server expects, empty ones that nobody backs up among them; those above come first. */
export const serverDirectories: readonly string[] = [
  'base',
  'global',
  'pg_commit_ts',
  'pg_dynshmem',
  'pg_logical',
  'pg_logical/mappings',
  'pg_logical/snapshots',
  'pg_multixact',
  'pg_multixact/members',
  'pg_multixact/offsets',
  'pg_notify',
  'pg_replslot',
  'pg_serial',
  'pg_snapshots',
  'pg_stat',
  'pg_stat_tmp',
  'pg_subtrans',
  'pg_tblspc',
  'pg_twophase',
  'pg_wal',
  'pg_wal/archive_status',
  'pg_xact',
];

/** Those right in a data directory. */
export const topDirectories: ReadonlySet<string> = new Set(
  serverDirectories.filter((path) => !path.includes('/')),
);
