import { failure } from '../../../kernel/errors/failure.ts';
import { pathText } from '../../../kernel/byte-path.ts';
import type { StreamRef } from '../../../contract/stream.ts';
import type { Task, TaskContext, TaskModule } from '../../../pipeline/task.ts';
import { importBytes } from '../../import-bytes.ts';
import { ImportTable } from './import-table.ts';
import { wholeBytes } from '../backup/store-file.ts';
import { TarReader, type TarMember } from './reader.ts';

export interface ImportTarInput {
  readonly path: string;
  readonly gzip: boolean;
  /** The file's name in errors. */
  readonly shown: string;
  /** A file for the table of what is in it; to be removed by whoever named it. */
  readonly table: string;
}

export interface ImportTarOutput {
  /** Devices and pipes, which no backup of files has. */
  readonly leftOut: number;
  /** What some members say that is not taken over: keys of their records. */
  readonly unknownKeys: readonly string[];
  readonly xattrs: boolean;
}

export const importTarModule: TaskModule<ImportTarInput, ImportTarOutput> = {
  url: new URL(import.meta.url),
  exportName: 'importTar',
};

/** In bytes, as on every file system in use; without the 0 behind it. */
const longestName = 255;
const longestPath = 4095;
/** All bits set stands for nobody in particular. */
const largestId = 0xff_ff_ff_fe;
/** Some hundred thousand years: what restores can tell a system. */
const latestNs = 8_640_000_000_000_000_000_000n;
/** Of all files together, in bytes: they are gone through as zeros, so many in less than an hour or two. */
const mostHoles = 64 * 2 ** 40;
const blockBytes = 1_048_576;
const zeros = Buffer.alloc(blockBytes);
/** Small contents are stored several at once. */
const togetherBytes = 4 * 1_048_576;
const togetherFiles = 1024;

/** Stores the contents of a tar file and puts down what else it says into a table. Throws `import_*`. */
export const importTar: Task<ImportTarInput, ImportTarOutput> = async (input, context) =>
  await new TarImport(input, context).run();

class TarImport {
  readonly #input: ImportTarInput;
  readonly #context: TaskContext;
  #small: { readonly id: number; readonly content: Buffer }[] = [];
  #smallBytes = 0;
  #leftOut = 0;
  #xattrs = false;
  #holes = 0;

  constructor(input: ImportTarInput, context: TaskContext) {
    this.#input = input;
    this.#context = context;
  }

  async run(): Promise<ImportTarOutput> {
    const { path, gzip, shown } = this.#input;
    const reader = new TarReader(importBytes(path, gzip, shown), shown);
    using table = new ImportTable(this.#input.table);
    try {
      for (let member = await reader.next(); member !== undefined; member = await reader.next()) {
        this.#context.signal.throwIfAborted();
        await this.#take(member, reader, table);
      }
    } finally {
      await reader.end();
    }
    await this.#storeSmall(table);
    table.commit();
    return { leftOut: this.#leftOut, unknownKeys: [...reader.unknownKeys], xattrs: this.#xattrs };
  }

  async #take(member: TarMember, reader: TarReader, table: ImportTable): Promise<void> {
    const path = this.#safePath(member.name);
    const { type, xattrs } = member;
    if (type === 'special') {
      this.#leftOut += 1;
      return;
    }
    if (xattrs !== undefined) this.#xattrs = true;
    if (type === 'hardlink') {
      const target = this.#safePath(member.link);
      // A link to itself is what GNU tar makes of a file that is named twice: then that came before.
      const linked = table.link(path, target);
      if (linked === 'directory')
        throw this.#refused(`a hard link to the directory ${pathText(member.link)}`);
      if (linked !== undefined) return;
      throw this.#refused(`a hard link to ${pathText(member.link)}, which does not come before it`);
    }
    const strange = strangeness(member);
    if (strange !== undefined) throw this.#refused(`${strange} (${pathText(path)})`);
    this.#addHoles(member);
    if (type === 'symlink' && (member.link.length === 0 || member.link.includes(0)))
      throw this.#refused(`a symbolic link ${pathText(path)} that points to nothing`);
    const id = table.add(path, type, metaOf(member));
    if (type === 'file') await this.#content(id, member, reader, table);
  }

  /** A few bytes can stand for holes that take days to go through. */
  #addHoles({ name, sparse, size, stored }: TarMember): void {
    if (!sparse) return;
    this.#holes += Math.max(0, size - stored);
    if (this.#holes > mostHoles)
      throw this.#refused(`holes of more than 64 TiB, up to the file ${pathText(name)}`);
  }

  /** Cut as in backups of directories, so that the same content is stored once. */
  async #content(
    id: number,
    { size, sparse }: TarMember,
    reader: TarReader,
    table: ImportTable,
  ): Promise<void> {
    if (sparse || size > wholeBytes) {
      table.setStream(id, await (sparse ? this.#withHoles(reader) : this.#large(reader)));
      return;
    }
    const pieces: Buffer[] = [];
    for await (const piece of reader.content()) pieces.push(Buffer.from(piece));
    this.#context.progress(size);
    this.#small.push({ id, content: Buffer.concat(pieces) });
    this.#smallBytes += size;
    if (this.#smallBytes >= togetherBytes || this.#small.length >= togetherFiles)
      await this.#storeSmall(table);
  }

  async #large(reader: TarReader): Promise<StreamRef> {
    const writer = this.#context.openStream({ type: 'content', averageBytes: 1_048_576 });
    for await (const piece of reader.content()) {
      this.#context.signal.throwIfAborted();
      this.#context.progress(piece.length);
      await writer.write(piece);
    }
    return await writer.finish();
  }

  /** Blocks at fixed places, those of nothing but zeros all the same one. */
  async #withHoles(reader: TarReader): Promise<StreamRef> {
    const map = this.#context.openMap();
    const block = Buffer.alloc(blockBytes);
    let filled = 0;
    let zeroId: Uint8Array | undefined;
    const store = async (): Promise<void> => {
      const isZero = filled === blockBytes && block.equals(zeros);
      const id = isZero ? (zeroId ??= await map.blob(zeros)) : await map.blob(block.subarray(0, filled));
      await map.extent({ id, offset: 0, length: filled });
      filled = 0;
    };
    for await (const piece of reader.content()) {
      this.#context.signal.throwIfAborted();
      this.#context.progress(piece.length);
      for (let taken = 0; taken < piece.length;) {
        const part = piece.subarray(taken, taken + blockBytes - filled);
        block.set(part, filled);
        filled += part.length;
        taken += part.length;
        if (filled === blockBytes) await store();
      }
    }
    if (filled > 0) await store();
    return await map.finish();
  }

  async #storeSmall(table: ImportTable): Promise<void> {
    const files = this.#small;
    this.#small = [];
    this.#smallBytes = 0;
    const streams = await this.#context.storeWhole(files.map(({ content }) => content));
    for (const [index, { id }] of files.entries()) {
      const stream = streams[index];
      if (stream !== undefined) table.setStream(id, stream);
    }
  }

  /** The same without dots and doubled slashes; empty for the place itself. Refuses what would lead out of it. */
  #safePath(name: Buffer): Buffer {
    const text = name.toString('latin1');
    if (text.startsWith('/')) throw this.#refused(`the absolute name ${pathText(name)}`);
    const parts = text.split('/').filter((part) => part !== '' && part !== '.');
    if (parts.includes('..') || text.includes('\0')) throw this.#refused(`the name ${pathText(name)}`);
    if (parts.some((part) => part.length > longestName) || text.length > longestPath)
      throw this.#refused(`a name that is longer than a file system takes (${pathText(name).slice(0, 60)}…)`);
    return Buffer.from(parts.join('/'), 'latin1');
  }

  #refused(what: string): Error {
    const mend = 'unpack it where that does no harm, look at it, and back up the directory';
    return failure('import_unsupported', { file: this.#input.shown, what, mend });
  }
}

/** Why nobody could make such a file; undefined when one could. */
function strangeness({ uid, gid, mtime, link }: TarMember): string | undefined {
  if ([uid, gid].some((id) => !Number.isSafeInteger(id) || id < 0 || id > largestId))
    return `an owner or group that no system has: ${uid}:${gid}`;
  if (mtime > latestNs || mtime < -latestNs) return 'a time of modification that no file can have';
  if (link.length > longestPath) return 'a link to a path that is longer than a system takes';
  return undefined;
}

function metaOf({ type, mode, uid, gid, mtime, ctime, sparse, xattrs, link }: TarMember) {
  return {
    mode,
    uid,
    gid,
    mtime: String(mtime),
    ...(xattrs === undefined ? {} : { xattrs }),
    // No file of the machine has this number: the next backup reads each file anew.
    ...(type === 'file' ? { ctime: String(ctime ?? mtime), inode: '0' } : {}),
    ...(sparse ? { sparse: true } : {}),
    ...(type === 'symlink' ? { target: pathText(link) } : {}),
  };
}
