import { mkdtemp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { pathText } from '../../../kernel/byte-path.ts';
import { failure } from '../../../kernel/errors/failure.ts';
import { removeLeftBehind } from '../../../kernel/left-behind.ts';
import { plural } from '../../../kernel/plural.ts';
import type { BackupContext, BackupOutcome } from '../../port.ts';
import { importTarModule, type ImportTarInput } from './import-task.ts';
import { ImportTable, type ImportNode } from './import-table.ts';
import { LinkTable } from '../backup/links.ts';
import { entryKinds, type DirectoryMeta, type FilesMetadata } from '../metadata.ts';
import { topPath } from '../path-order.ts';

export interface TarImportOptions extends Omit<ImportTarInput, 'table'> {
  /** For the table of what is in it. */
  readonly temporaryDirectory: string;
  readonly now: () => number;
}

const temporaryNames = /^holdfast-import-(\d+)-[A-Za-z0-9]{6}$/;
const linksInMemory = 100_000;

/** Makes a backup of kind `files` of a tar file. Throws `import_*`. */
export async function importTarFile(
  options: TarImportOptions,
  context: BackupContext,
): Promise<BackupOutcome> {
  const { temporaryDirectory, path, gzip, shown, now } = options;
  await removeLeftBehind(temporaryDirectory, temporaryNames, now());
  const directory = await mkdtemp(join(temporaryDirectory, `holdfast-import-${process.pid}-`));
  try {
    const file = join(directory, 'names');
    context.progress.phase(`reading ${shown}`);
    const found = await context.run(
      importTarModule,
      { path, gzip, shown, table: file },
      { signal: context.signal, onProgress: (bytes) => context.progress.advance(bytes) },
    );
    using table = new ImportTable(file);
    using entries = new EntryWriter(context, shown);
    for (const { path: name, node } of table.inOrder()) await entries.take(name, node);
    const metadata: FilesMetadata = {
      schema: 1,
      roots: [{ path: pathText(Buffer.from(path)), at: topPath }],
      ...(await entries.end()),
      unchanged: 0,
      changed: 0,
      vanished: 0,
      unreadable: 0,
      left_out: found.leftOut,
      xattrs: found.xattrs,
    };
    return { metadata, warnings: warningsOf(found) };
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

function warningsOf(found: { readonly leftOut: number; readonly unknownKeys: readonly string[] }): string[] {
  const { leftOut, unknownKeys } = found;
  return [
    ...(leftOut === 0 ? [] : [`left out: ${plural(leftOut, 'device')} or pipes, which backups do not have`]),
    ...(unknownKeys.length === 0
      ? []
      : [`not taken over from the archive: ${unknownKeys.toSorted().slice(0, 10).join(', ')}`]),
  ];
}

/** Adds entries in their order, with the directories that an archive may leave unsaid. */
class EntryWriter implements Disposable {
  readonly #context: BackupContext;
  readonly #shown: string;
  readonly #links = new LinkTable(linksInMemory);
  /** The way to the last entry: paths of directories, the place itself first. */
  readonly #open: string[] = [];
  /** The last name that came. */
  #last = '';
  readonly #counts = { files: 0, directories: 0, symlinks: 0, hardlinks: 0, bytes: 0 };

  constructor(context: BackupContext, shown: string) {
    this.#context = context;
    this.#shown = shown;
  }

  async take(name: Buffer, node: ImportNode): Promise<void> {
    this.#context.signal.throwIfAborted();
    if (name.length === 0) {
      if (node.type !== 'directory') throw this.#refused('a file in the place of the directory itself');
      await this.#directory(topPath, node.meta);
      return;
    }
    const path = pathText(name);
    await this.#enter(path, node);
    this.#last = path;
    if (node.type === 'directory') await this.#directory(path, node.meta);
    else if (node.type === 'symlink') await this.#symlink(path, node);
    else await this.#file(path, node);
  }

  async end() {
    if (this.#open.length === 0) await this.#directory(topPath, { mode: 0o755, uid: 0, gid: 0, mtime: '0' });
    return this.#counts;
  }

  [Symbol.dispose](): void {
    this.#links[Symbol.dispose]();
  }

  /** Makes the directories above `path` that did not come, like what is in them. */
  async #enter(path: string, { meta }: ImportNode): Promise<void> {
    const { mtime, uid, gid } = meta as DirectoryMeta;
    const names = path.split('/').slice(0, -1);
    const way = [topPath, ...names.map((_, index) => names.slice(0, index + 1).join('/'))];
    for (const [depth, directory] of way.entries()) {
      if (this.#open[depth] === directory) continue;
      // In this order nothing stands between a name and what is below it.
      if (directory === this.#last)
        throw this.#refused(`${path}, which lies in ${directory}, which is no directory`);
      this.#open.length = depth;
      await this.#directory(directory, { mode: 0o755, uid, gid, mtime });
    }
    this.#open.length = way.length;
  }

  async #directory(path: string, meta: ImportNode['meta']): Promise<void> {
    this.#open.push(path);
    this.#counts.directories += 1;
    await this.#context.addEntry({ path, kind: entryKinds.directory, stream: null, meta });
  }

  async #symlink(path: string, { meta }: ImportNode): Promise<void> {
    this.#counts.symlinks += 1;
    await this.#context.addEntry({ path, kind: entryKinds.symlink, stream: null, meta });
  }

  async #file(path: string, { id, meta, stream, linked }: ImportNode): Promise<void> {
    const first = linked ? this.#links.get(String(id)) : undefined;
    if (first !== undefined) {
      this.#counts.hardlinks += 1;
      const target = { target: first.path };
      await this.#context.addEntry({ path, kind: entryKinds.hardlink, stream: null, meta: target });
      return;
    }
    if (stream === null) throw failure('internal', { reason: `${path} was read and has no content` });
    if (linked) this.#links.set(String(id), { path, left: 0, ctime: '' });
    this.#counts.files += 1;
    this.#counts.bytes += stream.size_bytes;
    await this.#context.addEntry({ path, kind: entryKinds.file, stream, meta });
  }

  #refused(what: string): Error {
    const mend = 'unpack it where that does no harm, look at it, and back up the directory';
    return failure('import_unsupported', { file: this.#shown, what, mend });
  }
}
