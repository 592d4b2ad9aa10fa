import type { BigIntStats } from 'node:fs';
import { chmod, link, lstat, rename, unlink } from 'node:fs/promises';
import { failure } from '../../../kernel/errors/failure.ts';
import type { PosixHelper } from '../posix-helper.ts';
import { writing } from './failure.ts';
import { KeptDirectory } from './kept.ts';
import { exchanged, exchanger, flushPath } from './place.ts';
import { isUntouched, nextTick, type Proof, proofOf } from './proof.ts';
import { isThere } from './remove.ts';
import { renameToFree, type Target } from './target.ts';

interface Move {
  readonly from: Buffer;
  readonly to: Buffer;
  /** Where what made way is. */
  readonly kept: Buffer | null;
  /** Undefined: it was changed while it was put there. */
  readonly proof: Proof | undefined;
}

/** What made way: where it was, and where it is kept. */
export interface Replaced {
  readonly path: Buffer;
  readonly kept: Buffer;
}

/** Puts one thing after the other in its place in the target; all is undone when a later one fails. */
export class Mover implements AsyncDisposable {
  readonly #target: Target;
  readonly #token: string;
  readonly #nowMs: number;
  readonly #sealedNs: bigint;
  #moves: Move[] = [];
  readonly #parents = new Map<string, Buffer>();
  #keptDirectory: KeptDirectory | undefined;
  #helper: PosixHelper | null | undefined;

  private constructor(target: Target, token: string, nowMs: number, sealedNs: bigint) {
    this.#target = target;
    this.#token = token;
    this.#nowMs = nowMs;
    this.#sealedNs = sealedNs;
  }

  /** When all that is moved is finished. `staging`: where it is. `token` makes names its own. */
  static async open(target: Target, staging: string, token: string, nowMs: number): Promise<Mover> {
    return new Mover(target, token, nowMs, await nextTick(staging));
  }

  /** Moves what is staged to its name; `taken`: what has the name makes way. `shown`: for errors. */
  async move(from: Buffer, to: Buffer, taken: boolean, shown: string): Promise<void> {
    await writing(shown, async () => {
      const before = await lstat(from, { bigint: true });
      const kept = taken ? await this.#replace(from, before, to, shown) : null;
      if (kept === null) await moveTo(from, to, shown, before);
      this.#moves.push({ from, to, kept, proof: await proofOf(to, before) });
      for (const path of kept === null ? [to] : [to, kept]) {
        const parent = path.subarray(0, path.lastIndexOf('/'));
        this.#parents.set(parent.toString('latin1'), parent);
      }
    });
  }

  async flush(): Promise<void> {
    for (const parent of this.#parents.values()) await flushPath(parent);
  }

  /** What made way, and the directory it is kept in under the paths it had: null when there was no need of one. */
  async finish(): Promise<{ readonly directory: string | null; readonly replaced: readonly Replaced[] }> {
    const replaced = this.#moves.flatMap(({ to, kept }) => (kept === null ? [] : [{ path: to, kept }]));
    const directory = this.#keptDirectory;
    if (directory === undefined || replaced.length === 0) {
      await directory?.remove();
      return { directory: null, replaced };
    }
    const now = await directory.finish(this.#nowMs);
    await flushPath(directory.path.subarray(0, directory.path.lastIndexOf('/')));
    return {
      directory: directory.path.toString(),
      replaced: replaced.map(({ path, kept }) => ({ path, kept: now(kept) })),
    };
  }

  /** Puts everything back that nobody has changed meanwhile. Of everything else it tells where it is. */
  async undo(): Promise<string[]> {
    const left: Move[] = [];
    for (const move of this.#moves.toReversed())
      if (!(await this.#putBack(move).catch(() => false))) left.push(move);
    this.#moves = left;
    const { replaced } = await this.finish();
    const keptOf = new Map(replaced.map(({ path, kept }) => [path, kept]));
    return left.map(({ to }) => {
      const kept = keptOf.get(to);
      const was = kept === undefined ? '' : `; what was there before is kept as ${kept.toString()}`;
      return `${to.toString()} was changed since it was restored, and stays${was}`;
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#helper?.[Symbol.asyncDispose]();
  }

  /** Gives where what made way is kept; null when there was nothing any more, and then nothing was moved. */
  async #replace(from: Buffer, before: BigIntStats, to: Buffer, shown: string): Promise<Buffer | null> {
    this.#keptDirectory ??= await KeptDirectory.make(this.#target, this.#token);
    const place = await this.#keptDirectory.placeFor(to);
    // As in `swapIntoPlace`: under this name it is clear what is what, whatever comes between.
    const between = this.#keptDirectory.between(before.ino);
    await moveDirectoryOrFile(from, between, before);
    let kept: Buffer | null = null;
    try {
      const was = await this.#exchanged(between, to, before);
      if (was === undefined) kept = await replaceInTwoSteps(between, to, place, this.#nowMs, shown);
      else await moveDirectoryOrFile(between, (kept = place), was);
    } catch (error) {
      await this.#giveBack(between, from, before.ino);
      throw error;
    }
    if (kept === null) await moveDirectoryOrFile(between, from, before);
    return kept;
  }

  /** If what was to be put in place is still, or again, where it was on the way. */
  async #giveBack(between: Buffer, from: Buffer, inode: bigint): Promise<void> {
    const now = await lstat(between, { bigint: true }).catch(() => undefined);
    if (now?.ino === inode) await moveDirectoryOrFile(between, from);
  }

  /** Gives what was at `other` and is at `one` now; undefined when they could not be exchanged. */
  async #exchanged(one: Buffer, other: Buffer, first: BigIntStats): Promise<BigIntStats | undefined> {
    if (this.#helper === undefined) this.#helper = await exchanger();
    const second = await lstat(other, { bigint: true }).catch(() => undefined);
    if (second === undefined || !(await exchanged(this.#helper, one, other, first.ino))) return undefined;
    if (first.isDirectory()) await this.#keepTime(other, first);
    if (second.isDirectory()) await this.#keepTime(one, second);
    return second;
  }

  /** Some file systems change the time of a directory that gets another one above it. */
  async #keepTime(path: Buffer, { mtimeNs }: BigIntStats): Promise<void> {
    const now = await lstat(path, { bigint: true });
    if (now.mtimeNs !== mtimeNs) await this.#helper?.setMtimes([{ path, mtimeNs }]);
  }

  /** False when what is there now is, or may be, somebody else's: then that stays. */
  async #putBack({ from, to, kept, proof }: Move): Promise<boolean> {
    const isOurs = async (path: Buffer, known: Proof): Promise<boolean> =>
      await isUntouched(path, known, this.#sealedNs);
    if (proof === undefined || !(await isOurs(to, proof))) return false;
    // Looked at once more where nobody finds it, for a program may have been quicker.
    const moved = { ...proof, ctimeNs: null };
    if (kept !== null) {
      const old = await lstat(kept, { bigint: true });
      const ours = await this.#exchanged(kept, to, old);
      if (ours !== undefined) {
        const untouched = await isOurs(kept, moved);
        if (untouched) await moveDirectoryOrFile(kept, from);
        else await this.#exchanged(kept, to, ours);
        return untouched;
      }
    }
    await moveDirectoryOrFile(to, from);
    if (!(await isOurs(from, moved))) {
      await moveTo(from, to, to.toString());
      return false;
    }
    if (kept !== null) await moveTo(kept, to, to.toString());
    return true;
  }
}

/** Where names cannot be exchanged: for a moment there is nothing at `to`. Null when there was nothing before. */
async function replaceInTwoSteps(
  from: Buffer,
  to: Buffer,
  place: Buffer,
  nowMs: number,
  shown: string,
): Promise<Buffer | null> {
  const kept = await moveAside(to, place, nowMs);
  if (kept === null) return null;
  try {
    await moveTo(from, to, shown);
  } catch (error) {
    await moveTo(kept, to, shown).catch(() => {
      const left = `what was there is kept as ${kept.toString()}`;
      throw failure('restore_not_undone', { target: shown, left }, { cause: error });
    });
    throw error;
  }
  return kept;
}

async function moveAside(path: Buffer, place: Buffer, nowMs: number): Promise<Buffer | null> {
  try {
    await moveDirectoryOrFile(path, place);
    return place;
  } catch (error) {
    const { code = '' } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT') return null;
    // Somebody else's directory may be given another name, and no other place.
    const stuck = ['EACCES', 'EPERM'].includes(code) && (await lstat(path)).isDirectory();
    if (!stuck) throw error;
    return await renameToFree(path, path, nowMs);
  }
}

/** Never over what is there, also when it came this moment; only an empty directory could be lost then. */
async function moveTo(from: Buffer, to: Buffer, shown: string, known?: BigIntStats): Promise<void> {
  const info = known ?? (await lstat(from, { bigint: true }));
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
async function moveDirectoryOrFile(from: Buffer, to: Buffer, known?: BigIntStats): Promise<void> {
  const info = known ?? (await lstat(from, { bigint: true }));
  const mode = Number(info.mode & 0o7777n);
  const mine = info.uid !== 0n && info.uid === BigInt(process.geteuid?.() ?? 0);
  if (!info.isDirectory() || (mode & 0o200) !== 0 || !mine) {
    await rename(from, to);
    return;
  }
  await chmod(from, mode | 0o700);
  let now = from;
  try {
    await rename(from, to);
    now = to;
  } finally {
    await chmod(now, mode);
  }
}
