import { failure } from '../../../kernel/errors/failure.ts';
import { archiveDecoder } from './encoding.ts';
import type { ArchiveHeader, ArchiveToc, TocEntry } from './toc.ts';

const lowestMinor = 12;
const highestMinor = 16;
const customFormat = 1;
/** No statement in a table of contents is near this; a longer one means that the position is wrong. */
const stringLimitBytes = 1_073_741_824;

/**
 * Takes the bytes of a custom archive as they come and stops after the table of contents.
 * Throws `postgres_archive_unknown` for what is not such an archive.
 */
export class TocReader {
  #buffer: Buffer = Buffer.alloc(0);
  #header: ArchiveHeader | undefined;
  #count: number | undefined;
  readonly #entries: TocEntry[] = [];
  #encoding = 'UTF8';
  #decode: (bytes: Uint8Array) => string = archiveDecoder('UTF8');

  /** The table of contents once it is complete; what followed it in the pushed bytes is then in {@link rest}. */
  push(data: Uint8Array): ArchiveToc | undefined {
    this.#buffer = this.#buffer.length === 0 ? Buffer.from(data) : Buffer.concat([this.#buffer, data]);
    try {
      while (!this.#step());
    } catch (error) {
      if (error === outOfBytes) return undefined;
      throw error;
    }
    if (this.#header === undefined)
      throw failure('internal', { reason: 'a table of contents without a header' });
    return { header: this.#header, entries: this.#entries, encoding: this.#encoding };
  }

  /** Bytes pushed beyond the table of contents. */
  get rest(): Buffer {
    return this.#buffer;
  }

  /** Reads one thing more; true when there is no more to read. What was read is cut off the buffer at once. */
  #step(): boolean {
    const cursor = new Cursor(this.#buffer, this.#header?.intSize ?? 4);
    if (this.#header === undefined) this.#header = readHeader(cursor);
    else if (this.#count === undefined) this.#count = readCount(cursor);
    else if (this.#entries.length < this.#count)
      this.#addEntry(readEntry(cursor, this.#header, this.#decode));
    else return true;
    this.#buffer = this.#buffer.subarray(cursor.position);
    return false;
  }

  #addEntry(entry: TocEntry): void {
    this.#entries.push(entry);
    if (entry.description !== 'ENCODING') return;
    const encoding = /'([^']*)'/.exec(entry.definition)?.[1];
    if (encoding === undefined) throw unknownArchive('its ENCODING entry does not parse');
    this.#encoding = encoding;
    this.#decode = archiveDecoder(encoding);
  }
}

/** Parses a stored table of contents, which must end exactly where the bytes do. */
export function parseToc(bytes: Uint8Array): ArchiveToc {
  const reader = new TocReader();
  const toc = reader.push(bytes);
  if (toc === undefined) throw unknownArchive('its table of contents is cut short');
  if (reader.rest.length > 0) throw unknownArchive('its table of contents is followed by other bytes');
  return toc;
}

const outOfBytes = new Error('more bytes are needed');

class Cursor {
  position = 0;
  readonly #buffer: Buffer;
  intSize: number;

  constructor(buffer: Buffer, intSize: number) {
    this.#buffer = buffer;
    this.intSize = intSize;
  }

  byte(): number {
    const value = this.#buffer[this.position];
    if (value === undefined) throw outOfBytes;
    this.position += 1;
    return value;
  }

  bytes(length: number): Buffer {
    const end = this.position + length;
    if (end > this.#buffer.length) throw outOfBytes;
    const part = this.#buffer.subarray(this.position, end);
    this.position = end;
    return part;
  }

  int(): number {
    const negative = this.byte() !== 0;
    let value = 0;
    for (let index = 0; index < this.intSize; index += 1) value += this.byte() * 256 ** index;
    return negative ? -value : value;
  }

  string(): Buffer | undefined {
    const length = this.int();
    if (length < 0) return undefined;
    if (length > stringLimitBytes)
      throw unknownArchive(`a string of ${length} bytes in its table of contents`);
    return this.bytes(length);
  }

  from(start: number): Buffer {
    return this.#buffer.subarray(start, this.position);
  }
}

function readHeader(cursor: Cursor): ArchiveHeader {
  if (cursor.bytes(5).toString('latin1') !== 'PGDMP') throw unknownArchive('it does not begin with PGDMP');
  const major = cursor.byte();
  const minor = cursor.byte();
  cursor.byte(); // revision
  if (major !== 1 || minor < lowestMinor || minor > highestMinor) {
    throw unknownArchive(`it has version ${major}.${minor}; 1.${lowestMinor} to 1.${highestMinor} are known`);
  }
  const intSize = cursor.byte();
  const offSize = cursor.byte();
  if (intSize < 4 || intSize > 8 || offSize < 4 || offSize > 16) {
    throw unknownArchive(`it has integers of ${intSize} and offsets of ${offSize} bytes`);
  }
  cursor.intSize = intSize;
  const format = cursor.byte();
  if (format !== customFormat) throw unknownArchive(`it has format ${format}, not custom`);
  const compression = minor >= 15 ? cursor.byte() : cursor.int();
  for (let field = 0; field < 7; field += 1) cursor.int(); // when it was made, in local time
  const databaseName = text(cursor.string());
  const serverVersion = text(cursor.string());
  const dumpVersion = text(cursor.string());
  return {
    minor,
    intSize,
    offSize,
    compression,
    databaseName,
    serverVersion,
    dumpVersion,
    raw: Buffer.from(cursor.from(0)),
  };
}

function readCount(cursor: Cursor): number {
  const count = cursor.int();
  if (count < 0) throw unknownArchive(`it has ${count} entries`);
  return count;
}

function readEntry(cursor: Cursor, header: ArchiveHeader, decode: (bytes: Uint8Array) => string): TocEntry {
  const string = (): string => {
    const bytes = cursor.string();
    return bytes === undefined ? '' : decode(bytes);
  };
  const dumpId = cursor.int();
  if (dumpId <= 0) throw unknownArchive(`an entry has number ${dumpId}`);
  const hasData = cursor.int() !== 0;
  const catalogTable = string();
  const catalogOid = string();
  const tag = string();
  const description = string();
  const section = cursor.int();
  const definition = string();
  const dropStatement = string();
  const copyStatement = string();
  const schema = string();
  const tablespaceBytes = cursor.string();
  if (header.minor >= 14) cursor.string(); // table access method
  if (header.minor >= 16) cursor.int(); // kind of relation
  const owner = string();
  cursor.string(); // WITH OIDS, of releases before 12
  const dependenciesStart = cursor.position;
  const dependencies: number[] = [];
  for (;;) {
    const dependency = cursor.string();
    if (dependency === undefined) break;
    dependencies.push(Number(dependency.toString('latin1')));
  }
  const dependenciesEnd = cursor.position;
  readOffset(cursor, header.offSize);
  return {
    dumpId,
    hasData,
    catalogTable,
    catalogOid,
    tag,
    description,
    section,
    definition,
    dropStatement,
    copyStatement,
    schema,
    owner,
    dependencies,
    tablespace: tablespaceBytes === undefined ? undefined : decode(tablespaceBytes),
    raw: Buffer.from(cursor.from(0)),
    dependenciesAt: [dependenciesStart, dependenciesEnd],
  };
}

/** Where the data would be in a seekable file: a flag, then `offSize` bytes. Written to a pipe it is never set. */
function readOffset(cursor: Cursor, offSize: number): void {
  const flag = cursor.byte();
  if (flag < 1 || flag > 3) throw unknownArchive(`an entry has data offset flag ${flag}`);
  cursor.bytes(offSize);
}

function text(bytes: Buffer | undefined): string {
  return bytes?.toString('utf8') ?? '';
}

function unknownArchive(reason: string): Error {
  return failure('postgres_archive_unknown', { reason });
}
