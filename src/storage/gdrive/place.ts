import { createHash } from 'node:crypto';
import type { Clock } from '../../kernel/clock.ts';
import { failure } from '../../kernel/errors/failure.ts';
import { folderType, quoted, type Drive, type DriveFile } from './drive.ts';
import type { DriveDeed } from './errors.ts';
import { byAge, type DriveFolder } from './folder.ts';
import { RecentFiles } from './memory.ts';
import type { CallOptions } from '../port.ts';

/** The property that makes a file one of our objects: its value is the first part of the object's name. */
export const ourProperty = 'holdfast';
/** Key and value of a property have 124 bytes together. */
const longestValue = 100;
/** How long the folder counts as being in place after it was seen. */
const trustNs = 60n * 1_000_000_000n;

export interface DrivePlaceOptions {
  readonly location: string;
  readonly drive: Drive;
  readonly folder: DriveFolder;
  readonly chunkBytes: number;
  readonly clock: Pick<Clock, 'sleep' | 'monotonicNs'>;
}

/** A folder in which each object is a file: its name is the whole name of the object. */
export class DrivePlace {
  readonly location: string;
  readonly drive: Drive;
  readonly folder: DriveFolder;
  readonly chunkBytes: number;
  readonly clock: Pick<Clock, 'sleep' | 'monotonicNs'>;
  readonly recent: RecentFiles;
  #trustedUntilNs = 0n;

  constructor({ location, drive, folder, chunkBytes, clock }: DrivePlaceOptions) {
    this.location = location;
    this.drive = drive;
    this.folder = folder;
    this.chunkBytes = chunkBytes;
    this.clock = clock;
    this.recent = new RecentFiles(clock);
  }

  deed(action: string, name: string): DriveDeed {
    return { action, name, location: this.location };
  }

  /** Whether a file that lies in the folder is an object, and not somebody else's. */
  isObject({ name, mimeType, properties }: DriveFile): boolean {
    return mimeType !== folderType && properties[ourProperty] === groupOf(name);
  }

  /** All files that are objects of that name, the one that counts first. More than one only after writers met. */
  async filesCalled(name: string, signal: AbortSignal | undefined): Promise<readonly DriveFile[]> {
    const call = { signal, deed: this.deed('look for', name) };
    const files = new Map<string, DriveFile>();
    const query = `${quoted(this.folder.id)} in parents and name = ${quoted(name)}`;
    for await (const page of this.drive.search(query, this.folder.driveId, call)) {
      // Names are compared without regard to case by the service.
      for (const file of page) if (file.name === name && this.isObject(file)) files.set(file.id, file);
    }
    const made = this.recent.madeAs(name)?.id;
    const unsure = [...(made === undefined ? [] : [made]), ...this.recent.doubtfulOf(name)];
    for (const id of unsure) await this.#add(files, id, call);
    const found = [...files.values()].filter(({ id }) => !this.recent.wasRemoved(id)).toSorted(byAge);
    if (found.length === 0) await this.assertInPlace({ trusting: true, signal });
    return found;
  }

  /** The file that is the object. Rejects with `object_missing`. */
  async fileCalled(name: string, signal: AbortSignal | undefined): Promise<DriveFile> {
    const [file] = await this.filesCalled(name, signal);
    if (file === undefined) throw failure('object_missing', { name, location: this.location });
    this.recent.found(name, file);
    return file;
  }

  /**
   * A folder that is in the bin looks empty. That must not pass for objects that are not there. `trusting` is content
   * with having seen it a moment ago.
   */
  async assertInPlace({ trusting, signal }: { readonly trusting: boolean } & CallOptions): Promise<void> {
    const nowNs = this.clock.monotonicNs();
    if (this.folder.id === 'root' || (trusting && nowNs < this.#trustedUntilNs)) return;
    const folder = await this.drive.find(this.folder.id, { signal, deed: this.deed('open', 'the folder') });
    if (folder === undefined) throw failure('gdrive_folder_missing', { location: this.location });
    this.#trustedUntilNs = nowNs + trustNs;
  }

  /** What a search does not show may be there all the same: its id tells. */
  async #add(
    files: Map<string, DriveFile>,
    id: string,
    call: { readonly signal: AbortSignal | undefined; readonly deed: DriveDeed },
  ): Promise<void> {
    if (files.has(id)) return;
    const file = await this.drive.find(id, call);
    if (file !== undefined) files.set(id, file);
  }
}

/** What {@link ourProperty} says of an object. */
export function groupOf(name: string): string {
  const [first = ''] = name.split('/', 1);
  if (first.length <= longestValue) return first;
  return `#${createHash('sha256').update(first).digest('hex')}`;
}
