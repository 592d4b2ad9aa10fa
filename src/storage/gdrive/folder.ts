import { failure } from '../../kernel/errors/failure.ts';
import type { GdriveLocation } from '../google-locations.ts';
import { folderType, quoted, type Drive, type DriveFile } from './drive.ts';
import type { DriveDeed } from './errors.ts';

/** The folder in which the objects of a repository lie, all beside each other. */
export interface DriveFolder {
  readonly id: string;
  /** Of the shared drive that it is in; undefined in somebody's own. */
  readonly driveId: string | undefined;
}

interface Resolving {
  readonly drive: Drive;
  readonly location: string;
  readonly create: boolean;
}

/**
 * Follows a location to its folder. With `create`, folders that are not there are made; the first part of a location
 * must be there. Rejects with `gdrive_folder_missing`, `gdrive_ambiguous`, `storage_layout` (no folder), and what the service says.
 */
export async function resolveFolder(
  drive: Drive,
  { root, folders }: GdriveLocation,
  { location, create }: { readonly location: string; readonly create: boolean },
): Promise<DriveFolder> {
  const resolving: Resolving = { drive, location, create };
  // What `root` stands for need not be visible itself, when only our own files are.
  let at: DriveFolder =
    root === 'root' ? { id: root, driveId: undefined } : await folderById(resolving, root);
  for (const name of folders) at = await folderIn(resolving, at, name);
  return at;
}

async function folderById({ drive, location }: Resolving, id: string): Promise<DriveFolder> {
  const folder = await drive.find(id, { signal: undefined, deed: deedOf(location) });
  if (folder === undefined) throw failure('gdrive_folder_missing', { location });
  if (folder.mimeType === folderType) return { id: folder.id, driveId: folder.driveId };
  const mend = 'name a folder; its id is the last part of its address in the browser';
  throw failure('storage_layout', { location, reason: `${id} is not a folder`, mend });
}

async function folderIn(resolving: Resolving, parent: DriveFolder, name: string): Promise<DriveFolder> {
  const { drive, location, create } = resolving;
  const found = await foldersCalled(resolving, parent, name);
  const [only] = found;
  if (found.length > 1) throw ambiguous(location, name, found);
  if (only !== undefined) return { id: only.id, driveId: parent.driveId };
  if (!create) throw failure('gdrive_folder_missing', { location });
  const call = { signal: undefined, deed: deedOf(location) };
  const made = await drive.makeFolder(name, parent.id, call);
  // Somebody else may have made one at the same time. The older one is kept, as they will see it.
  const all = await foldersCalled(resolving, parent, name);
  const oldest = [...all.filter(({ id }) => id !== made.id), made].toSorted(byAge)[0] ?? made;
  if (oldest.id !== made.id) await drive.remove(made.id, call);
  return { id: oldest.id, driveId: parent.driveId };
}

async function foldersCalled(
  { drive, location }: Resolving,
  parent: DriveFolder,
  name: string,
): Promise<DriveFile[]> {
  const query = `${quoted(parent.id)} in parents and mimeType = ${quoted(folderType)} and name = ${quoted(name)}`;
  const found: DriveFile[] = [];
  for await (const page of drive.search(query, parent.driveId, { signal: undefined, deed: deedOf(location) }))
    found.push(...page.filter((file) => file.name === name));
  return found;
}

/** Of several things with one name the first is the one that counts: everybody comes to the same one. */
export function byAge(a: DriveFile, b: DriveFile): number {
  if (a.createdTime !== b.createdTime) return a.createdTime - b.createdTime;
  return a.id < b.id ? -1 : 1;
}

function ambiguous(location: string, name: string, found: readonly DriveFile[]): Error {
  const examples = found.map(({ id }) => `gdrive://${id}`).join(', ');
  return failure('gdrive_ambiguous', { count: found.length, name, location, examples });
}

function deedOf(location: string): DriveDeed {
  return { action: 'open', name: 'the folder', location };
}
