import type { Entry } from '../../../../contract/stream.ts';
import { parseRelationPath } from '../../../../postgres/data-directory.ts';
import type { BaseBackupStream } from '../../../../postgres/replication/base-backup.ts';
import { readTar, type TarEntry } from '../../../../postgres/replication/tar.ts';
import { entryKinds, stampsPath, type FileMeta } from '../../metadata.ts';
import { comparable, type EarlierFile } from '../earlier.ts';
import { entriesOf, mostBadFiles, type BadFile } from '../emitter.ts';
import type { LeftOut } from '../left-out.ts';
import { isEmptied, leftOutOf } from '../skip.ts';
import type { StoredContent } from '../store-task.ts';
import { pageRulesOf } from '../units.ts';
import type { EntryTable } from './entry-table.ts';
import type { StreamFacts } from './facts.ts';
import type { AboutFile, FileStoring } from './file-store.ts';
import type { Parent } from './parent.ts';
import type { Compared } from './sample.ts';

/** What is not stored with the other files. */
const apart: ReadonlySet<string> = new Set(['backup_label', 'tablespace_map', 'global/pg_control']);
/** Each of these has a few kilobytes. */
const mostBytesApart = 16 * 1024 * 1024;

export interface ArrivalsOptions {
  readonly server: string;
  readonly facts: StreamFacts;
  readonly startLsn: bigint;
  readonly parent: Parent | undefined;
  /** Takes what is to be in the backup, in any order. */
  readonly entries: EntryTable;
  readonly leftOut: LeftOut;
}

/** Takes the archives of a base backup apart, and notes the entries that become of them. */
export class Arrivals {
  readonly counts = { files: 0, files_kept: 0, bytes: 0, pages: 0, pages_changed: 0, bad_page_count: 0 };
  readonly badFiles: BadFile[] = [];
  readonly apart = new Map<string, Buffer>();
  /** Names of the files right in the data directory. */
  readonly topFiles = new Set<string>();
  /** By OID: bytes in each tablespace. */
  readonly tablespaceBytes = new Map<number, number>();
  pagesCompared = 0;
  readonly #options: ArrivalsOptions;

  constructor(options: ArrivalsOptions) {
    this.#options = options;
  }

  /** Rejects with what ends the connection, and with `replication_protocol`. */
  async take(backup: BaseBackupStream, files: FileStoring): Promise<void> {
    for await (const { tablespace, data } of backup.archives()) {
      const prefix = tablespace === null ? '' : `pg_tblspc/${tablespace}/`;
      if (tablespace !== null) this.#directory(`pg_tblspc/${tablespace}`, 0o700);
      for await (const entry of readTar(data, this.#options.server))
        await this.#one({ ...entry, path: `${prefix}${entry.path}` }, files);
    }
    await files.finish();
  }

  /** When all of a file is stored. */
  stored(about: AboutFile, content: StoredContent, compared: Compared): void {
    const { path, mode, rules } = about;
    this.counts.files += 1;
    this.counts.bytes += content.stream.size_bytes;
    this.counts.pages += content.pages;
    this.counts.pages_changed += content.pagesChanged;
    this.counts.bad_page_count += content.badCount;
    this.pagesCompared += compared.pages;
    if (content.badCount > 0 && this.badFiles.length < mostBadFiles)
      this.badFiles.push({ path, count: content.badCount, blocks: content.bad });
    // The server tells seconds: too little to say that a file has not been written since.
    const meta: FileMeta = {
      mtime_ns: null,
      inode: null,
      mode,
      ...(content.badCount > 0 ? { damaged: true } : {}),
    };
    const kind = rules === null ? entryKinds.file : entryKinds.relation;
    for (const entry of entriesOf(path, kind, content.stream, content.stamps, meta)) this.#put(entry);
  }

  async #one(entry: TarEntry, files: FileStoring): Promise<void> {
    const { path, type, size, mode } = entry;
    if (path === '' || path.endsWith('/')) return;
    if (apart.has(path) && type === 'file') {
      this.apart.set(path, await whole(entry));
      return;
    }
    if (isLeftOut(path)) return;
    if (type === 'symlink') {
      // Links to tablespaces come as what they lead to.
      if (!/^pg_tblspc\/\d+$/.test(path))
        this.#options.leftOut.add(path, `it is a symbolic link to ${entry.linkTarget}`);
      return;
    }
    const [, oid] = /^pg_tblspc\/(\d+)(?:\/|$)/.exec(path) ?? [];
    if (oid !== undefined)
      this.tablespaceBytes.set(Number(oid), (this.tablespaceBytes.get(Number(oid)) ?? 0) + size);
    if (type === 'directory') {
      this.#directory(path, mode);
      return;
    }
    if (!path.includes('/')) this.topFiles.add(path);
    const { facts, startLsn, parent } = this.#options;
    const parentStartLsn = parent?.plan.startLsn ?? null;
    const rules = pageRulesOf(path, { facts, startLsn, parentStartLsn });
    await files.add({ path, size, mode, rules, before: this.#before(path), data: entry.data });
  }

  #before(path: string): EarlierFile | undefined {
    const { parent } = this.#options;
    // Of other files nothing is compared.
    if (parent === undefined || parseRelationPath(path) === undefined) return undefined;
    const { entries, plan } = parent;
    return comparable({ path, kind: 'relation' }, entries.find(path), entries.find(stampsPath(path)), plan);
  }

  #directory(path: string, mode: number): void {
    const [, oid] = /^pg_tblspc\/(\d+)$/.exec(path) ?? [];
    if (oid !== undefined) this.tablespaceBytes.set(Number(oid), this.tablespaceBytes.get(Number(oid)) ?? 0);
    const meta: FileMeta = { mtime_ns: null, inode: null, mode };
    this.#put({ path, kind: entryKinds.directory, stream: null, meta });
  }

  #put(entry: Entry): void {
    this.#options.entries.put(entry);
  }
}

/** The server leaves out the same; this is for what it knows nothing of, such as files of a newer version. */
function isLeftOut(path: string): boolean {
  const names = path.split('/');
  const name = names.pop() ?? '';
  if (leftOutOf(names.join('/'), [])(name)) return true;
  return names.some((_, depth) => isEmptied(names.slice(0, depth + 1).join('/')));
}

async function whole({ data, size, path }: TarEntry): Promise<Buffer> {
  if (size > mostBytesApart) throw new Error(`${path} has ${size} bytes`);
  const pieces = await Array.fromAsync(data);
  return Buffer.concat(pieces);
}
