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
}

/** A file that is written, not yet under its name. */
export interface WrittenFile extends NamedItem {
  readonly bytes: number;
  readonly sha256: string;
}

export interface ExportOptions extends OperationContext {
  /** Is there. */
  readonly directory: string;
  /** Hexadecimal digits that no other process has. */
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
  const data: PartialFile[] = [];
  const written: WrittenFile[] = [];
  for (const named of items) {
    options.signal.throwIfAborted();
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
    if (facts === undefined) continue;
    const sum = await small(create, `${facts.name}.sha256`, `${facts.sha256}  ${facts.name}\n`);
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
  file: PartialFile,
  { jobs }: OperationContext,
  context: ReturnType<typeof restoreContext>,
): Promise<void> {
  if (!item.gzip) return await item.write(file, context);
  const gzip = new GzipWriter(Math.min(4, jobs), (bytes) => file.write(bytes));
  const sink: ExportSink = {
    write: (bytes) => gzip.write(bytes),
    overwriteStart: () => Promise.reject(new Error('what is compressed cannot be written over')),
  };
  await item.write(sink, context);
  await gzip.end();
}
