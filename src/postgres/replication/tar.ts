import { pathText } from '../../kernel/byte-path.ts';
import { failure } from '../../kernel/errors/failure.ts';
import { ByteQueue } from '../../pipeline/byte-queue.ts';
import {
  blockBytes,
  isZero,
  paddingBytes,
  readHeader,
  typeFlags,
  type RawHeader,
} from '../../pipeline/tar-header.ts';

/** A file, directory or link of a base backup. */
export interface TarEntry {
  /** Without `./` before it and `/` behind it. */
  readonly path: string;
  readonly type: 'file' | 'directory' | 'symlink';
  readonly size: number;
  /** Permission bits. */
  readonly mode: number;
  readonly mtimeSeconds: number;
  /** Of a symlink, else null. */
  readonly linkTarget: string | null;
  /** The content of a file, in pieces that stay as they are. What is not read of it is passed over. */
  readonly data: AsyncIterable<Uint8Array>;
}

const entryTypes: Readonly<Record<string, TarEntry['type']>> = {
  [typeFlags.file]: 'file',
  [typeFlags.directory]: 'directory',
  [typeFlags.symlink]: 'symlink',
};

/**
 * Reads one archive of a base backup, entry by entry. Servers before 15 leave out the zeros that end a tar file; whether
 * anything is missing is what the protocol says. Throws `replication_protocol`, naming `server`.
 */
export async function* readTar(
  source: AsyncIterable<Uint8Array>,
  server: string,
): AsyncGenerator<TarEntry, void, void> {
  const bytes = new ByteQueue(source);
  try {
    for (;;) {
      const block = await bytes.take(blockBytes);
      if (block.length === 0) return;
      if (block.length < blockBytes) throw damaged(server, 'an archive breaks off within a header');
      if (isZero(block)) return;
      const entry = entryOf(block, server);
      const content = new Content(bytes, entry.size, () =>
        damaged(server, `an archive breaks off within ${entry.path}`),
      );
      yield { ...entry, data: content.pieces() };
      await content.passOver();
    }
  } finally {
    await bytes.end();
  }
}

function entryOf(block: Buffer, server: string): Omit<TarEntry, 'data'> {
  const header = readHeader(block);
  if (header === undefined) throw damaged(server, 'the checksum of a header within an archive does not fit');
  const path = pathText(header.name).replace(/^\.\//, '').replace(/\/+$/, '');
  const type = entryTypes[header.type];
  if (type === undefined)
    throw damaged(server, `${path} is something of type ${JSON.stringify(header.type)}`);
  const size = type === 'file' ? sizeOf(header, path, server) : 0;
  return {
    path,
    type,
    size,
    mode: header.mode & 0o7777,
    mtimeSeconds: header.mtime,
    linkTarget: type === 'symlink' ? pathText(header.link) : null,
  };
}

function sizeOf({ size }: RawHeader, path: string, server: string): number {
  if (Number.isSafeInteger(size) && size >= 0) return size;
  throw damaged(server, `${path} has a size of ${size} bytes`);
}

function damaged(server: string, reason: string): Error {
  return failure('replication_protocol', { server, reason });
}

/** What is left of the content of one entry. */
class Content {
  readonly #bytes: ByteQueue;
  readonly #breaksOff: () => Error;
  readonly #padding: number;
  #left: number;

  constructor(bytes: ByteQueue, size: number, breaksOff: () => Error) {
    this.#bytes = bytes;
    this.#left = size;
    this.#padding = paddingBytes(size);
    this.#breaksOff = breaksOff;
  }

  async *pieces(): AsyncGenerator<Uint8Array, void, void> {
    while (this.#left > 0) yield await this.#some();
  }

  async passOver(): Promise<void> {
    while (this.#left > 0) await this.#some();
    if ((await this.#bytes.take(this.#padding)).length < this.#padding) throw this.#breaksOff();
  }

  async #some(): Promise<Buffer> {
    const piece = await this.#bytes.some(this.#left);
    if (piece === undefined) throw this.#breaksOff();
    this.#left -= piece.length;
    return piece;
  }
}
