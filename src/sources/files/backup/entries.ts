import type { Entry, StreamRef } from '../../../contract/stream.ts';
import { entryKinds } from '../metadata.ts';
import type { Xattrs } from '../posix-helper.ts';
import type { Scanned } from './scan.ts';

// The order of keys is part of what these promise: what did not change gives the same bytes in the list of entries, so
// that the list of one backup shares its chunks with that of the next.

interface Common {
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly mtime: string;
}

interface FileFacts extends Common {
  readonly ctime: string;
  readonly inode: string;
}

export function directoryEntry(found: Scanned, xattrs: Xattrs | undefined): Entry {
  return { path: found.path, kind: entryKinds.directory, stream: null, meta: common(found, xattrs) };
}

export function symlinkEntry(
  found: Scanned & { readonly kind: 'symlink' },
  xattrs: Xattrs | undefined,
): Entry {
  const meta = { ...common(found, xattrs), target: found.target };
  return { path: found.path, kind: entryKinds.symlink, stream: null, meta };
}

export function hardlinkEntry(path: string, target: string): Entry {
  return { path, kind: entryKinds.hardlink, stream: null, meta: { target } };
}

export function fileEntry(
  path: string,
  stream: StreamRef,
  facts: FileFacts,
  also: { readonly xattrs: Xattrs | undefined; readonly sparse: boolean; readonly changed: boolean },
): Entry {
  const meta = {
    ...common(facts, also.xattrs),
    ctime: facts.ctime,
    inode: facts.inode,
    ...(also.sparse ? { sparse: true } : {}),
    ...(also.changed ? { changed: true } : {}),
  };
  const { size_bytes, root, depth } = stream;
  return { path, kind: entryKinds.file, stream: { size_bytes, root, depth }, meta };
}

function common({ mode, uid, gid, mtime }: Common, xattrs: Xattrs | undefined): Record<string, unknown> {
  const some = xattrs !== undefined && Object.keys(xattrs).length > 0;
  return { mode, uid, gid, mtime, ...(some ? { xattrs } : {}) };
}
