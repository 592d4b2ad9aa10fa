import type { BackupContext } from '../../port.ts';
import { entryKinds, type FileMeta } from '../metadata.ts';
import { addSmallEntry, type SmallEntry } from './config-files.ts';
import type { OnlineEnd } from './online.ts';

/** Adds what is known when the backup has ended, and pg_control last of all; gives how many bytes each has. */
export async function addLastEntries(
  { backupLabel, tablespaceMap }: Pick<OnlineEnd, 'backupLabel' | 'tablespaceMap'>,
  controlBytes: Uint8Array,
  context: BackupContext,
): Promise<readonly number[]> {
  const meta: FileMeta = { mtime_ns: null, inode: null, mode: 0o600 };
  const { label, control } = entryKinds;
  const entries: SmallEntry[] = [
    { path: 'backup_label', kind: label, bytes: Buffer.from(backupLabel), meta },
  ];
  if (tablespaceMap !== '')
    entries.push({ path: 'tablespace_map', kind: label, bytes: Buffer.from(tablespaceMap), meta });
  entries.push({ path: 'global/pg_control', kind: control, bytes: controlBytes, meta });
  for (const entry of entries) await addSmallEntry(entry, context);
  return entries.map(({ bytes }) => bytes.length);
}
