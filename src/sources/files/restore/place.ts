import { constants, type Stats } from 'node:fs';
import { chmod, link, lstat, open, rename, unlink } from 'node:fs/promises';
import { failure } from '../../../kernel/errors/failure.ts';
import { writing } from './failure.ts';
import { PosixHelper } from '../posix-helper.ts';
import { flushDirectory } from './finish-task.ts';
import { isThere } from './remove.ts';
import { replacedName, type Target } from './target.ts';

/** Gives what is staged the name of a target that is not there, or is an empty directory. */
export async function putInPlace(staging: string, { path, above }: Target): Promise<void> {
  try {
    await rename(staging, path);
  } catch (error) {
    const { code = '' } = error as NodeJS.ErrnoException;
    if (!['ENOTEMPTY', 'EEXIST', 'ENOTDIR'].includes(code)) throw error;
    const detail = ' by now; it was not when the restore began';
    throw failure('restore_target_exists', { target: path, detail }, { cause: error });
  }
  await flushPath(above);
}

/**
 * Gives what is staged the name of the target, and what was there another: its path is the answer. In one step where the
 * file system can; else there is a moment in which neither has the name.
 */
export async function swapIntoPlace(staging: string, target: Target, nowMs: number): Promise<string> {
  const replaced = (await replacedName(Buffer.from(target.path), nowMs)).toString();
  // First under the name that the other will have: whatever ends this between two steps, what was there is never found
  // under the name of something that may be removed.
  await rename(staging, replaced);
  if (!(await exchanged(replaced, target.path))) {
    await rename(replaced, staging);
    await rename(target.path, replaced);
    try {
      await rename(staging, target.path);
    } catch (error) {
      await rename(replaced, target.path);
      throw error;
    }
  }
  await flushPath(target.above);
  return replaced;
}

async function exchanged(one: string, other: string): Promise<boolean> {
  const before = await lstat(one, { bigint: true });
  try {
    // Not the signal of the restore: what has begun here is not stopped in the middle.
    await using helper = await PosixHelper.start(new AbortController().signal);
    await helper?.exchange(Buffer.from(one), Buffer.from(other));
  } catch {
    // It was ended from outside, before or after.
  }
  return (await lstat(one, { bigint: true })).ino !== before.ino;
}

/** One name of the target after the other, each undone when a later one fails. */
export class Mover {
  readonly #nowMs: number;
  readonly #moved: { readonly from: Buffer; readonly to: Buffer; readonly replaced: Buffer | null }[] = [];
  readonly #parents = new Map<string, Buffer>();

  constructor(nowMs: number) {
    this.#nowMs = nowMs;
  }

  /** Where what made way is kept. */
  get replaced(): readonly { readonly path: Buffer; readonly kept: Buffer }[] {
    return this.#moved.flatMap(({ to, replaced }) =>
      replaced === null ? [] : [{ path: to, kept: replaced }],
    );
  }

  /** Moves what is staged to its name; `taken`: what has the name makes way. `shown`: for errors. */
  async move(from: Buffer, to: Buffer, taken: boolean, shown: string): Promise<void> {
    await writing(shown, async () => {
      const replaced = taken ? await replacedName(to, this.#nowMs) : null;
      // Within one directory: whatever the rights of what is moved.
      if (replaced !== null) await rename(to, replaced);
      try {
        await moveTo(from, to, shown);
      } catch (error) {
        if (replaced !== null) await rename(replaced, to);
        throw error;
      }
      this.#moved.push({ from, to, replaced });
      const parent = to.subarray(0, to.lastIndexOf('/'));
      this.#parents.set(parent.toString('latin1'), parent);
    });
  }

  async flush(): Promise<void> {
    for (const parent of this.#parents.values()) await flushPath(parent);
  }

  /** Puts everything back to where it was. */
  async undo(): Promise<void> {
    for (const { from, to, replaced } of this.#moved.toReversed()) {
      await moveDirectoryOrFile(to, from);
      if (replaced !== null) await rename(replaced, to);
    }
  }
}

/** Never over what is there, also when it came this moment; only an empty directory could be lost then. */
async function moveTo(from: Buffer, to: Buffer, shown: string): Promise<void> {
  const info = await lstat(from);
  if (!info.isDirectory() && (await linked(from, to, shown))) {
    await unlink(from);
    return;
  }
  if (await isThere(to)) throw nowThere(shown);
  await moveDirectoryOrFile(from, to, info);
}

async function linked(from: Buffer, to: Buffer, shown: string): Promise<boolean> {
  try {
    await link(from, to);
    return true;
  } catch (error) {
    const { code = '' } = error as NodeJS.ErrnoException;
    if (code === 'EEXIST') throw nowThere(shown);
    if (['EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'EMLINK', 'ENOSYS'].includes(code)) return false;
    throw error;
  }
}

function nowThere(shown: string): Error {
  return failure('restore_target_exists', {
    target: shown,
    detail: ' by now; it was not when the restore began',
  });
}

/** A directory that its owner may not write to cannot be moved elsewhere by him as it is. */
async function moveDirectoryOrFile(from: Buffer, to: Buffer, known?: Stats): Promise<void> {
  const info = known ?? (await lstat(from));
  const closed = info.isDirectory() && (info.mode & 0o200) === 0 && process.geteuid?.() !== 0;
  if (!closed) {
    await rename(from, to);
    return;
  }
  const mode = info.mode & 0o7777;
  await chmod(from, mode | 0o700);
  let now = from;
  try {
    await rename(from, to);
    now = to;
  } finally {
    await chmod(now, mode);
  }
}

async function flushPath(directory: string | Buffer): Promise<void> {
  const handle = await open(directory, constants.O_RDONLY | constants.O_DIRECTORY).catch(() => undefined);
  // A directory that may be written and not be read is flushed by nobody.
  if (handle === undefined) return;
  await using opened = handle;
  await flushDirectory(opened.fd);
}
