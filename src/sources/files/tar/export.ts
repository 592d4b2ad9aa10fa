import type { StreamRef } from '../../../contract/stream.ts';
import { pathBytes } from '../../../kernel/byte-path.ts';
import { failure } from '../../../kernel/errors/failure.ts';
import { blockBytes, paddingBytes } from '../../../pipeline/tar-header.ts';
import { shellWord, type ExportItem, type ExportSink } from '../../export-port.ts';
import type { RestoreContext } from '../../port.ts';
import { filesMetadataSchema } from '../metadata.ts';
import { Selection } from '../restore/select.ts';
import { dataRanges } from '../restore/sparse.ts';
import { walk, type FileStep, type Step } from '../restore/walk.ts';
import { storedBytes, tarEnd, tarHeader, tarPadding, type TarExtent, type TarMember } from './writer.ts';

export interface FilesExportOptions {
  /** Paths or patterns; everything when empty. */
  readonly only: readonly string[];
}

/** The tar file a backup of kind `files` is exported to. Writes nothing. */
export async function planFilesExport(
  { only }: FilesExportOptions,
  context: RestoreContext,
): Promise<ExportItem[]> {
  const { roots, ...metadata } = filesMetadataSchema.parse(context.metadata);
  const selection = new Selection(only, roots);
  const counts = { files: 0, directories: 0, symlinks: 0, hardlinks: 0, bytes: 0 };
  const orphans = new Set<string>();
  for await (const step of walk(context.entries(), selection)) {
    if (step.type === 'enter') counts.directories += 1;
    else if (step.type === 'symlink') counts.symlinks += 1;
    else if (step.type === 'hardlink') {
      counts.hardlinks += 1;
      if (!selection.everything && !selection.chooses(step.target)) orphans.add(step.target);
    } else if (step.type === 'file') {
      counts.files += 1;
      counts.bytes += step.stream.size_bytes;
    }
  }
  const { idle } = selection;
  if (idle !== undefined) throw failure('restore_selects_nothing', { only: idle, suggestion: '' });
  return [
    {
      label: '',
      extension: '.tar.gz',
      format: 'tar',
      gzip: true,
      bytes: counts.bytes,
      contents: { roots, ...counts, xattrs: metadata.xattrs, ...(only.length === 0 ? {} : { only }) },
      warnings: [],
      use: (file) =>
        `mkdir restored && tar -C restored --xattrs --xattrs-include='*' --numeric-owner -xpzf ${shellWord(file)}`,
      write: (sink, running) => new TarExport(sink, running, new Selection(only, roots), orphans).run(),
    },
  ];
}

/** Files up to this size are read several at once, up to so many bytes together. */
const smallBytes = 131_072;
const togetherBytes = 2 * 1_048_576;
const togetherSteps = 512;
/** A file with more parts than this is written without its holes: the list of them would be too long to hold. */
const mostExtents = 1_000_000;
/** Shorter rows of zeros are not worth a hole. */
const leastHoleBytes = 32_768;

class TarExport {
  readonly #sink: ExportSink;
  readonly #context: RestoreContext;
  readonly #selection: Selection;
  /** Targets of hard links that are not chosen themselves: the first link gets the content. */
  readonly #orphans: ReadonlySet<string>;
  readonly #contents = new Map<string, FileStep>();
  readonly #firstNames = new Map<string, string>();
  #waiting: Step[] = [];
  #waitingBytes = 0;

  constructor(sink: ExportSink, context: RestoreContext, selection: Selection, orphans: ReadonlySet<string>) {
    this.#sink = sink;
    this.#context = context;
    this.#selection = selection;
    this.#orphans = orphans;
  }

  async run(): Promise<void> {
    const unchosen = (path: string, file: () => FileStep): void => {
      if (this.#orphans.has(path)) this.#contents.set(path, file());
    };
    for await (const step of walk(this.#context.entries(), this.#selection, unchosen)) {
      this.#context.signal.throwIfAborted();
      await this.#take(this.#adopted(step));
    }
    await this.#flush();
    await this.#sink.write(tarEnd);
  }

  /** The first link to a file that is not chosen becomes that file, further ones links to the first. */
  #adopted(step: Step): Step {
    if (step.type !== 'hardlink') return step;
    const content = this.#contents.get(step.target);
    if (content === undefined) return step;
    const first = this.#firstNames.get(step.target);
    if (first !== undefined) return { ...step, target: first };
    this.#firstNames.set(step.target, step.path);
    return { ...content, path: step.path };
  }

  async #take(step: Step): Promise<void> {
    if (step.type === 'leave') return;
    if (step.type === 'file' && (step.meta.sparse === true || step.stream.size_bytes > smallBytes)) {
      await this.#flush();
      await this.#large(step);
      return;
    }
    this.#waiting.push(step);
    if (step.type === 'file') this.#waitingBytes += step.stream.size_bytes;
    if (this.#waitingBytes >= togetherBytes || this.#waiting.length >= togetherSteps) await this.#flush();
  }

  async #flush(): Promise<void> {
    const steps = this.#waiting;
    this.#waiting = [];
    this.#waitingBytes = 0;
    const streams = steps.flatMap((step) => (step.type === 'file' ? [step.stream] : []));
    const contents = (await this.#context.readTogether(streams)).values();
    for (const step of steps) {
      if (step.type !== 'file') {
        await this.#sink.write(tarHeader(memberOf(step)));
        continue;
      }
      const content = contents.next().value ?? new Uint8Array();
      await this.#sink.write(tarHeader(memberOf(step)));
      await this.#sink.write(content);
      await this.#sink.write(tarPadding(content.length));
      this.#context.progress.advance(content.length);
    }
  }

  async #large(step: FileStep): Promise<void> {
    const { stream } = step;
    const extents = step.meta.sparse === true ? await this.#extentsOf(stream) : undefined;
    await this.#sink.write(tarHeader({ ...memberOf(step), extents }));
    const parts = extents ?? [{ offset: 0, length: stream.size_bytes }];
    let position = 0;
    let current = 0;
    for await (const piece of this.#context.open(stream)) {
      for (let part = parts[current]; part !== undefined; part = parts[current]) {
        const from = Math.max(0, part.offset - position);
        const to = Math.min(piece.length, part.offset + part.length - position);
        if (from < to) await this.#sink.write(piece.subarray(from, to));
        if (part.offset + part.length > position + piece.length) break;
        current += 1;
      }
      position += piece.length;
      this.#context.progress.advance(piece.length);
    }
    await this.#sink.write(tarPadding(storedBytes(parts)));
  }

  /** What is between the holes, found by reading all of it once; undefined when there are too many, or none. */
  async #extentsOf(stream: StreamRef): Promise<readonly TarExtent[] | undefined> {
    const extents: { offset: number; length: number }[] = [];
    let position = 0;
    for await (const piece of this.#context.open(stream)) {
      for (const range of dataRanges(piece, position)) {
        // Each part begins in a block of its own when it is read back.
        const from = position + range.from - ((position + range.from) % blockBytes);
        const to = Math.min(stream.size_bytes, position + range.to + paddingBytes(position + range.to));
        const last = extents.at(-1);
        if (last !== undefined && from - last.offset - last.length < leastHoleBytes)
          last.length = to - last.offset;
        else extents.push({ offset: from, length: to - from });
      }
      if (extents.length > mostExtents) return undefined;
      position += piece.length;
    }
    const last = extents.at(-1);
    // As GNU tar does: what is empty at the end says how long the file is.
    if (last === undefined || last.offset + last.length < stream.size_bytes)
      extents.push({ offset: stream.size_bytes, length: 0 });
    return storedBytes(extents) === stream.size_bytes ? undefined : extents;
  }
}

function memberOf(step: Exclude<Step, { readonly type: 'leave' }>): TarMember {
  const name = pathBytes(step.path);
  if (step.type === 'hardlink') {
    const link = pathBytes(step.target);
    return { type: 'hardlink', name, link, mode: 0o644, uid: 0, gid: 0, mtime: 0n, size: 0 };
  }
  const { mode, uid, gid, xattrs } = step.meta;
  const common = { mode, uid, gid, xattrs, mtime: BigInt(step.meta.mtime), name };
  if (step.type === 'file') return { ...common, type: 'file', size: step.stream.size_bytes };
  if (step.type === 'symlink')
    return { ...common, type: 'symlink', size: 0, link: pathBytes(step.meta.target) };
  return { ...common, type: 'directory', size: 0, name: Buffer.concat([name, Buffer.from('/')]) };
}
