import type { z } from 'zod';
import type { Entry, StreamRef } from '../../../contract/stream.ts';
import { pathBytes } from '../../../kernel/byte-path.ts';
import {
  type DirectoryMeta,
  directoryMetaSchema,
  entryKinds,
  type FileMeta,
  fileMetaSchema,
  hardlinkMetaSchema,
  type SymlinkMeta,
  symlinkMetaSchema,
} from '../metadata.ts';
import { damagedEntries } from './failure.ts';
import type { Selection } from './select.ts';

interface Place {
  /** As entries write it; `.` for where everything is restored to. */
  readonly path: string;
  /** It was chosen, and nothing above it: not what is only the way to it, nor what is below it. */
  readonly top: boolean;
}

export interface DirectoryStep extends Place {
  /** `enter` comes before, `leave` after everything that is restored in it. */
  readonly type: 'enter' | 'leave';
  readonly meta: DirectoryMeta;
}

export interface FileStep extends Place {
  readonly type: 'file';
  readonly meta: FileMeta;
  readonly stream: StreamRef;
}

export interface SymlinkStep extends Place {
  readonly type: 'symlink';
  readonly meta: SymlinkMeta;
}

export interface HardlinkStep extends Place {
  readonly type: 'hardlink';
  readonly target: string;
}

export type Step = DirectoryStep | FileStep | SymlinkStep | HardlinkStep;

interface OpenDirectory {
  readonly path: string;
  readonly meta: DirectoryMeta;
  readonly chosen: boolean;
  readonly top: boolean;
  entered: boolean;
}

/**
 * What is restored, in the order of the backup: what is chosen, and the directories that lead to it. `unchosen` is told
 * of files that are not. Rejects with `object_damaged` for paths that could lead out of the place where all is restored.
 */
export async function* walk(
  entries: AsyncIterable<Entry>,
  selection: Selection,
  unchosen?: (path: string, file: () => FileStep) => void,
): AsyncGenerator<Step, void, void> {
  const open: OpenDirectory[] = [];
  let first = true;
  for await (const entry of entries) {
    const { path, kind } = entry;
    checkPath(path);
    if (path === '.' && !first) throw damagedEntries('. does not come first');
    first = false;
    const parent = parentOf(path);
    while (open.length > 0 && open.at(-1)?.path !== parent) yield* leave(open.pop());
    if (open.length === 0 && path !== '.' && parent !== '.')
      throw damagedEntries(`${path} does not come in its directory`);
    // Asked even below what is chosen, so that each selector notices what it means.
    const chosenItself = selection.matches(path);
    const chosenAbove = open.at(-1)?.chosen ?? selection.everything;
    const chosen = chosenItself || chosenAbove;
    const top = chosen && !chosenAbove;
    if (kind === entryKinds.directory) {
      const directory = { path, meta: parsed(directoryMetaSchema, entry), chosen, top, entered: false };
      open.push(directory);
      if (chosen) yield* enterAll(open);
    } else if (chosen) {
      yield* enterAll(open);
      yield contentStep(entry, top);
    } else if (kind === entryKinds.file) {
      unchosen?.(path, () => contentStep(entry, false) as FileStep);
    }
  }
  while (open.length > 0) yield* leave(open.pop());
}

function* enterAll(open: readonly OpenDirectory[]): Generator<Step, void, void> {
  for (const directory of open) {
    if (directory.entered) continue;
    directory.entered = true;
    const { path, meta, top } = directory;
    yield { type: 'enter', path, meta, top };
  }
}

function* leave(directory: OpenDirectory | undefined): Generator<Step, void, void> {
  if (directory?.entered !== true) return;
  const { path, meta, top } = directory;
  yield { type: 'leave', path, meta, top };
}

function contentStep(entry: Entry, top: boolean): FileStep | SymlinkStep | HardlinkStep {
  const { path, kind, stream } = entry;
  if (kind === entryKinds.file) {
    if (stream === null) throw damagedEntries(`${path} has no content`);
    return { type: 'file', path, meta: parsed(fileMetaSchema, entry), stream, top };
  }
  if (kind === entryKinds.symlink)
    return { type: 'symlink', path, meta: parsed(symlinkMetaSchema, entry), top };
  if (kind !== entryKinds.hardlink)
    throw damagedEntries(`${path} is ${kind}, which this version does not know`);
  const { target } = parsed(hardlinkMetaSchema, entry);
  checkPath(target);
  return { type: 'hardlink', path, target, top };
}

function parsed<T>(schema: z.ZodType<T>, { path, meta }: Entry): T {
  const result = schema.safeParse(meta);
  if (result.success) return result.data;
  throw damagedEntries(`what it says of ${path} cannot be read: ${result.error.issues[0]?.message ?? ''}`);
}

/** The path of the directory that something lies in. */
export function parentOf(path: string): string {
  if (path === '.') return '';
  const slash = path.lastIndexOf('/');
  return slash < 0 ? '.' : path.slice(0, slash);
}

/** Empty names, `.` and `..`, wherever they stand. */
const strangeNames = /(?:^|\/)\.{0,2}(?:\/|$)/;

/** Refuses what would not lie below the place where all is restored. */
function checkPath(path: string): void {
  if (path === '.') return;
  const bytes = path.includes('%') ? pathBytes(path).toString('latin1') : path;
  const hiddenSlash = /%2f/i.test(path);
  if (hiddenSlash || bytes.includes('\0') || strangeNames.test(bytes))
    throw damagedEntries(`${path} is no path below the place of the backup`);
}
