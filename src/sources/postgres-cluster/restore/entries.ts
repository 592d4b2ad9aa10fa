import type { Entry, StreamRef } from '../../../contract/stream.ts';
import { failure } from '../../../kernel/errors/failure.ts';
import { configDirectory, entryKinds } from '../metadata.ts';
import { damaged } from './damaged.ts';

/** Tells that a restore is not finished. In the data directory. */
export const markName = 'holdfast.restore';
export const controlPath = 'global/pg_control';
export const autoConf = 'postgresql.auto.conf';
export const labelPath = 'backup_label';
export const mapPath = 'tablespace_map';

/** What a restore writes itself, or what of another server must not come along. */
const notRestored: ReadonlySet<string> = new Set([
  'postmaster.pid',
  'postmaster.opts',
  'recovery.signal',
  'standby.signal',
  markName,
]);

/** An entry as a restore takes it. */
export type Item =
  | { readonly type: 'file'; readonly path: string; readonly stream: StreamRef; readonly mode: number }
  | { readonly type: 'directory'; readonly path: string }
  /** Small and written by itself: label, map, `postgresql.auto.conf`, `pg_control`, configuration from outside. */
  | {
      readonly type: 'special';
      readonly path: string;
      readonly stream: StreamRef;
      readonly mode: number;
      readonly meta: Readonly<Record<string, unknown>>;
    };

/** What files without rights of their own get. */
const usualMode = 0o600;
/** As large as a backup takes configuration. */
const largestSpecial = 16 * 1024 * 1024;

/**
 * What is to be done for an entry; null for one that is nothing to restore. Throws `cluster_backup_unknown_entries` and
 * `object_damaged`.
 */
export function itemOf({ path, kind, stream, meta }: Entry): Item | null {
  switch (kind) {
    case entryKinds.directory:
      return path.startsWith(configDirectory) ? null : { type: 'directory', path };
    case entryKinds.stamps:
      return null;
    case entryKinds.label:
      if (path !== labelPath && path !== mapPath) throw damaged(`${path} is no label`);
      return special(path, stream, meta);
    case entryKinds.control:
      if (path !== controlPath) throw damaged(`${path} is called pg_control`);
      return special(path, stream, meta);
    case entryKinds.relation:
    case entryKinds.file:
      if (path.startsWith(configDirectory) || path === autoConf) return special(path, stream, meta);
      // Of an earlier restore, or of a backup of long ago; this one's come from entries of their own kind.
      if (path === labelPath || path === mapPath || notRestored.has(path)) return null;
      if (path === controlPath) throw damaged(`${path} is an ordinary file in it`);
      return { type: 'file', path, stream: streamOf(path, stream), mode: modeOf(meta) };
    default:
      throw failure('cluster_backup_unknown_entries', { kind, path });
  }
}

function special(path: string, stream: StreamRef | null, meta: Readonly<Record<string, unknown>>): Item {
  const known = streamOf(path, stream);
  if (known.size_bytes > largestSpecial) throw damaged(`${path} has ${known.size_bytes} bytes`);
  return { type: 'special', path, stream: known, mode: modeOf(meta), meta };
}

function streamOf(path: string, stream: StreamRef | null): StreamRef {
  if (stream === null) throw damaged(`${path} has no content`);
  return stream;
}

function modeOf({ mode }: Readonly<Record<string, unknown>>): number {
  return typeof mode === 'number' && Number.isInteger(mode) ? mode & 0o777 : usualMode;
}
