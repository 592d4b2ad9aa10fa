import { modeFields, openFlags, packets, statuses, type Attributes } from './codec.ts';
import { SftpStatus, type Answer, type SftpSession } from './session.ts';

/** An open file on the server. */
export type Handle = Buffer;

export interface Entry extends Attributes {
  /** As the server's bytes read in UTF-8. */
  readonly name: string;
}

/** Room of a file system on the server. */
export interface Room {
  /** Bytes that our user may still write. */
  readonly freeBytes: number;
  /** Files that may still be made; some file systems count none and say 0 of 0. */
  readonly hasFreeFiles: boolean;
  readonly isReadOnly: boolean;
}

/** What every server takes in one packet. */
const smallPiece = 32 * 1024;
/** What OpenSSH takes: fewer packets. */
const largePiece = 255 * 1024;
/** Bytes of one file that are under way at once: enough for 100 MB/s over 40 ms. */
const windowBytes = 4 * 1024 * 1024;
/** How the server says that a folder is not there, that a file is in its place, or that a link leads nowhere. */
const { noSuchFile, eof } = statuses;

/** The requests of SFTP that a storage needs, by their names. Each rejects with {@link SftpStatus}. */
export class Remote {
  readonly session: SftpSession;
  readonly #readPiece: number;
  readonly #writePiece: number;

  private constructor(session: SftpSession, readPiece: number, writePiece: number) {
    this.session = session;
    this.#readPiece = readPiece;
    this.#writePiece = writePiece;
  }

  /** Asks the server for its limits, where it tells them. */
  static async over(session: SftpSession): Promise<Remote> {
    if (!session.extensions.has('limits@openssh.com')) return new Remote(session, smallPiece, smallPiece);
    const { fields } = await session.request(packets.extended, ['limits@openssh.com']);
    fields.uint64();
    return new Remote(session, pieceOf(fields.uint64()), pieceOf(fields.uint64()));
  }

  can(extension: 'fsync' | 'hardlink' | 'statvfs'): boolean {
    return this.session.extensions.has(`${extension}@openssh.com`);
  }

  async open(path: string): Promise<Handle> {
    return handleOf(await this.session.request(packets.open, [path, openFlags.read, 0]));
  }

  /** A new file for writing; fails where there is one. */
  async create(path: string, mode: number): Promise<Handle> {
    const flags = openFlags.write | openFlags.create | openFlags.exclusive;
    return handleOf(await this.session.request(packets.open, [path, flags, ...modeFields(mode)]));
  }

  async close(handle: Handle): Promise<void> {
    await this.session.request(packets.close, [handle]);
  }

  async fsync(handle: Handle): Promise<void> {
    await this.session.request(packets.extended, ['fsync@openssh.com', handle]);
  }

  async mkdir(path: string): Promise<void> {
    await this.session.request(packets.mkdir, [path, ...modeFields(0o700)]);
  }

  async remove(path: string): Promise<void> {
    await this.session.request(packets.remove, [path]);
  }

  async rename(from: string, to: string): Promise<void> {
    await this.session.request(packets.rename, [from, to]);
  }

  async hardlink(from: string, to: string): Promise<void> {
    await this.session.request(packets.extended, ['hardlink@openssh.com', from, to]);
  }

  /** Links are followed. Undefined where there is nothing. */
  async stat(path: string): Promise<Attributes | undefined> {
    try {
      return (await this.session.request(packets.stat, [path])).fields.attributes();
    } catch (error) {
      if (hasStatus(error, noSuchFile)) return undefined;
      throw error;
    }
  }

  async statvfs(path: string): Promise<Room> {
    const { fields } = await this.session.request(packets.extended, ['statvfs@openssh.com', path]);
    const values = Array.from({ length: 11 }, () => fields.uint64());
    const [, fragment = 0n, , , available = 0n, files = 0n, , freeFiles = 0n, , flags = 0n] = values;
    return {
      freeBytes: Number(fragment * available),
      hasFreeFiles: files === 0n || freeFiles > 0n,
      isReadOnly: (flags & 1n) !== 0n,
    };
  }

  /** What is in a folder, without `.` and `..`, links not followed; undefined where there is no folder. */
  async readFolder(path: string, signal?: AbortSignal): Promise<Entry[] | undefined> {
    let handle: Handle;
    try {
      handle = handleOf(await this.session.request(packets.opendir, [path]));
    } catch (error) {
      if (hasStatus(error, noSuchFile)) return undefined;
      throw error;
    }
    try {
      const entries: Entry[] = [];
      const take = async (): Promise<void> => {
        for (;;) {
          const more = await this.#readNames(handle);
          if (more === undefined) return;
          for (const entry of more) entries.push(entry);
          signal?.throwIfAborted();
        }
      };
      // Two questions at a time, so that one is on its way while the other is answered.
      await allOf([take(), take()]);
      return entries.filter(({ name }) => name !== '.' && name !== '..');
    } finally {
      this.#closeBehind(handle);
    }
  }

  /** Writes all of `pieces`, from the beginning of the file, many packets at a time. */
  async writeAll(handle: Handle, parts: readonly Uint8Array[], signal?: AbortSignal): Promise<void> {
    const pieces = placed(parts, this.#writePiece);
    const write = async (): Promise<void> => {
      for (const { bytes, position } of pieces) {
        signal?.throwIfAborted();
        await this.session.request(packets.write, [handle, BigInt(position), bytes]);
      }
    };
    await allOf(lanes(this.#writePiece, write));
  }

  /** Fills `into` from `position` on, many packets at a time; how many bytes there were before the file ended. */
  async readInto(handle: Handle, into: Uint8Array, position: number, signal?: AbortSignal): Promise<number> {
    const pieces = placed([into], this.#readPiece);
    let end = into.byteLength;
    const read = async (): Promise<void> => {
      for (const piece of pieces) {
        signal?.throwIfAborted();
        const count = await this.#readPieceInto(handle, piece.bytes, position + piece.position);
        if (count < piece.bytes.byteLength) end = Math.min(end, piece.position + count);
      }
    };
    await allOf(lanes(this.#readPiece, read));
    return end;
  }

  /** Closes without waiting: nobody can do anything about a failure. */
  #closeBehind(handle: Handle): void {
    this.close(handle).catch(() => undefined);
  }

  /** Undefined at the end of the folder. */
  async #readNames(handle: Handle): Promise<Entry[] | undefined> {
    try {
      const { fields } = await this.session.request(packets.readdir, [handle]);
      return Array.from({ length: fields.uint32() }, () => {
        const name = fields.text();
        fields.bytes(); // a line as of ls -l
        return { name, ...fields.attributes() };
      });
    } catch (error) {
      if (hasStatus(error, eof)) return undefined;
      throw error;
    }
  }

  /** A server may give less than was asked for in the middle of a file. */
  async #readPieceInto(handle: Handle, into: Uint8Array, position: number): Promise<number> {
    let at = 0;
    while (at < into.byteLength) {
      try {
        const wanted = [handle, BigInt(position + at), into.byteLength - at];
        const bytes = (await this.session.request(packets.read, wanted)).fields.bytes();
        if (bytes.length === 0) break;
        into.set(bytes.subarray(0, into.byteLength - at), at);
        at += bytes.length;
      } catch (error) {
        if (hasStatus(error, eof)) break;
        throw error;
      }
    }
    return Math.min(at, into.byteLength);
  }
}

export function hasStatus(error: unknown, ...status: readonly number[]): error is SftpStatus {
  return error instanceof SftpStatus && status.includes(error.status);
}

/** Waits for all, also when one rejects: nothing goes on behind the back of who tidies up. Then rejects like the first. */
export async function allOf(promises: readonly Promise<unknown>[]): Promise<void> {
  let first: { readonly error: unknown } | undefined;
  const settled = promises.map((promise) =>
    promise.catch((error: unknown) => {
      first ??= { error };
    }),
  );
  await Promise.all(settled);
  if (first !== undefined) throw first.error;
}

function handleOf({ fields }: Answer): Handle {
  return fields.bytes();
}

/** 0: the server sets no limit. */
function pieceOf(limit: bigint): number {
  return limit === 0n || limit > BigInt(largePiece) ? largePiece : Number(limit);
}

function lanes(pieceBytes: number, work: () => Promise<void>): Promise<void>[] {
  return Array.from({ length: Math.max(1, Math.floor(windowBytes / pieceBytes)) }, work);
}

/** The parts cut into pieces, each with its place in the whole. Several loops may share the pieces. */
function placed(
  parts: readonly Uint8Array[],
  pieceBytes: number,
): IterableIterator<{ readonly bytes: Uint8Array; readonly position: number }> {
  return place();
  function* place(): Generator<{ readonly bytes: Uint8Array; readonly position: number }> {
    let position = 0;
    for (const part of parts) {
      for (let at = 0; at < part.byteLength; at += pieceBytes) {
        const bytes = part.subarray(at, at + pieceBytes);
        yield { bytes, position };
        position += bytes.byteLength;
      }
    }
  }
}
