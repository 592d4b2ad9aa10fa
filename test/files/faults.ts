import fs from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';

/** A call of the file system as it is asked for. `path`: of a rename the old one, `to` the new one. */
export interface Call {
  readonly name: 'rename' | 'unlink' | 'fsync';
  readonly path: string;
  readonly to: string;
}

let fails: (call: Call) => string | undefined = () => undefined;

/**
 * Makes calls of the file system fail in this process, with the errno that `choose` gives them. To be imported before
 * what it is to reach, for some of that takes its functions when it is loaded.
 */
export function faults(choose: (call: Call) => string | undefined): Disposable {
  fails = choose;
  return { [Symbol.dispose]: () => void (fails = () => undefined) };
}

function failing(call: Call): Error | undefined {
  const code = fails(call);
  return code === undefined
    ? undefined
    : Object.assign(new Error(`${code}: made to fail, ${call.name}`), { code });
}

const { rename, unlink } = fs.promises;
const { fsync } = fs;

fs.promises.rename = async (path, to) => {
  const error = failing({ name: 'rename', path: String(path), to: String(to) });
  if (error !== undefined) throw error;
  await rename(path, to);
};
fs.promises.unlink = async (path) => {
  const error = failing({ name: 'unlink', path: String(path), to: '' });
  if (error !== undefined) throw error;
  await unlink(path);
};
Object.assign(fs, {
  fsync: (fd: number, done: (error: Error | null) => void) => {
    const error = failing({ name: 'fsync', path: openPath(fd), to: '' });
    if (error === undefined) fsync(fd, done);
    else process.nextTick(done, error);
  },
});
syncBuiltinESMExports();

function openPath(fd: number): string {
  try {
    return fs.readlinkSync(`/proc/self/fd/${fd}`);
  } catch {
    return '';
  }
}
