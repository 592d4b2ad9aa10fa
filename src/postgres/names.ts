/** An SQL identifier, always quoted: exact for any name. */
export function quoteIdentifier(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}

export function quoteQualified(schema: string, name: string): string {
  return `${quoteIdentifier(schema)}.${quoteIdentifier(name)}`;
}

/** A name as people write it in SQL and for `--only`: quoted where it would mean something else without quotes. */
export function readableIdentifier(name: string): string {
  return /^[a-z_][a-z0-9_$]*$/.test(name) ? name : quoteIdentifier(name);
}

export function readableQualified(schema: string, name: string): string {
  return `${readableIdentifier(schema)}.${readableIdentifier(name)}`;
}

/** An SQL string literal that means the same whatever `standard_conforming_strings` says. */
export function quoteLiteral(text: string): string {
  const quoted = `'${text.replaceAll("'", "''")}'`;
  return text.includes('\\') ? `E${quoted.replaceAll('\\', '\\\\')}` : quoted;
}

/**
 * A pattern for `-t` and `--exclude-table-data` that matches exactly this table. Within double quotes the tools
 * take every special character literally, dots and wildcards included; a quote is doubled.
 */
export function exactTablePattern(schema: string, name: string): string {
  return quoteQualified(schema, name);
}

/** `dbname='…'` for the tools that take a connection string where a plain name could be read as one. */
export function databaseArgument(name: string): string {
  return `dbname='${name.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`;
}

/**
 * One segment of an entry's path. Letters and digits of any script, `_`, `-` and `$` stay; every other byte of the
 * UTF-8 form becomes `%XX`. So a raw `.` or `/` in a path is always a separator, and two names never share a path.
 */
export function pathSegment(name: string): string {
  if (name === '') return '%';
  return name.replaceAll(/[^\p{L}\p{N}_$-]/gu, (character) =>
    [...Buffer.from(character, 'utf8')]
      .map((byte) => `%${byte.toString(16).toUpperCase().padStart(2, '0')}`)
      .join(''),
  );
}

export function databasePath(database: string): string {
  return pathSegment(database);
}

export function tocPath(database: string, archive: number): string {
  return `${databasePath(database)}/${archive}/toc`;
}

export function tablePath(database: string, schema: string, table: string): string {
  return `${databasePath(database)}/tables/${pathSegment(schema)}.${pathSegment(table)}`;
}

export function blobsPath(database: string, archive: number, ordinal: number): string {
  return `${databasePath(database)}/${archive}/blobs-${ordinal}`;
}

/** No database has this path: a raw dot never comes out of {@link databasePath}. */
export const globalsPath = 'globals.sql';
