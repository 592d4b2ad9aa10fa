import { isUtf8 } from 'node:buffer';
import { open, stat } from 'node:fs/promises';
import { failure, isFailure, reasonOf } from '../kernel/errors/failure.ts';
import { blockBytes } from '../pipeline/tar-header.ts';
import { parseHeader } from '../sources/files/tar/header.ts';
import { importBytes } from '../sources/import-bytes.ts';
import type { ExportFormat } from '../sources/export-port.ts';
import { refuseForeignStart } from '../sources/postgres-logical/script-foreign.ts';

/** What a file to import turned out to be, whatever it is called. */
export interface Recognised {
  readonly format: ExportFormat;
  /** It is packed with gzip as a whole. */
  readonly gzip: boolean;
}

const lookBytes = 65_536;

const packed: readonly (readonly [string, string, string])[] = [
  ['fd377a585a00', 'xz', 'xz -d'],
  ['28b52ffd', 'zstd', 'zstd -d'],
  ['425a68', 'bzip2', 'bzip2 -d'],
  ['04224d18', 'lz4', 'lz4 -d'],
  ['504b0304', 'zip', 'unzip'],
];

/** Looks at the first bytes. Throws `import_unreadable`, `import_unknown`, `import_unsupported`. */
export async function recognise(path: string, shown: string): Promise<Recognised> {
  const outer = await firstBytes(path, shown);
  const gzip = outer.subarray(0, 3).equals(Buffer.from([0x1f, 0x8b, 8]));
  const bytes = gzip ? await firstUnpacked(path, shown) : outer;
  const hex = bytes.toString('hex', 0, 8);
  const other = packed.find(([magic]) => hex.startsWith(magic));
  if (other !== undefined) {
    const [, what, command] = other;
    throw failure('import_unsupported', {
      file: shown,
      what: `something packed with ${what}`,
      mend: `unpack it first: ${command} ${shown}`,
    });
  }
  const format = formatOf(bytes, shown);
  if (format === 'db' && gzip) {
    const mend = `unpack it first: gunzip ${shown}`;
    throw failure('import_unsupported', { file: shown, what: 'a packed SQLite database', mend });
  }
  return { format, gzip };
}

function formatOf(bytes: Buffer, shown: string): ExportFormat {
  if (bytes.length === 0) throw failure('import_unknown', { file: shown, reason: 'it is empty' });
  if (bytes.toString('latin1', 0, 5) === 'PGDMP') return 'dump';
  if (bytes.toString('latin1', 0, 16) === 'SQLite format 3\0') return 'db';
  if (isTar(bytes)) return 'tar';
  if (isScript(bytes)) {
    refuseForeignStart(bytes, shown);
    return 'sql';
  }
  throw failure('import_unknown', { file: shown, reason: 'what is in it is of none of the known formats' });
}

function isTar(bytes: Buffer): boolean {
  if (bytes.length < blockBytes || bytes[0] === 0) return false;
  try {
    parseHeader(bytes.subarray(0, blockBytes), '');
    return true;
  } catch (error) {
    if (isFailure(error, 'import_damaged')) return false;
    throw error;
  }
}

/** Text that begins as dumps do. A last character may be cut in two. */
function isScript(bytes: Buffer): boolean {
  if (bytes.includes(0)) return false;
  const text = bytes.toString('latin1');
  const begins = /^(?:\uFEFF|\u00EF\u00BB\u00BF)?\s*(?:--|\/\*|\\|[A-Za-z]+\s)/.test(text);
  const speaks = /\b(?:CREATE|INSERT|COPY|SET|BEGIN|SELECT|ALTER|DROP)\b/i.test(text);
  return (
    begins && speaks && (isUtf8(bytes.subarray(0, Math.max(0, bytes.length - 3))) || !text.includes('<html'))
  );
}

async function firstBytes(path: string, shown: string): Promise<Buffer> {
  try {
    const stats = await stat(path);
    if (stats.isDirectory()) throw new Error('it is a directory');
    // It is read more than once.
    if (!stats.isFile()) throw new Error('it is no ordinary file; write what comes out of it to one first');
    await using handle = await open(path, 'r');
    const buffer = Buffer.alloc(lookBytes);
    const { bytesRead } = await handle.read(buffer, 0, lookBytes, 0);
    return buffer.subarray(0, bytesRead);
  } catch (error) {
    throw failure('import_unreadable', { file: shown, reason: reasonOf(error) }, { cause: error });
  }
}

async function firstUnpacked(path: string, shown: string): Promise<Buffer> {
  const pieces: Buffer[] = [];
  let size = 0;
  for await (const piece of importBytes(path, true, shown)) {
    pieces.push(Buffer.from(piece));
    size += piece.length;
    if (size >= lookBytes) break;
  }
  return Buffer.concat(pieces).subarray(0, lookBytes);
}
