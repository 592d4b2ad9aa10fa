import { failure } from '../../../kernel/errors/failure.ts';
import { ByteQueue } from '../../../pipeline/byte-queue.ts';
import { blockBytes, isZero, paddingBytes, typeFlags, type RawHeader } from '../../../pipeline/tar-header.ts';
import { nanoseconds, parseHeader, parsePax, xattrsIn, type PaxRecords } from './header.ts';

export interface TarMember {
  /** `special`: a device or a pipe. */
  readonly type: 'file' | 'directory' | 'symlink' | 'hardlink' | 'special';
  readonly name: Buffer;
  /** Of a link: where it points to. */
  readonly link: Buffer;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  /** Nanoseconds since 1970. */
  readonly mtime: bigint;
  /** When it is told. */
  readonly ctime: bigint | undefined;
  /** Of its content, holes included. */
  readonly size: number;
  /** Bytes that the archive has of it; with `sparse` the list of holes is among them. */
  readonly stored: number;
  readonly sparse: boolean;
  readonly xattrs: Readonly<Record<string, string>> | undefined;
}

/** Records before a header are not longer than this, unless the file is damaged or made to harm. */
const longestRecords = 64 * 1_048_576;
/** Offsets and lengths of all parts of one file with holes: a guard, far above what there is. */
const mostSparseNumbers = 20_000_000;
const zeroPiece = Buffer.alloc(262_144);

const types: Readonly<Record<string, TarMember['type']>> = {
  [typeFlags.file]: 'file',
  [typeFlags.contiguous]: 'file',
  [typeFlags.hardlink]: 'hardlink',
  [typeFlags.symlink]: 'symlink',
  [typeFlags.directory]: 'directory',
  [typeFlags.characterDevice]: 'special',
  [typeFlags.blockDevice]: 'special',
  [typeFlags.fifo]: 'special',
};

const unsupported: Readonly<Record<string, string>> = {
  S: 'a file with holes in the old GNU format',
  M: 'the second part of a file that was begun in another archive',
  D: 'directories of an incremental backup of GNU tar',
  N: 'names in the oldest GNU format',
  A: 'access control lists of Solaris',
};

/** Says nothing that would be lost. */
const passedOver =
  /^(?:atime|ctime|comment|uname|gname|charset|hdrcharset|path|linkpath|size|uid|gid|mtime|mode|SCHILY\.(?:dev|ino|nlink|fflags|xattr\..*)|LIBARCHIVE\..*|RHT\.security\.selinux|GNU\.sparse\..*)$/s;

/**
 * Reads a tar file member by member: pax, GNU's long names and numbers, ustar and what came before it. Throws
 * `import_damaged` and `import_unsupported`, naming `file`.
 */
export class TarReader {
  /** Keys of records that say something this does not take over. */
  readonly unknownKeys = new Set<string>();
  readonly #bytes: ByteQueue;
  readonly #file: string;
  #global: PaxRecords = new Map();
  /** Of the current member, as stored: not read yet, and the padding behind it. */
  #left = 0;
  #padding = 0;
  #sparse = false;
  #size = 0;

  constructor(source: AsyncIterable<Uint8Array>, file: string) {
    this.#bytes = new ByteQueue(source);
    this.#file = file;
  }

  /** The next member; undefined at the end. What was not read of the one before is passed over. */
  async next(): Promise<TarMember | undefined> {
    await this.#skip();
    let pax: PaxRecords = new Map();
    let longName: Buffer | undefined;
    let longLink: Buffer | undefined;
    for (;;) {
      const block = await this.#block();
      if (block === undefined) return undefined;
      const header = parseHeader(block, this.#file);
      if (header.type === typeFlags.paxEntry) pax = parsePax(await this.#small(header), this.#file);
      else if (header.type === typeFlags.paxGlobal)
        this.#global = new Map([...this.#global, ...parsePax(await this.#small(header), this.#file)]);
      else if (header.type === typeFlags.gnuLongName) longName = withoutEnd(await this.#small(header));
      else if (header.type === typeFlags.gnuLongLink) longLink = withoutEnd(await this.#small(header));
      else if (header.type === typeFlags.volume) await this.#small(header);
      else {
        const records = new Map([...this.#global, ...pax]);
        return await this.#member(
          { ...header, name: longName ?? header.name, link: longLink ?? header.link },
          records,
        );
      }
    }
  }

  /** The content of the member that came last, holes as zeros. To be read at most once. */
  async *content(): AsyncGenerator<Uint8Array, void, void> {
    if (!this.#sparse) {
      while (this.#left > 0) yield await this.#some();
      return;
    }
    const numbers = await this.#sparseMap();
    let position = 0;
    for (let index = 0; index < numbers.length; index += 2) {
      const [offset = 0, length = 0] = numbers.slice(index, index + 2);
      if (offset < position || length > this.#left || offset + length > this.#size)
        throw this.#damaged('the holes of a file contradict its size');
      yield* zeros(offset - position);
      const end = this.#left - length;
      while (this.#left > end) yield await this.#some(this.#left - end);
      position = offset + length;
    }
    // More than its list takes would be dropped, and nobody know what it was.
    if (this.#left > 0) throw this.#damaged('the holes of a file contradict its size');
    yield* zeros(this.#size - position);
  }

  async end(): Promise<void> {
    await this.#bytes.end();
  }

  /** A header's block; undefined at the end of the archive, behind which there must be nothing. */
  async #block(): Promise<Buffer | undefined> {
    const block = await this.#bytes.take(blockBytes);
    if (block.length < blockBytes)
      throw this.#damaged(block.length === 0 ? 'it has no end mark' : 'it breaks off within a header');
    if (!isZero(block)) return block;
    for (let piece = await this.#bytes.some(1_048_576); piece !== undefined;) {
      if (piece.some((byte) => byte !== 0)) {
        throw failure('import_unsupported', {
          file: this.#file,
          what: 'something behind the end of the archive',
          mend: 'if several archives were put together, import them one by one',
        });
      }
      piece = await this.#bytes.some(1_048_576);
    }
    return undefined;
  }

  /** Content that belongs to a header rather than to a file. */
  async #small({ size }: RawHeader): Promise<Buffer> {
    if (size < 0 || size > longestRecords) throw this.#damaged(`a header has ${size} bytes of records`);
    const content = await this.#bytes.take(size + paddingBytes(size));
    if (content.length < size) throw this.#damaged('it breaks off within a header');
    return content.subarray(0, size);
  }

  async #member(header: RawHeader, pax: PaxRecords): Promise<TarMember> {
    const name = pax.get('GNU.sparse.name') ?? pax.get('path') ?? header.name;
    const type = this.#typeOf(header, name);
    for (const key of pax.keys()) if (!passedOver.test(key)) this.unknownKeys.add(key);
    const stored = number(pax, 'size') ?? header.size;
    const sparse = this.#isSparse(pax);
    const size = sparse ? (number(pax, 'GNU.sparse.realsize') ?? -1) : stored;
    if (!Number.isSafeInteger(stored) || stored < 0 || !Number.isSafeInteger(size) || size < 0)
      throw this.#damaged(`a file has a size of ${size} bytes`);
    // Some programs give links a size and no content.
    const hasContent = type === 'file';
    this.#sparse = sparse && hasContent;
    this.#size = size;
    this.#left = hasContent ? stored : 0;
    this.#padding = hasContent ? paddingBytes(stored) : 0;
    const mtime = pax.get('mtime')?.toString('latin1');
    return {
      type,
      name,
      link: pax.get('linkpath') ?? header.link,
      mode: header.mode & 0o7777,
      uid: number(pax, 'uid') ?? header.uid,
      gid: number(pax, 'gid') ?? header.gid,
      mtime: (mtime === undefined ? undefined : nanoseconds(mtime)) ?? BigInt(header.mtime) * 1_000_000_000n,
      ctime: nanoseconds(pax.get('ctime')?.toString('latin1') ?? ''),
      size: hasContent ? size : 0,
      stored: this.#left,
      sparse: this.#sparse,
      xattrs: xattrsIn(pax),
    };
  }

  #typeOf({ type }: RawHeader, name: Buffer): TarMember['type'] {
    const known = types[type];
    // Before there were types, a slash at the end said it.
    if (known === 'file' && name.at(-1) === 0x2f) return 'directory';
    if (known !== undefined) return known;
    throw failure('import_unsupported', {
      file: this.#file,
      what: unsupported[type] ?? `something of type ${JSON.stringify(type)}`,
      mend: 'make the archive with tar --format=posix, or unpack it and back up the directory',
    });
  }

  #isSparse(pax: PaxRecords): boolean {
    const keys = [...pax.keys()].filter((key) => key.startsWith('GNU.sparse.'));
    if (keys.length === 0) return false;
    const version = `${text(pax, 'GNU.sparse.major')}.${text(pax, 'GNU.sparse.minor')}`;
    if (version === '1.0') return true;
    throw failure('import_unsupported', {
      file: this.#file,
      what: 'files with holes in an old GNU format',
      mend: 'make the archive with tar --format=posix --sparse-version=1.0, or without --sparse',
    });
  }

  /** Offset and length of each part, from the lines at the start of the content. */
  async #sparseMap(): Promise<number[]> {
    const numbers: number[] = [];
    let rest = '';
    for (let wanted = 1; numbers.length < wanted; wanted = 1 + 2 * (numbers[0] ?? 0)) {
      if (this.#left < blockBytes || wanted > mostSparseNumbers)
        throw this.#damaged('the list of holes of a file does not parse');
      rest += (await this.#bytes.take(blockBytes)).toString('latin1');
      this.#left -= blockBytes;
      const lines = rest.split('\n');
      rest = lines.pop() ?? '';
      for (const line of lines) {
        if (!/^\d+$/.test(line)) throw this.#damaged('the list of holes of a file does not parse');
        numbers.push(Number(line));
      }
    }
    return numbers.slice(1);
  }

  async #some(most = this.#left): Promise<Buffer> {
    const piece = await this.#bytes.some(Math.min(most, this.#left));
    if (piece === undefined) throw this.#damaged('it breaks off within a file');
    this.#left -= piece.length;
    return piece;
  }

  async #skip(): Promise<void> {
    while (this.#left > 0) await this.#some();
    if ((await this.#bytes.take(this.#padding)).length < this.#padding)
      throw this.#damaged('it breaks off behind a file');
    this.#padding = 0;
  }

  #damaged(reason: string): Error {
    return failure('import_damaged', { file: this.#file, reason });
  }
}

function* zeros(count: number): Generator<Uint8Array> {
  for (let left = count; left > 0; left -= zeroPiece.length)
    yield left < zeroPiece.length ? zeroPiece.subarray(0, left) : zeroPiece;
}

function text(pax: PaxRecords, key: string): string {
  return pax.get(key)?.toString('latin1') ?? '';
}

function number(pax: PaxRecords, key: string): number | undefined {
  const found = text(pax, key);
  return /^-?\d+$/.test(found) ? Number(found) : undefined;
}

function withoutEnd(content: Buffer): Buffer {
  const end = content.indexOf(0);
  return end === -1 ? content : content.subarray(0, end);
}
