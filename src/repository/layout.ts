import type { BackupId } from '../kernel/ids.ts';
import type { BackupName } from './model.ts';

/** Where everything lies in a repository. docs/format.md describes each. */
export const configObject = 'holdfast.json';
export const keysPrefix = 'keys/';
export const packsPrefix = 'packs/';
export const indexPrefix = 'index/';
export const snapshotsPrefix = 'snapshots/';

export const packObject = (id: string): string => `${packsPrefix}${id.slice(0, 2)}/${id}`;
export const indexObject = (id: string): string => `${indexPrefix}${id}`;
export const keyObject = (id: string): string => `${keysPrefix}${id}.json`;

const packPattern = /^packs\/([0-9a-f]{2})\/(\1[0-9a-f]{62})$/;
const snapshotPattern = /^snapshots\/(\d{10})-(\d{8})t(\d{9})z-([0-9a-f]{32})$/;

/** The id in a pack's object name; undefined when it is none. */
export function packIdOf(name: string): string | undefined {
  return packPattern.exec(name)?.[2];
}

/**
 * The name of a manifest: its sequence first, so that names sort by who saw whom and not by clocks;
 * then its start in UTC, so that a listing alone tells the time; then the backup's id.
 */
export function snapshotObject(sequence: number, startedAtMs: number, id: BackupId): string {
  const time = new Date(startedAtMs).toISOString().replaceAll(/[-:.]/g, '').toLowerCase();
  return `${snapshotsPrefix}${String(sequence).padStart(10, '0')}-${time}-${id}`;
}

/** What a manifest's object name tells; undefined when it is none. */
export function parseSnapshotObject(name: string): BackupName | undefined {
  const match = snapshotPattern.exec(name);
  if (match === null) return undefined;
  const [, sequence = '', date = '', time = '', id = ''] = match;
  const iso = `${date.slice(0, 4)}-${date.slice(4, 6)}-${date.slice(6)}T${time.slice(0, 2)}:${time.slice(2, 4)}:${time.slice(4, 6)}.${time.slice(6)}Z`;
  const startedAtMs = Date.parse(iso);
  if (Number.isNaN(startedAtMs)) return undefined;
  return { id: id as BackupId, sequence: Number(sequence), startedAtMs, objectName: name };
}
