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

/** The real calls, but handles of files opened for writing behave as `change` says. */
export function changedHandles(change: Partial<Record<'write' | 'sync', (real: FileHandle, args: unknown[]) => unknown>>): FsCalls {
  return {
    ...realFsCalls,
    open: async (path, flags, mode) => {
      const handle = await realFsCalls.open(path, flags, mode);
      if (flags === 'r') return handle;
      return proxied(handle, (method) => {
        const replaced = change[method as 'write' | 'sync'];
        return replaced === undefined ? undefined : (...args) => replaced(handle, args);
      });
    },
  };
}

function watched(handle: FileHandle, tell: (step: string) => void): FileHandle {
  return proxied(handle, (method) => {
    if (method === 'sync') return async () => handle.sync().then(() => tell('sync'));
    if (method !== 'write') return undefined;
    return async (...args) => {
      const answer = await (handle.write as (...all: unknown[]) => Promise<unknown>)(...args);
      tell('write');
      return answer;
    };
  });
}

function proxied(handle: FileHandle, replace: (method: string) => ((...args: unknown[]) => unknown) | undefined): FileHandle {
  return new Proxy(handle, {
    get: (target, key) => {
      const replaced = typeof key === 'string' ? replace(key) : undefined;
      if (replaced !== undefined) return replaced;
      const value: unknown = Reflect.get(target, key, target);
      return typeof value === 'function' ? (value.bind(target) as unknown) : value;
    },
  });
}
