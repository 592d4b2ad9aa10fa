import { isNameSegment, isObjectName } from '../names.ts';
import type { ListOptions, ObjectInfo } from '../port.ts';
import { statuses, type Attributes } from './codec.ts';
import { coded } from './errors.ts';
import type { Entry, Remote } from './remote.ts';
import type { SftpRoot } from './root.ts';
import { SftpStatus } from './session.ts';

/** Folders read before their turn, so that a slow line is not waited for at each. */
const foldersAhead = 4;

/** Something in a folder: an object, or (without `info`) a folder, whose key ends with `/`. */
interface Found {
  readonly key: string;
  readonly info?: ObjectInfo;
}

/**
 * Objects whose name starts with `prefix`, in byte order. Holds what is in a few folders per level, nothing else.
 * Checks before and after that the repository's directory is still in place, so an unmounted disk never reads as
 * an empty repository.
 */
export async function* listObjects(
  root: SftpRoot,
  prefix: string,
  { signal, after }: ListOptions,
): AsyncGenerator<ObjectInfo, void, void> {
  await root.connections.run((remote) => inPlace(root, remote), signal);
  const folder = prefix.slice(0, prefix.lastIndexOf('/') + 1);
  yield* walk(root, findIn(root, folder, prefix, signal), prefix, { signal, after });
  await root.connections.run((remote) => inPlace(root, remote), signal);
}

function inPlace(root: SftpRoot, remote: Remote): Promise<void> {
  return coded(root, remote, listDeed(root, ''), () => root.assertInPlace(remote));
}

/** Names that file systems and this storage make by themselves at the root. */
const ownNames: ReadonlySet<string> = new Set(['.tmp', 'lost+found']);

/** The first entry of the root, by name, that can be no object and no folder of objects. */
export async function findForeign(
  root: SftpRoot,
  signal: AbortSignal | undefined,
): Promise<string | undefined> {
  const read = (remote: Remote): Promise<Entry[] | undefined> =>
    coded(root, remote, listDeed(root, ''), () => remote.readFolder(root.path, signal));
  const entries = (await root.connections.run(read, signal)) ?? [];
  const names = entries.map(({ name }) => name);
  return names.filter((name) => !ownNames.has(name) && !isNameSegment(name)).toSorted()[0];
}

async function* walk(
  root: SftpRoot,
  reading: Promise<Found[]>,
  prefix: string,
  options: ListOptions,
): AsyncGenerator<ObjectInfo, void, void> {
  const { signal, after } = options;
  // Folders that hold nothing but what the caller has already are not read.
  const found = (await reading).filter(
    ({ key }) => after === undefined || key > after || after.startsWith(key),
  );
  const folders = found.filter(({ info }) => info === undefined).values();
  const ahead: Promise<Found[]>[] = [];
  const readAhead = (): void => {
    while (ahead.length < foldersAhead) {
      const next = folders.next();
      if (next.done === true) return;
      const coming = findIn(root, next.value.key, prefix, signal);
      // It rejects where it is awaited, unless the reader leaves before.
      coming.catch(() => undefined);
      ahead.push(coming);
    }
  };
  for (const { info } of found) {
    signal?.throwIfAborted();
    if (info !== undefined) {
      yield info;
      continue;
    }
    readAhead();
    const coming = ahead.shift();
    if (coming !== undefined) yield* walk(root, coming, prefix, options);
  }
}

/**
 * What a folder holds that can be objects, sorted; folders with a final `/`: that is how their members' names go on,
 * and `-` and `.` sort before `/`. Names are ASCII, so comparing characters is comparing bytes.
 */
function findIn(
  root: SftpRoot,
  folder: string,
  prefix: string,
  signal: AbortSignal | undefined,
): Promise<Found[]> {
  const read = async (remote: Remote): Promise<Found[]> => {
    const entries = (await remote.readFolder(root.pathOf(folder), signal)) ?? [];
    const found: Found[] = [];
    for (const entry of entries) {
      const name = folder + entry.name;
      if (!isNameSegment(entry.name) || !isObjectName(name) || !name.startsWith(prefix)) continue;
      const attributes = isPlain(entry) ? entry : await remote.stat(root.pathOf(name));
      if (attributes === undefined) continue;
      if (kindOf(attributes) === 'directory') found.push({ key: `${name}/` });
      else if (kindOf(attributes) === 'file') found.push({ key: name, info: infoOf(name, attributes) });
    }
    return found.toSorted((a, b) => (a.key < b.key ? -1 : 1));
  };
  return root.connections.run(
    (remote) => coded(root, remote, listDeed(root, folder), () => read(remote)),
    signal,
  );
}

/** Undefined when there is no such object. Other failures reject. */
export async function statObject(
  root: SftpRoot,
  remote: Remote,
  name: string,
): Promise<ObjectInfo | undefined> {
  const attributes = await remote.stat(root.pathOf(name));
  return attributes === undefined || kindOf(attributes) !== 'file' ? undefined : infoOf(name, attributes);
}

/** False for a symbolic link, and where the server tells less than it should. */
function isPlain({ kind, size, modifiedAtS }: Attributes): boolean {
  return kind === 'directory' || (kind === 'file' && size !== undefined && modifiedAtS !== undefined);
}

function kindOf({ kind }: Attributes): 'file' | 'directory' | 'other' {
  if (kind === undefined) throw new SftpStatus(statuses.unsupported, 'what is a file is not told');
  return kind;
}

function infoOf(name: string, { size, modifiedAtS }: Attributes): ObjectInfo {
  if (size === undefined || modifiedAtS === undefined)
    throw new SftpStatus(statuses.unsupported, 'sizes and times of files are not told');
  return { name, sizeBytes: size, modifiedAtMs: modifiedAtS * 1000 };
}

function listDeed(root: SftpRoot, folder: string) {
  return {
    action: 'list',
    name: folder === '' ? 'objects' : folder,
    path: root.pathOf(folder),
    changes: false,
  };
}
