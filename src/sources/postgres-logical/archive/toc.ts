/**
 * The header of a pg_dump custom archive and the table of contents behind it, versions 1.12 to 1.16
 * (pg_dump 10 to 18). Layout after `ReadHead` and `ReadToc` in PostgreSQL's src/bin/pg_dump/pg_backup_archiver.c:
 * an integer is a sign byte and `intSize` bytes, least significant first, on every machine; a string is its length
 * as an integer (-1 for none) and its bytes.
 */
export interface ArchiveHeader {
  /** 16 in 1.16. */
  readonly minor: number;
  readonly intSize: number;
  readonly offSize: number;
  /** 0 when the data are not compressed. */
  readonly compression: number;
  /** The bytes of the header, up to the number of entries. */
  readonly raw: Buffer;
  readonly databaseName: string;
  /** As the server said it: `15.18 (Debian …)`. */
  readonly serverVersion: string;
  /** Of the pg_dump that wrote the archive: `15.18 (Debian …)`. */
  readonly dumpVersion: string;
}

/** `teSection` in pg_backup.h. */
export const sections = { none: 1, preData: 2, data: 3, postData: 4 } as const;

export interface TocEntry {
  readonly dumpId: number;
  /** The entry has a data block in the archive. */
  readonly hasData: boolean;
  readonly catalogTable: string;
  readonly catalogOid: string;
  readonly tag: string;
  /** `TABLE`, `TABLE DATA`, `FK CONSTRAINT` … */
  readonly description: string;
  readonly section: number;
  readonly definition: string;
  readonly dropStatement: string;
  /** `COPY s.t (a, b) FROM stdin;\n` for table data. */
  readonly copyStatement: string;
  /** Empty when the object belongs to no schema. */
  readonly schema: string;
  readonly tablespace: string | undefined;
  readonly owner: string;
  readonly dependencies: readonly number[];
  /** The bytes of this entry as they were read. */
  readonly raw: Buffer;
  /** Where in `raw` the list of dependencies begins, and where it ends (after its terminator). */
  readonly dependenciesAt: readonly [number, number];
}

export interface ArchiveToc {
  readonly header: ArchiveHeader;
  readonly entries: readonly TocEntry[];
  /** What the strings of the archive and the table data are encoded in, as PostgreSQL names it: `UTF8`. */
  readonly encoding: string;
}

/** The whole as bytes again. */
export function encodeToc(toc: ArchiveToc): Buffer {
  const { intSize } = toc.header;
  return Buffer.concat([
    toc.header.raw,
    encodeInt(toc.entries.length, intSize),
    ...toc.entries.map(({ raw }) => raw),
  ]);
}

export function encodeInt(value: number, intSize: number): Buffer {
  const bytes = Buffer.alloc(1 + intSize);
  if (value < 0) bytes[0] = 1;
  let rest = Math.abs(value);
  for (let index = 1; index <= intSize; index += 1) {
    bytes[index] = rest % 256;
    rest = Math.floor(rest / 256);
  }
  return bytes;
}

export function encodeString(text: string | undefined, intSize: number): Buffer {
  if (text === undefined) return encodeInt(-1, intSize);
  const bytes = Buffer.from(text, 'utf8');
  return Buffer.concat([encodeInt(bytes.length, intSize), bytes]);
}

/** The same entry under another number and with other dependencies: for joining archives. */
export function renumbered(
  entry: TocEntry,
  dumpId: number,
  dependencies: readonly number[],
  intSize: number,
): TocEntry {
  const [from, to] = entry.dependenciesAt;
  const idBytes = 1 + intSize;
  const list = Buffer.concat([
    ...dependencies.map((dependency) => encodeString(String(dependency), intSize)),
    encodeString(undefined, intSize),
  ]);
  const raw = Buffer.concat([
    encodeInt(dumpId, intSize),
    entry.raw.subarray(idBytes, from),
    list,
    entry.raw.subarray(to),
  ]);
  return { ...entry, dumpId, dependencies, raw, dependenciesAt: [from, from + list.length] };
}
