import { footerEntryBytes, readEntries, recordHeaderBytes } from '../../pipeline/pack-format.ts';
import type { Storage } from '../../storage/port.ts';
import { packObject } from '../layout.ts';
import type { WriteSession } from '../write-session.ts';
import type { LiveSet } from './live-set.ts';

/** Blobs are opened together up to so many plain bytes. */
const plainBytesAtOnce = 8 * 1024 * 1024;

/**
 * Stores what is needed of a pack anew, into packs of the session. False when some of it cannot be opened: then the pack
 * has to stay, and what was stored anew is stored twice.
 */
export async function repack(
  session: WriteSession,
  storage: Storage,
  live: LiveSet,
  packId: string,
  signal: AbortSignal,
): Promise<boolean> {
  const { salt, rows } = live.blobsAtHome(packId);
  for (const group of groupsOfRows(rows)) {
    const name = packObject(packId);
    const bytes = await storage.get(name, { offset: group.offset, length: group.length, signal });
    const damage = await session.storeAgain({
      salt,
      bytesOffset: group.offset,
      bytes,
      rows: Buffer.concat(group.rows),
    });
    if (damage !== null) return false;
  }
  return true;
}

interface Group {
  readonly offset: number;
  readonly length: number;
  readonly rows: readonly Uint8Array[];
}

/** Rows of a pack that are read and opened together. */
export function* groupsOfRows(rows: readonly Uint8Array[]): Generator<Group, void, void> {
  let open: Uint8Array[] = [];
  let plainBytes = 0;
  for (const row of rows) {
    const { rawLength } = placeOf(row);
    if (open.length > 0 && plainBytes + rawLength > plainBytesAtOnce) {
      yield groupOf(open);
      open = [];
      plainBytes = 0;
    }
    open.push(row);
    plainBytes += rawLength;
  }
  if (open.length > 0) yield groupOf(open);
}

function groupOf(rows: readonly Uint8Array[]): Group {
  const { offset } = placeOf(rows[0] ?? new Uint8Array(footerEntryBytes));
  const last = placeOf(rows.at(-1) ?? new Uint8Array(footerEntryBytes));
  return { offset, length: last.offset + recordHeaderBytes + last.storedLength - offset, rows };
}

function placeOf(row: Uint8Array): { offset: number; rawLength: number; storedLength: number } {
  const [place] = readEntries(row);
  if (place === undefined) throw new Error('a row of a footer is missing');
  return place;
}
