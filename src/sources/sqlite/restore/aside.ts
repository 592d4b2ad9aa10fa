import type { BigIntStats } from 'node:fs';
import { rename, unlink } from 'node:fs/promises';
import { failure } from '../../../kernel/errors/failure.ts';
import { holderOf } from '../holder.ts';
import { addName, exists, freeName, moveTo } from './names.ts';
import { besides } from './plan.ts';
import { isSameFile, statsOf, type Way, type WayOf } from './way.ts';
import { writing } from './write-failure.ts';

interface Move {
  readonly from: string;
  readonly to: string;
}

/**
 * For a place that is free, or where something lies that SQLite cannot take for a database and lock: that is moved aside
 * with what lies beside it, and none of its bytes is changed.
 */
export class Aside implements Way {
  readonly warnings = [];
  readonly #of: WayOf;
  #kept: string | null = null;
  readonly #moved: Move[] = [];
  /** The restored one: as it was just before and just after it came into place. */
  #placed: { readonly before: BigIntStats; readonly after: BigIntStats } | null = null;

  constructor(of: WayOf) {
    this.#of = of;
  }

  get replaced(): string | null {
    return this.#kept ?? this.#moved[0]?.to ?? null;
  }

  /** `mode` is `create` where nothing may be in the way. */
  async place(mode: 'create' | 'replace'): Promise<void> {
    const { file, staged } = this.#of;
    await writing(file, async () => {
      const before = await statsOf(staged);
      if (mode === 'create') await this.#refuseLeftBeside();
      else await this.#moveAside();
      // What is there now is the file that was just given its second name.
      if (this.#kept !== null && (await exists(file))) await rename(staged, file);
      else await moveTo(staged, file);
      this.#placed = { before, after: await statsOf(file) };
    });
  }

  async #refuseLeftBeside(): Promise<void> {
    const [target] = await besides(this.#of.file);
    if (target !== undefined) throw failure('restore_target_exists', { target, detail: '' });
  }

  async #moveAside(): Promise<void> {
    const { file, keptAs } = this.#of;
    const kept = await freeName(keptAs);
    const isThere = await exists(file);
    if (isThere && (await addName(file, kept))) this.#kept = kept;
    for (const from of await besides(file)) {
      const to = kept + from.slice(file.length);
      if (await moved(from, to)) this.#moved.push({ from, to });
    }
    if (!isThere || this.#kept !== null) return;
    await moveTo(file, kept);
    this.#kept = kept;
  }

  async takeBack(): Promise<string | null> {
    const { file } = this.#of;
    if (this.#placed !== null && !(await this.#takeBackRestored())) {
      const old = this.replaced === null ? '' : `, and ${this.replaced} is what was there before`;
      return `${file} is the restored database${old}`;
    }
    if (this.#placed === null && !(await this.#takeBackName()))
      return `${this.#kept} is what was ${file} before, which somebody has made anew`;
    const left: string[] = [];
    for (const { from, to } of this.#moved.toReversed())
      await moveTo(to, from).catch(() => left.push(`${to} is what was ${from}`));
    return left.length === 0 ? null : left.join('; ');
  }

  async #takeBackRestored(): Promise<boolean> {
    const { file } = this.#of;
    try {
      if (!(await this.#isAsPlaced()) || holderOf(file) !== null || (await besides(file)).length > 0)
        return false;
      if (this.#kept === null) await unlink(file);
      else await rename(this.#kept, file);
      return true;
    } catch {
      return false;
    }
  }

  async #isAsPlaced(): Promise<boolean> {
    if (this.#placed === null) return false;
    const { before, after } = this.#placed;
    const now = await statsOf(this.#of.file);
    const isUnwritten = now.size === before.size && now.mtimeNs === before.mtimeNs;
    return isSameFile(now, before) && isUnwritten && now.ctimeNs === after.ctimeNs;
  }

  /** It has its second name, and the restored one has not come in its place. */
  async #takeBackName(): Promise<boolean> {
    const { file } = this.#of;
    if (this.#kept === null) return true;
    try {
      if (!(await exists(file))) await moveTo(this.#kept, file);
      else if (isSameFile(await statsOf(file), await statsOf(this.#kept))) await unlink(this.#kept);
      else return false;
      return true;
    } catch {
      return false;
    }
  }
}

/** False when it is gone by itself. */
async function moved(from: string, to: string): Promise<boolean> {
  try {
    await moveTo(from, to);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return false;
    throw error;
  }
}
