import type { FileHandle } from 'node:fs/promises';
import { realFsCalls, type FsCalls } from '../../src/storage/fs/calls.ts';

/** An error as a system call throws it. */
export function systemError(code: string, syscall = 'test'): Error {
  return Object.assign(new Error(`${code}: injected, ${syscall}`), { code, syscall });
}

/** A file system that refuses hard links, as FAT and some network ones do. */
export const withoutHardLinks: FsCalls = {
  ...realFsCalls,
  link: async () => {
    throw systemError('EPERM', 'link');
  },
};

/** What happened to which path, in order; the names of temporary files are replaced by `*`. */
export interface RecordedCalls extends FsCalls {
  readonly record: string[];
}

type Open = FsCalls['open'];

/** The real calls, with every step that matters for durability written down. */
export function recordingCalls(root: string): RecordedCalls {
  const record: string[] = [];
  const short = (path: unknown): string => {
    const text = String(path);
    if (!text.startsWith(root)) return '(outside)';
    return (text.slice(root.length) || '/').replace(/[0-9a-f]{32}/, '*');
  };
  const open: Open = async (path, flags, mode) => {
    const handle = await realFsCalls.open(path, flags, mode);
    return watched(handle, (step) => record.push(`${step} ${short(path)}`));
  };
  return {
    ...realFsCalls,
    record,
    open,
    link: async (from, to) => {
      await realFsCalls.link(from, to);
      record.push(`link ${short(to)}`);
    },
    rename: async (from, to) => {
      await realFsCalls.rename(from, to);
      record.push(`rename ${short(to)}`);
    },
    unlink: async (path) => {
      await realFsCalls.unlink(path);
      record.push(`unlink ${short(path)}`);
    },
    mkdir: (async (path: string, mode: number) => {
      await realFsCalls.mkdir(path, mode);
      record.push(`mkdir ${short(path)}`);
    }) as FsCalls['mkdir'],
  };
}

type WriteCall = (buffer: Uint8Array, offset: number, length: number) => Promise<{ bytesWritten: number }>;

export interface ChangedHandle {
  readonly write?: (real: WriteCall) => WriteCall;
  readonly sync?: (real: () => Promise<void>) => () => Promise<void>;
}

/** The real calls, but handles of files opened for writing behave as `change` says. */
export function changedHandles(change: ChangedHandle): FsCalls {
  return {
    ...realFsCalls,
    open: async (path, flags, mode) => {
      const handle = await realFsCalls.open(path, flags, mode);
      return flags === 'r' ? handle : changed(handle, change);
    },
  };
}

function watched(handle: FileHandle, tell: (step: string) => void): FileHandle {
  return changed(handle, {
    sync: (real) => async () => {
      await real();
      tell('sync');
    },
    write: (real) => async (buffer, offset, length) => {
      const answer = await real(buffer, offset, length);
      tell('write');
      return answer;
    },
  });
}

/** In place: a proxy of a file handle cannot be disposed of in Node 24. */
function changed(handle: FileHandle, { write, sync }: ChangedHandle): FileHandle {
  const own: Record<string, unknown> = {};
  if (sync !== undefined) own['sync'] = sync(handle.sync.bind(handle));
  if (write !== undefined) own['write'] = write(handle.write.bind(handle));
  return Object.assign(handle, own);
}
