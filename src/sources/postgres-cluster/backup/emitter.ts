import type { Entry } from '../../../contract/stream.ts';
import type { BackupContext } from '../../port.ts';
import { entryKinds, stampsPath, type FileMeta } from '../metadata.ts';
import { kindOf } from './earlier.ts';
import type { BadBlock } from './page-reader.ts';
import type { Slot } from './units.ts';
import type { StoredFile } from './store-task.ts';

export interface BadFile {
  readonly path: string;
  readonly count: number;
  readonly blocks: readonly BadBlock[];
}

/** So many files with bad pages are named. */
export const mostBadFiles = 100;

/** Adds entries to the backup, in the order of the walk, and counts. */
export class Emitter {
  readonly counts = { files: 0, files_kept: 0, bytes: 0, pages: 0, pages_changed: 0, bad_page_count: 0 };
  readonly badFiles: BadFile[] = [];
  readonly #context: BackupContext;
  readonly #pageBytes: number;

  constructor(context: BackupContext, pageBytes: number) {
    this.#context = context;
    this.#pageBytes = pageBytes;
  }

  async add(slots: readonly Slot[]): Promise<void> {
    const added: Promise<void>[] = [];
    try {
      for (const slot of slots)
        for (const entry of this.#entriesOf(slot)) added.push(this.#context.addEntry(entry));
    } finally {
      await Promise.all(added);
    }
  }

  /** Counts a file that is no part of the walk. */
  count(bytes: number): void {
    this.counts.files += 1;
    this.counts.bytes += bytes;
  }

  #entriesOf(slot: Slot): Entry[] {
    const { found, how, before, stored } = slot;
    if (how === 'seen') {
      const meta: FileMeta = { mtime_ns: String(found.mtimeNs), inode: null, mode: found.mode };
      return [{ path: found.path, kind: entryKinds.directory, stream: null, meta }];
    }
    if (how === 'kept' && before !== undefined) return this.#kept(slot, before);
    if (stored === undefined) throw new Error(`${found.path} was not read`);
    return stored.what === 'vanished' ? [] : this.#read(slot, stored);
  }

  #kept({ found }: Slot, { stream, stamps, meta }: NonNullable<Slot['before']>): Entry[] {
    this.count(stream.size_bytes);
    this.counts.files_kept += 1;
    if (stamps !== null) this.counts.pages += Math.ceil(stream.size_bytes / this.#pageBytes);
    return entriesOf(found.path, kindOf(found), stream, stamps, { ...meta, mode: found.mode });
  }

  #read({ found }: Slot, stored: Extract<StoredFile, { what: 'stored' }>): Entry[] {
    const { stream, stamps, mtimeNs, inode, mode, bad, badCount } = stored;
    this.count(stream.size_bytes);
    this.counts.pages += stored.pages;
    this.counts.pages_changed += stored.pagesChanged;
    this.counts.bad_page_count += badCount;
    if (badCount > 0 && this.badFiles.length < mostBadFiles)
      this.badFiles.push({ path: found.path, count: badCount, blocks: bad });
    const meta: FileMeta = {
      mtime_ns: String(mtimeNs),
      inode,
      mode,
      ...(badCount > 0 ? { damaged: true } : {}),
    };
    return entriesOf(found.path, kindOf(found), stream, stamps, meta);
  }
}

/** The entries of a file. */
export function entriesOf(
  path: string,
  kind: string,
  stream: Entry['stream'],
  stamps: Entry['stream'],
  meta: FileMeta,
): Entry[] {
  const file: Entry = { path, kind, stream, meta };
  if (stamps === null) return [file];
  return [file, { path: stampsPath(path), kind: entryKinds.stamps, stream: stamps, meta: {} }];
}
