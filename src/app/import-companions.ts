import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { readFile, stat } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { z } from 'zod';
import { failure, reasonOf } from '../kernel/errors/failure.ts';
import type { Progress } from '../sources/port.ts';

/** What `import` needs of a `.meta.json`; all of it may be missing, for anybody can write one. */
const descriptionSchema = z.object({
  sha256: z.string().optional(),
  contents: z
    .object({
      database: z.unknown().optional(),
      globals: z.string().optional(),
      passwords: z.boolean().optional(),
      path: z.string().optional(),
      server_version: z.string().optional(),
    })
    .optional(),
  exported_with: z.array(z.string()).optional(),
  backup: z
    .object({
      id: z.string(),
      source: z.string(),
      started_at: z.string(),
      tags: z.record(z.string(), z.string()),
      incomplete: z.string().min(1).nullable(),
    })
    .partial()
    .optional(),
});

export type Description = z.infer<typeof descriptionSchema>;

/** The `.meta.json` beside a file; undefined without one, or when it is not ours. */
export async function descriptionOf(path: string): Promise<Description | undefined> {
  const text = await readIfThere(`${path}.meta.json`);
  if (text === undefined) return undefined;
  try {
    return descriptionSchema.parse(JSON.parse(text));
  } catch {
    return undefined; // somebody else's file of that name says nothing about this one
  }
}

/**
 * Compares a file with the checksum beside it, in `.sha256` or else in the `.meta.json`. False when there is none.
 * Throws `import_checksum`.
 */
export async function checkSum(
  path: string,
  description: Description | undefined,
  { signal, progress }: { readonly signal: AbortSignal; readonly progress: Progress },
): Promise<boolean> {
  const wanted = await wantedSum(path, description);
  if (wanted === undefined) return false;
  progress.phase(`comparing ${basename(path)} with ${wanted.from}`);
  const hash = createHash('sha256');
  try {
    for await (const piece of createReadStream(path, { highWaterMark: 1_048_576, signal }))
      hash.update(piece as Buffer);
  } catch (error) {
    signal.throwIfAborted();
    throw failure('import_unreadable', { file: path, reason: reasonOf(error) }, { cause: error });
  }
  if (hash.digest('hex') !== wanted.sum.toLowerCase())
    throw failure('import_checksum', { file: path, checksum: join(dirname(path), wanted.from) });
  return true;
}

/** A line of sha256sum: the sum, two spaces (or ` *`), a name; or the sum alone. */
async function wantedSum(
  path: string,
  description: Description | undefined,
): Promise<{ readonly sum: string; readonly from: string } | undefined> {
  const text = await readIfThere(`${path}.sha256`);
  const from = `${basename(path)}.sha256`;
  for (const line of (text ?? '').split(/\r?\n/)) {
    const [, sum, name] = /^\\?([0-9a-fA-F]{64})(?: [ *](.+))?\s*$/.exec(line) ?? [];
    if (sum !== undefined && (name === undefined || basename(name) === basename(path))) return { sum, from };
  }
  // A file that is there and says nothing about this one was meant to say something.
  if (text !== undefined)
    throw failure('import_checksum', { file: path, checksum: join(dirname(path), from) });
  const sum = description?.sha256;
  return sum === undefined ? undefined : { sum, from: `${basename(path)}.meta.json` };
}

export interface GlobalsFile {
  readonly path: string;
  readonly shown: string;
  readonly passwords: boolean;
  readonly description: Description;
}

/** The file with roles that was exported together with this one, when it still lies beside it. */
export async function globalsBeside(
  path: string,
  description: Description | undefined,
): Promise<GlobalsFile | undefined> {
  for (const name of description?.exported_with ?? []) {
    if (name !== basename(name)) continue;
    const other = join(dirname(path), name);
    const found = await descriptionOf(other);
    if (found?.contents?.globals === undefined) continue;
    return { path: other, shown: other, passwords: found.contents.passwords ?? false, description: found };
  }
  return undefined;
}

/** The files themselves, each once: not what describes one of the others, nor the roles that come along with one. */
export async function withoutCompanions(files: readonly string[], cwd: string): Promise<readonly string[]> {
  const byPath = new Map(files.map((file) => [resolve(cwd, file), file]));
  const companions = new Set<string>();
  for (const path of byPath.keys())
    for (const name of (await descriptionOf(path))?.exported_with ?? [])
      companions.add(join(dirname(path), name));
  const isCompanion = async (path: string): Promise<boolean> => {
    const of = /^(.+)\.(?:sha256|meta\.json)$/s.exec(path)?.[1];
    if (of !== undefined) return byPath.has(of);
    const description = await descriptionOf(path);
    if (description?.contents?.globals === undefined) return false;
    // Roles that were kept when the same backup was exported in another format know of their first export only.
    if (companions.has(path)) return true;
    return description.exported_with?.some((name) => byPath.has(join(dirname(path), name))) ?? false;
  };
  const kept: string[] = [];
  for (const [path, file] of byPath) if (!(await isCompanion(path))) kept.push(file);
  return kept;
}

/** What is no directory; all of it when nothing else is there. */
export async function withoutDirectories(
  files: readonly string[],
  cwd: string,
): Promise<{ readonly files: readonly string[]; readonly passedOver: readonly string[] }> {
  const passedOver: string[] = [];
  for (const file of files) {
    const stats = await stat(resolve(cwd, file)).catch(() => null); // reading it will say what is wrong
    if (stats?.isDirectory() === true) passedOver.push(file);
  }
  if (passedOver.length === files.length) return { files, passedOver: [] };
  return { files: files.filter((file) => !passedOver.includes(file)), passedOver };
}

async function readIfThere(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw failure('import_unreadable', { file: path, reason: reasonOf(error) }, { cause: error });
  }
}
