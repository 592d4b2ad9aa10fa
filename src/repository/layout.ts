import type { BackupId } from '../kernel/ids.ts';
import type { BackupName } from './model.ts';

/** Where everything lies in a repository. docs/format.md describes each. */
export const configObject = 'holdfast.json';
export const keysPrefix = 'keys/';
export const packsPrefix = 'packs/';
export const indexPrefix = 'index/';
export const snapshotsPrefix = 'snapshots/';
export const walPrefix = 'wal/';
/** What garbage collection keeps: what is marked, what running backups need all the same, whose turn it is. */
export const marksPrefix = 'gc/marks/';
export const seenPrefix = 'gc/seen/';
export const sweptPrefix = 'gc/swept/';
export const needsPrefix = 'gc/needs/';
export const turnsPrefix = 'gc/turns/';
export const clockPrefix = 'gc/clock/';
/** Until when everything that is kept is locked. */
export const lockedPrefix = 'gc/locked/';
/** Apart from the WAL itself, so that archives can be listed without it. */
export const walAboutPrefix = 'wal/about/';

export const packObject = (id: string): string => `${packsPrefix}${id.slice(0, 2)}/${id}`;
export const indexObject = (id: string): string => `${indexPrefix}${id}`;
export const keyObject = (id: string): string => `${keysPrefix}${id}.json`;

export const walAboutObject = (archive: string): string => `${walAboutPrefix}${archive}`;
export const walArchivePrefix = (archive: string): string => `${walPrefix}${archive}/`;
export const walFilesPrefix = (archive: string): string => `${walArchivePrefix(archive)}files/`;
/** The name of a folder of WAL: a timeline, or half a position. */
export const walFolder = (value: number | bigint): string => value.toString(16).padStart(8, '0');
export const walTimelinePrefix = (archive: string, timeline: number): string =>
  `${walArchivePrefix(archive)}${walFolder(timeline)}/`;
/** Of a position in the WAL: `00000016/b374d848`, the name of its object below its timeline. */
export const walPosition = (lsn: bigint): string =>
  `${walFolder(lsn >> 32n)}/${walFolder(lsn & 0xffff_ffffn)}`;
/** Of a part of a unit; the name of a whole unit has nothing after its position. */
export const walPartSuffix = (bytes: number): string => `.p${walFolder(bytes)}`;

const walAboutPattern = /^wal\/about\/([0-9a-f]{32})$/;
const walTimelinePattern = /^wal\/[0-9a-f]{32}\/([0-9a-f]{8})\//;
const walObjectPattern =
  /^wal\/[0-9a-f]{32}\/([0-9a-f]{8})\/([0-9a-f]{8})\/([0-9a-f]{8})(?:\.p([0-9a-f]{8}))?$/;
const packPattern = /^packs\/([0-9a-f]{2})\/(\1[0-9a-f]{62})$/;
const snapshotPattern = /^snapshots\/(\d{10})-(\d{8})t(\d{9})z-([0-9a-f]{32})$/;

/** The id in a pack's object name; undefined when it is none. */
export function packIdOf(name: string): string | undefined {
  return packPattern.exec(name)?.[2];
}

/** The id of the archive that an object tells about; undefined when it is no such object. */
export function walArchiveIdOf(name: string): string | undefined {
  return walAboutPattern.exec(name)?.[1];
}

/** The timeline that an object with WAL is of; undefined when it is none. */
export function walTimelineOf(name: string): number | undefined {
  const digits = walTimelinePattern.exec(name)?.[1];
  return digits === undefined ? undefined : Number.parseInt(digits, 16);
}

/** What the name of an object with WAL tells; undefined when it is none. */
export function parseWalObject(
  name: string,
): { readonly timeline: number; readonly start: bigint; readonly partBytes: number | undefined } | undefined {
  const match = walObjectPattern.exec(name);
  if (match === null) return undefined;
  const [, timeline = '', high = '', low = '', part] = match;
  return {
    timeline: Number.parseInt(timeline, 16),
    start: (BigInt(`0x${high}`) << 32n) | BigInt(`0x${low}`),
    partBytes: part === undefined ? undefined : Number.parseInt(part, 16),
  };
}

/**
 * The last number that a name has room for. Nobody gets there by backing up; but whoever may write could take it, and those
 * after it must be seen all the same: they share it, and sort by time.
 */
export const highestSequence = 9_999_999_999;

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
