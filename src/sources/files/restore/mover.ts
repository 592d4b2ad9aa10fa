import type { BigIntStats } from 'node:fs';
import { lstat, unlink } from 'node:fs/promises';
import { reasonOf } from '../../../kernel/errors/failure.ts';
import type { PosixHelper } from '../posix-helper.ts';
import { inWords, writing } from './failure.ts';
import { KeptDirectory } from './kept.ts';
import { directoryOf, isAt, isOther, moveAside, moveDirectoryOrFile, moveTo } from './move.ts';
import { exchanged, exchanger, flushPath } from './place.ts';
import { isUntouched, nextTick, type Proof, proofOf } from './proof.ts';
import { removeTree } from './remove.ts';
import type { Target } from './target.ts';

interface Move {
  readonly from: Buffer;
  readonly to: Buffer;
  /** Where what made way is. */
  readonly kept: Buffer | null;
  /** False: what was there made way, and nothing came to its place. */
  readonly placed: boolean;
  /** Undefined: it was changed while it was put there. */
  readonly proof: Proof | undefined;
}

/** One thing on its way to its place. */
interface Way {
  readonly from: Buffer;
  readonly to: Buffer;
  readonly before: BigIntStats;
  /** Where what made way for it may be. */
  aside: readonly Buffer[];
}

/** What made way: where it was, and where it is kept. */
export interface Replaced {
  readonly path: Buffer;
  readonly kept: Buffer;
}

export interface Finished {
  /** What made way is kept in it under the paths it had; null when there was no need of one. */
  readonly directory: string | null;
  readonly replaced: readonly Replaced[];
  /** Why the name of that directory may be lost in a crash of the machine; null when it is durable. */
  readonly unflushed: string | null;
}

/** Puts one thing after the other in its place in the target; all is undone when a later one fails. */
export class Mover implements AsyncDisposable {
  readonly #target: Target;
  readonly #token: string;
  readonly #nowMs: number;
  readonly #sealedNs: bigint;
  #moves: Move[] = [];
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
      const way: Way = { from, to, before: await lstat(from, { bigint: true }), aside: [] };
      try {
        if (!taken || !(await this.#replace(way, shown))) await moveTo(from, to, shown, way.before);
      } catch (error) {
        await this.#note(way, false);
        throw error;
      }
      await this.#note(way, true);
    });
  }

  /** Makes it durable, and the way to what is kept. */
  async flush(): Promise<void> {
    const directories = new Map<string, Buffer>();
    const add = (directory: Buffer): unknown => directories.set(directory.toString('latin1'), directory);
    const top = this.#keptDirectory?.path;
    for (const { to, kept } of this.#moves) {
      add(directoryOf(to));
      if (kept === null) continue;
      add(directoryOf(kept));
      if (top === undefined || !kept.subarray(0, top.length).equals(top)) continue;
      for (let at = kept; at.length >= top.length; at = directoryOf(at)) add(directoryOf(at));
    }
    for (const directory of directories.values()) await flushPath(directory);
  }

  /** Gives what made way the name under which it stays; all is in its place by then. */
  async finish(): Promise<Finished> {
    const replaced = this.#moves.flatMap(({ to, kept }) => (kept === null ? [] : [{ path: to, kept }]));
    const directory = this.#keptDirectory;
    if (directory === undefined || replaced.length === 0) {
      await directory?.remove();
      return { directory: null, replaced, unflushed: null };
    }
    const now = await directory.finish(this.#nowMs);
    const unflushed = await flushPath(directoryOf(directory.path)).then(() => null, reasonInWords);
    return {
      directory: directory.path.toString(),
      replaced: replaced.map(({ path, kept }) => ({ path, kept: now(kept) })),
      unflushed,
    };
  }

  /** Puts everything back that nobody has changed meanwhile. Of everything else it tells where it is. */
  async undo(): Promise<string[]> {
    const left: { readonly move: Move; readonly why: string }[] = [];
    for (const move of this.#moves.toReversed()) {
      const stuck = (error: unknown): string => `could not be put back (${reasonInWords(error)})`;
      const why = await this.#putBack(move).catch(stuck);
      if (why !== null) left.push({ move, why });
    }
    this.#moves = left.map(({ move }) => move);
    const { replaced } = await this.finish();
    const keptOf = new Map(replaced.map(({ path, kept }) => [path, kept]));
    return left.map(({ move: { to }, why }) => {
      const kept = keptOf.get(to);
      const was = kept === undefined ? '' : `; what was there before is kept as ${kept.toString()}`;
      return `${to.toString()} ${why}${was}`;
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#helper?.[Symbol.asyncDispose]();
  }

  /** False when there was nothing any more, and then nothing was moved. */
  async #replace(way: Way, shown: string): Promise<boolean> {
    const { from, to, before } = way;
    this.#keptDirectory ??= await KeptDirectory.make(this.#target, this.#token);
    const place = await this.#keptDirectory.placeFor(to);
    // As in `swapIntoPlace`: under this name it is clear what is what, whatever comes between.
    const between = this.#keptDirectory.between(before.ino);
    way.aside = [place, between];
    try {
      await moveDirectoryOrFile(from, between, before);
      const was = await this.#exchanged(between, to, before);
      if (was !== undefined) {
        await this.#keepTime(to, before);
        await this.#keepTime(between, was);
        await moveDirectoryOrFile(between, place, was);
        return true;
      }
      // For a moment there is nothing at `to`.
      const kept = await moveAside(to, place, this.#nowMs);
      if (kept === null) {
        await moveDirectoryOrFile(between, from, before);
        return false;
      }
      way.aside = [kept];
      await moveTo(between, to, shown, before);
      return true;
    } catch (error) {
      if (await isAt(between, before)) await putAway(between, from);
      throw error;
    }
  }

  /** Puts down how far something came, by what is where: when it was not `done`, anything may have failed halfway. */
  async #note({ from, to, before, aside }: Way, done: boolean): Promise<void> {
    let kept: Buffer | null = null;
    for (const path of aside) if (kept === null && (await isOther(path, before))) kept = path;
    const isThere = await isAt(to, before);
    if (!done && !isThere && kept === null) return;
    const placed = done || isThere || (await isOther(to, before));
    this.#moves.push({ from, to, kept, placed, proof: await proofOf(to, before) });
  }

  /** Gives what was at `other` and is at `one` now; undefined when they could not be exchanged. */
  async #exchanged(one: Buffer, other: Buffer, first: BigIntStats): Promise<BigIntStats | undefined> {
    if (this.#helper === undefined) this.#helper = await exchanger();
    const second = await lstat(other, { bigint: true }).catch(() => undefined);
    if (second === undefined || !(await exchanged(this.#helper, one, other, first.ino))) return undefined;
    return second;
  }

  /** Some file systems change the time of a directory that gets another one above it. */
  async #keepTime(path: Buffer, info: BigIntStats): Promise<void> {
    if (!info.isDirectory()) return;
    const { mtimeNs } = info;
    const now = await lstat(path, { bigint: true });
    if (now.mtimeNs !== mtimeNs) await this.#helper?.setMtimes([{ path, mtimeNs }]);
  }

  /** Null, or why it stays: what is there now is, or may be, somebody else's. */
  async #putBack(move: Move): Promise<string | null> {
    const { from, to, kept, placed, proof } = move;
    if (!placed) {
      if (kept !== null) await putAgain(kept, to);
      return null;
    }
    const isOurs = async (path: Buffer, known: Proof): Promise<boolean> =>
      await isUntouched(path, known, this.#sealedNs);
    if (proof === undefined || !(await isOurs(to, proof))) return changed;
    // Looked at once more where nobody finds it, for a program may have been quicker.
    const moved = { ...proof, ctimeNs: null };
    if (kept !== null) {
      const old = await lstat(kept, { bigint: true });
      const ours = await this.#exchanged(kept, to, old);
      if (ours !== undefined) {
        await this.#keepTime(to, old).catch(() => undefined);
        const untouched = await isOurs(kept, moved);
        if (untouched) await putAway(kept, from);
        else await this.#exchanged(kept, to, ours);
        return untouched ? null : changed;
      }
    }
    await moveDirectoryOrFile(to, from);
    // Of two names of one file it would have taken neither away.
    if (await isAt(to, proof.before)) await unlink(to);
    if (!(await isOurs(from, moved))) {
      await moveTo(from, to, to.toString(), proof.before);
      return changed;
    }
    if (kept !== null) await putAgain(kept, to);
    return null;
  }
}

const changed = 'was changed since it was restored, and stays';

/** What made way comes to its place again. */
async function putAgain(kept: Buffer, to: Buffer): Promise<void> {
  const old = await lstat(kept, { bigint: true });
  try {
    await moveTo(kept, to, to.toString(), old);
  } catch (error) {
    if (!(await isAt(to, old))) throw error;
  }
}

/** What was to be put in place goes to what will be removed, or is removed where it is. */
async function putAway(path: Buffer, staged: Buffer): Promise<void> {
  try {
    await moveDirectoryOrFile(path, staged);
  } catch {
    const info = await lstat(path).catch(() => undefined);
    const gone = info?.isDirectory() === true ? removeTree(path) : unlink(path);
    // What stays then is in nobody's way, and the next restore tells what it is.
    await gone.catch(() => undefined);
  }
}

function reasonInWords(error: unknown): string {
  return inWords(error)?.reason ?? reasonOf(error);
}
