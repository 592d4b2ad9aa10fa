import { parseSnapshotObject, snapshotsPrefix } from '../layout.ts';
import type { BackupName } from '../model.ts';

/** Manifests of forgotten backups, byte for byte. */
export const trashPrefix = 'trash/';
/** Records of what was forgotten. */
export const forgottenPrefix = 'forgotten/';
/** Records of what must not be forgotten. */
export const pinsPrefix = 'pins/';

/** Where the manifest of a backup lies while it is forgotten. */
export function trashObject(name: BackupName): string {
  return `${trashPrefix}${name.objectName.slice(snapshotsPrefix.length)}`;
}

/** The backup whose manifest an object of the trash is; undefined when it is none. */
export function parseTrashObject(name: string): BackupName | undefined {
  return name.startsWith(trashPrefix)
    ? parseSnapshotObject(`${snapshotsPrefix}${name.slice(trashPrefix.length)}`)
    : undefined;
}

/** `forgotten/20261121t201530123z-…` and 16 hexadecimal digits at random, so that names sort by time. */
export function forgottenObject(nowMs: number, random: string): string {
  const time = new Date(nowMs).toISOString().replaceAll(/[-:.]/g, '').toLowerCase();
  return `${forgottenPrefix}${time}-${random}`;
}

const forgottenPattern = /^forgotten\/\d{8}t\d{9}z-[0-9a-f]{16}$/;
const pinPattern = /^pins\/([0-9a-f]{32})$/;

export function isForgottenObject(name: string): boolean {
  return forgottenPattern.test(name);
}

export function pinObject(backup: string): string {
  return `${pinsPrefix}${backup}`;
}

/** The id of the backup that a pin is of; undefined when it is none. */
export function pinnedBackupOf(name: string): string | undefined {
  return pinPattern.exec(name)?.[1];
}
