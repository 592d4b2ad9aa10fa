import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { Manifest } from '../contract/manifest.ts';
import type { Repository } from '../repository/repository.ts';
import type { ExportItem, ExportSink } from '../sources/export-port.ts';
import type { OperationContext } from './contract.ts';
import { PartialFile, syncNames } from './export-file.ts';
import { GzipWriter } from './gzip.ts';
import { restoreContext } from './restore.ts';

export interface NamedItem {
  readonly item: ExportItem;
  readonly name: string;
  /** The file is there already with just these bytes, and stays as it is. */
  readonly kept?: FileFacts;
}

export interface FileFacts {
  readonly bytes: number;
  /** That of sha256sum. */
  readonly sha256: string;
}

/** A file that is written, not yet under its name. */
export interface WrittenFile extends NamedItem, FileFacts {}

export interface ExportOptions extends OperationContext {
  /** Is there. */
  readonly directory: string;
  /** The id of our process, `-`, and hexadecimal digits that no other has. */
  readonly token: string;
  /** Files of these names may be replaced. */
  readonly replace: boolean;
  /** What stands in the `.meta.json` beside a file. */
  readonly describe: (file: WrittenFile, all: readonly WrittenFile[]) => unknown;
}

/**
 * Writes files from a backup, each with its `.sha256` and `.meta.json`. They get their names when all of them are complete
 * and durable; when it rejects before that, nothing is left.
 */
export async function exportBackup(
  repository: Repository,
  manifest: Manifest,
  items: readonly NamedItem[],
  options: ExportOptions,
): Promise<readonly WrittenFile[]> {
  const context = restoreContext(repository, manifest, options);
  await using files = new AsyncDisposableStack();
  const create = async (name: string): Promise<PartialFile> =>
    files.use(await PartialFile.create(options.directory, name, options.token));
  const data: (PartialFile | undefined)[] = [];
  const written: WrittenFile[] = [];
  for (const named of items) {
    options.signal.throwIfAborted();
    if (named.kept !== undefined) {
      data.push(undefined);
      written.push({ ...named, ...named.kept });
      continue;
    }
    options.progress.phase(`writing ${named.name}`);
    const file = await create(named.name);
    data.push(file);
    await writeItem(named.item, file, options, context);
    options.signal.throwIfAborted();
    written.push({ ...named, ...(await file.finish()) });
  }
  const inOrder: PartialFile[] = [];
  for (const [index, file] of data.entries()) {
    const facts = written[index];
    if (file === undefined || facts === undefined) continue;
    const sum = await small(create, `${facts.name}.sha256`, sumLine(facts.name, facts));
    const description = `${JSON.stringify(options.describe(facts, written), null, 2)}\n`;
    inOrder.push(file, sum, await small(create, `${facts.name}.meta.json`, description));
  }
  options.signal.throwIfAborted();
  options.progress.phase('making it durable');
  // Names are given without stopping in between: from here on it is done.
  for (const file of inOrder) await file.publish(options.replace);
  await syncNames(options.directory);
  return written;
}

/**
 * Compares the file of that name in `directory` with what would be written now; undefined unless it is the same and has its
 * `.sha256` and `.meta.json` beside it.
 */
export async function alreadyThere(
  { item, name }: NamedItem,
  directory: string,
  running: OperationContext,
  context: ReturnType<typeof restoreContext>,
): Promise<FileFacts | undefined> {
  const path = join(directory, name);
  const hash = createHash('sha256');
  let bytes = 0;
  try {
    const stats = await Promise.all([stat(path), stat(`${path}.sha256`), stat(`${path}.meta.json`)]);
    if (!stats.every((one) => one.isFile())) return undefined;
    for await (const piece of createReadStream(path, { signal: running.signal }))
      hash.update(piece as Buffer);
    const sha256 = hash.digest('hex');
    if ((await readFile(`${path}.sha256`, 'utf8')) !== sumLine(name, { sha256 })) return undefined;
    const wanted = createHash('sha256');
    const take = async (piece: Uint8Array): Promise<void> => {
      wanted.update(piece);
      bytes += piece.length;
    };
    await writeItem(item, { write: take, overwriteStart: neverOver }, running, context);
    return wanted.digest('hex') === sha256 ? { bytes, sha256 } : undefined;
  } catch (error) {
    running.signal.throwIfAborted();
    if (['ENOENT', 'EACCES', 'ENOTDIR'].includes((error as NodeJS.ErrnoException).code ?? ''))
      return undefined;
    throw error;
  }
}

function sumLine(name: string, { sha256 }: Pick<FileFacts, 'sha256'>): string {
  return `${sha256}  ${name}\n`;
}

async function small(
  create: (name: string) => Promise<PartialFile>,
  name: string,
  text: string,
): Promise<PartialFile> {
  const file = await create(name);
  await file.write(Buffer.from(text));
  await file.finish();
  return file;
}

async function writeItem(
  item: ExportItem,
  file: ExportSink,
  { jobs }: OperationContext,
  context: ReturnType<typeof restoreContext>,
): Promise<void> {
  if (!item.gzip) return await item.write(file, context);
  const gzip = new GzipWriter(Math.min(4, jobs), (bytes) => file.write(bytes));
  const sink: ExportSink = {
    write: (bytes) => gzip.write(bytes),
    overwriteStart: neverOver,
  };
  await item.write(sink, context);
  await gzip.end();
}

function neverOver(): Promise<void> {
  return Promise.reject(new Error('what is compressed cannot be written over'));
}
