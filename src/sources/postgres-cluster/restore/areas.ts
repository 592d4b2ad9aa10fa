import { constants } from 'node:fs';
import { type FileHandle, open, stat } from 'node:fs/promises';
import { locationOf, placeOf, type PlacedTablespace } from './layout.ts';

/** Where files of one place are written. */
export interface Area {
  /** As the system takes it. */
  readonly base: string;
  /** What people call it. */
  readonly shown: string;
}

/** A path of an entry with where it is written. */
export interface Spot {
  readonly base: string;
  readonly relative: string;
  /** For people. */
  readonly shown: string;
}

const directoryOnly = constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW;

/**
 * The data directory and the places of tablespaces, held open: whatever happens to the names that lead to them, what is
 * written goes to the directories that were looked at. Threads share what is open.
 */
export class Areas implements AsyncDisposable {
  readonly #handles: FileHandle[] = [];
  readonly #areas = new Map<number | null, Area>();
  readonly #outside = new Set<number>();

  /** All directories have to be there. */
  static async open(target: string, tablespaces: readonly PlacedTablespace[]): Promise<Areas> {
    const areas = new Areas();
    try {
      await areas.#add(null, target);
      for (const { oid, location } of tablespaces) await areas.#add(oid, location);
      return areas;
    } catch (error) {
      await areas[Symbol.asyncDispose]();
      throw error;
    }
  }

  of(oid: number | null): Area {
    const area = this.#areas.get(oid);
    if (area === undefined) throw new Error(`no place for tablespace ${oid}`);
    return area;
  }

  /** Throws `object_damaged` for a path that leads elsewhere. */
  spot(path: string): Spot {
    const { oid, relative } = placeOf(path, this.#outside);
    const { base, shown } = this.of(oid);
    return { base, relative, shown: `${shown}/${relative}` };
  }

  location(path: string): string | Buffer {
    const { base, relative } = this.spot(path);
    return locationOf(base, relative);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const handle of this.#handles.splice(0)) await handle.close();
  }

  async #add(oid: number | null, path: string): Promise<void> {
    const handle = await open(path, directoryOnly);
    this.#handles.push(handle);
    if (oid !== null) this.#outside.add(oid);
    const held = `/proc/self/fd/${handle.fd}`;
    const [there, own] = [await stat(held).catch(() => null), await handle.stat()];
    const isSame = there?.ino === own.ino && there.dev === own.dev;
    this.#areas.set(oid, { base: isSame ? held : path, shown: path });
  }
}
