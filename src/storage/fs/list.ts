import type { Dirent } from 'node:fs';
import { isNameSegment, isObjectName } from '../names.ts';
import type { ObjectInfo } from '../port.ts';
import { coded, saysAbsent } from './errors.ts';
import type { FsRoot } from './root.ts';

/**
 * Objects whose name starts with `prefix`, in byte order. Holds the names of one directory per level, nothing else.
 * Checks before and after that the repository's directory is still in place, so an unmounted disk never reads as
 * an empty repository.
 */
export async function* listObjects(
  root: FsRoot,
  prefix: string,
  signal: AbortSignal | undefined,
): AsyncGenerator<ObjectInfo, void, void> {
  await root.assertInPlace();
  yield* walk(root, prefix.slice(0, prefix.lastIndexOf('/') + 1), prefix, signal);
  await root.assertInPlace();
}

/** Names that file systems and this storage make by themselves at the root. */
const ownNames: ReadonlySet<string> = new Set(['.tmp', 'lost+found']);

/** The first entry of the root, by name, that can be no object and no folder of objects. */
export async function findForeign(root: FsRoot): Promise<string | undefined> {
  const entries = await present(root, '', () => root.calls.readdir(root.pathOf(''), { withFileTypes: true }));
  const foreign = (entries ?? [])
    .map(({ name }) => name)
    .filter((name) => !ownNames.has(name) && !isNameSegment(name));
  return foreign.toSorted()[0];
}

async function* walk(
  root: FsRoot,
  folder: string,
  prefix: string,
  signal: AbortSignal | undefined,
): AsyncGenerator<ObjectInfo, void, void> {
  signal?.throwIfAborted();
  for (const key of await sortedKeys(root, folder, prefix)) {
    signal?.throwIfAborted();
    if (key.endsWith('/')) {
      yield* walk(root, folder + key, prefix, signal);
    } else {
      const info = await statObject(root, folder + key);
      if (info !== undefined) yield info;
    }
  }
}

/**
 * Entries of one directory, folders with a final `/`: that is how their members' names go on, and `-` and `.` sort
 * before `/`. Names are ASCII, so the default sort is the order of bytes.
 */
async function sortedKeys(root: FsRoot, folder: string, prefix: string): Promise<string[]> {
  const entries = await present(root, folder, () =>
    root.calls.readdir(root.pathOf(folder), { withFileTypes: true }),
  );
  const keys: string[] = [];
  for (const entry of entries ?? []) {
    const name = folder + entry.name;
    if (!isNameSegment(entry.name) || !isObjectName(name) || !name.startsWith(prefix)) continue;
    const kind = await kindOf(root, name, entry);
    if (kind !== undefined) keys.push(kind === 'folder' ? `${entry.name}/` : entry.name);
  }
  return keys.toSorted();
}

async function kindOf(root: FsRoot, name: string, entry: Dirent): Promise<'file' | 'folder' | undefined> {
  if (entry.isFile()) return 'file';
  if (entry.isDirectory()) return 'folder';
  // A symbolic link, or a file system that does not tell the type.
  const info = await present(root, name, () => root.calls.stat(root.pathOf(name)));
  if (info?.isDirectory() === true) return 'folder';
  return info?.isFile() === true ? 'file' : undefined;
}

/** Undefined when there is no such object. Other failures reject, coded. */
export async function statObject(root: FsRoot, name: string): Promise<ObjectInfo | undefined> {
  const info = await present(root, name, () => root.calls.stat(root.pathOf(name)));
  if (info?.isFile() !== true) return undefined;
  return { name, sizeBytes: info.size, modifiedAtMs: info.mtimeMs };
}

/** What `read` gives, or undefined where the thing is not there (any more). */
async function present<T>(root: FsRoot, name: string, read: () => Promise<T>): Promise<T | undefined> {
  const deed = {
    action: 'list',
    name: name === '' ? 'objects' : name,
    location: root.location,
    path: root.pathOf(name),
  };
  return coded(deed, async () => {
    try {
      return await read();
    } catch (error) {
      if (saysAbsent(error)) return undefined;
      throw error;
    }
  });
}
