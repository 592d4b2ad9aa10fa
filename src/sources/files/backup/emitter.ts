import type { Entry } from '../../../contract/stream.ts';
import type { BackupContext } from '../../port.ts';
import { directoryEntry, fileEntry, hardlinkEntry, symlinkEntry } from './entries.ts';
import type { FirstName, LinkTable } from './links.ts';
import type { Notes } from './notes.ts';
import { comparePaths } from '../path-order.ts';
import type { ScannedFile } from './scan.ts';
import type { UnitReader } from './unit-reader.ts';
import { placeOf, type Slot, type Unit } from './units.ts';

/** Adds entries to the backup, unit by unit in their order, and counts them. */
export class Emitter {
  readonly counts = { files: 0, directories: 0, symlinks: 0, hardlinks: 0, bytes: 0, unchanged: 0 };
  readonly #context: BackupContext;
  readonly #reader: UnitReader;
  readonly #links: LinkTable;
  readonly #notes: Notes;

  constructor(context: BackupContext, reader: UnitReader, links: LinkTable, notes: Notes) {
    this.#context = context;
    this.#reader = reader;
    this.#links = links;
    this.#notes = notes;
  }

  async add(unit: Unit): Promise<void> {
    for (const { what, path, reason } of unit.notes) this.#notes.add(what, placeOf(unit.root, path), reason);
    const added: Promise<void>[] = [];
    try {
      for (const slot of unit.slots) {
        const entry =
          slot.found.kind === 'file' ? await this.#fileOrLink(unit, slot, slot.found) : this.#simple(slot);
        if (entry === undefined) continue;
        if (slot.xattrsError !== undefined)
          this.#notes.add('xattrs', placeOf(unit.root, entry.path), slot.xattrsError);
        added.push(this.#context.addEntry(entry));
      }
    } finally {
      await Promise.all(added);
    }
  }

  #simple({ found, xattrs }: Slot): Entry | undefined {
    if (found.kind === 'directory') {
      this.counts.directories += 1;
      return directoryEntry(found, xattrs);
    }
    if (found.kind !== 'symlink') return undefined;
    this.counts.symlinks += 1;
    return symlinkEntry(found, xattrs);
  }

  async #fileOrLink(unit: Unit, slot: Slot, found: ScannedFile): Promise<Entry | undefined> {
    const { shared, path } = found;
    if (shared === undefined) return this.#file(unit, slot, found);
    const first = this.#links.get(shared.id);
    const isLater = first !== undefined && comparePaths(first.path, path) < 0;
    const left = isLater ? first.left - 1 : (first?.left ?? shared.names - 1);
    if (isLater && isSameFile(slot, found, first)) {
      if (left <= 0) this.#links.delete(shared.id);
      else this.#links.set(shared.id, { ...first, left });
      this.counts.hardlinks += 1;
      return hardlinkEntry(path, first.path);
    }
    // Its first name did not get into the backup, or as another file: so this one is the first.
    if (slot.how === 'linked') await this.#reader.readNow(unit, slot);
    const entry = this.#file(unit, slot, found);
    if (entry !== undefined && !isReplaced(slot, shared.id))
      this.#links.set(shared.id, { path, left, ctime: slot.how === 'known' ? found.ctime : '' });
    else if (first?.path === path) this.#links.delete(shared.id);
    return entry;
  }

  #file(unit: Unit, slot: Slot, found: ScannedFile): Entry | undefined {
    const { known, result, xattrs } = slot;
    const { path } = found;
    if (slot.how === 'known' && known !== undefined) {
      this.#count(known.stream.size_bytes);
      this.counts.unchanged += 1;
      const kept = { xattrs: xattrs ?? known.xattrs, sparse: known.sparse, changed: false };
      return fileEntry(path, known.stream, found, kept);
    }
    if (result === undefined) throw new Error(`${path} was not read`);
    if (result.what !== 'read') {
      this.#notes.add(result.what, placeOf(unit.root, path), result.reason);
      return undefined;
    }
    const { stream, stats, sparse, changed } = result;
    if (changed) this.#notes.add('changed', placeOf(unit.root, path), '');
    this.#count(stream.size_bytes);
    return fileEntry(path, stream, stats, { xattrs, sparse, changed });
  }

  #count(bytes: number): void {
    this.counts.files += 1;
    this.counts.bytes += bytes;
  }
}

/** Whether a name is one of the file whose first name is in the backup, as far as is known of both. */
function isSameFile(slot: Slot, found: ScannedFile, first: FirstName): boolean {
  if (found.shared === undefined || isReplaced(slot, found.shared.id)) return false;
  return first.ctime === '' || first.ctime === found.ctime;
}

/** Whether the file that was read is another than the one that was found under this name. */
function isReplaced({ result }: Slot, id: string): boolean {
  return result?.what === 'read' && result.stats.shared !== id;
}
