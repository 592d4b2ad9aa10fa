import { encodeInt, type ArchiveHeader, type TocEntry } from './toc.ts';

/** Values of the header's field from 1.15 on (`pg_compress_algorithm`); before, it is a level. */
export const compressions = { none: 0, gzip: 1, lz4: 2, zstd: 3 } as const;
export type ArchiveCompression = keyof typeof compressions;

/** Behind the magic word, three bytes of version, two sizes and the format. */
const compressionAt = 11;

/** How the data of an archive are compressed; undefined for what this does not know. */
export function compressionOf({ minor, compression }: ArchiveHeader): ArchiveCompression | undefined {
  if (minor < 15) return compression === 0 ? 'none' : 'gzip';
  return (Object.keys(compressions) as ArchiveCompression[]).find(
    (name) => compressions[name] === compression,
  );
}

/** The same header, saying that the data are compressed in that way. */
export function withCompression(header: ArchiveHeader, compression: 'none' | 'gzip'): ArchiveHeader {
  const { raw, minor, intSize } = header;
  // A level of -1 is zlib's default one.
  const value = compression === 'none' ? 0 : minor < 15 ? -1 : compressions.gzip;
  const field = minor < 15 ? encodeInt(value, intSize) : Buffer.from([value]);
  const changed = Buffer.concat([
    raw.subarray(0, compressionAt),
    field,
    raw.subarray(compressionAt + field.length),
  ]);
  return { ...header, compression: value, raw: changed };
}

/** `K_OFFSET_POS_NOT_SET` and `K_OFFSET_POS_SET` in pg_backup_archiver.h. */
const flags = { unknown: 1, known: 2 };

/** The same entry with the place of its data in the file, or without one: it is the last thing of an entry. */
export function withDataOffset(entry: TocEntry, offset: number | undefined, offSize: number): TocEntry {
  const field = Buffer.alloc(1 + offSize);
  field[0] = offset === undefined ? flags.unknown : flags.known;
  let rest = offset ?? 0;
  for (let index = 1; index <= offSize; index += 1) {
    field[index] = rest % 256;
    rest = Math.floor(rest / 256);
  }
  const raw = Buffer.concat([entry.raw.subarray(0, entry.raw.length - field.length), field]);
  return { ...entry, raw };
}
