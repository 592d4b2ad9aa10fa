import { plural } from '../../../kernel/plural.ts';
import { locationBytes } from './location.ts';
import type { NewMtime, PosixHelper, Xattrs } from '../posix-helper.ts';

/** So many times are set by one request. */
const timesAtOnce = 4096;

/** What only the helper can do to what is restored; without it that is left out, and counted. */
export class Exact {
  readonly #helper: PosixHelper | null;
  readonly #base: string;
  #times: NewMtime[] = [];
  #timesFailed = 0;
  #missed = 0;
  /** How many attributes of a name could not be set, and why the last one could not. */
  readonly #failed = new Map<string, { count: number; errno: string }>();

  constructor(helper: PosixHelper | null, base: string) {
    this.#helper = helper;
    this.#base = base;
  }

  /** For another place; what fails there is counted there. */
  at(base: string): Exact {
    return new Exact(this.#helper, base);
  }

  /** Whether `time` does something: whole seconds are exact without help. */
  sets(mtime: string): boolean {
    return this.#helper !== null && (!mtime.endsWith('000000000') || mtime.startsWith('-'));
  }

  async xattrs(path: string, xattrs: Xattrs | undefined): Promise<void> {
    if (xattrs === undefined || Object.keys(xattrs).length === 0) return;
    if (this.#helper === null) {
      this.#missed += 1;
      return;
    }
    // Access control lists are rights: they may take away the one to set others.
    const pairs = Object.entries(xattrs);
    const [lists, others] = [pairs.filter(isAccessList), pairs.filter((pair) => !isAccessList(pair))];
    const ordered = Object.fromEntries([...others, ...lists]);
    const failed = await this.#helper.setXattrs(locationBytes(this.#base, path), ordered);
    for (const [name, errno] of Object.entries(failed))
      this.#failed.set(name, { count: (this.#failed.get(name)?.count ?? 0) + 1, errno });
  }

  /** Sets the time of what is in place; sooner or later, at the latest by `flush`. */
  async time(path: string, mtime: string): Promise<void> {
    if (!this.sets(mtime)) return;
    this.#times.push({ path: locationBytes(this.#base, path), mtimeNs: BigInt(mtime) });
    if (this.#times.length >= timesAtOnce) await this.flush();
  }

  async flush(): Promise<void> {
    const times = this.#times;
    this.#times = [];
    if (this.#helper === null || times.length === 0) return;
    const errors = await this.#helper.setMtimes(times);
    this.#timesFailed += errors.filter((errno) => errno !== null).length;
  }

  /** What could not be done, in words for people. */
  warnings(): string[] {
    const warnings: string[] = [];
    if (this.#missed > 0)
      warnings.push(
        `extended attributes of ${plural(this.#missed, 'path')} were not restored: that needs perl, which is not installed`,
      );
    for (const [name, { count, errno }] of this.#failed)
      warnings.push(
        `the extended attribute ${name} of ${plural(count, 'path')} could not be restored: ${errnoWords[errno] ?? errno}`,
      );
    if (this.#timesFailed > 0)
      warnings.push(`the exact time of ${plural(this.#timesFailed, 'path')} could not be set`);
    return warnings;
  }
}

function isAccessList([name]: readonly [string, string]): boolean {
  return name.startsWith('system.');
}

const errnoWords: Readonly<Record<string, string>> = {
  EPERM: 'only root may set it',
  EACCES: 'only root may set it',
  ENOTSUP: 'the file system there does not have such attributes',
  EOPNOTSUPP: 'the file system there does not have such attributes',
  ENOSPC: 'the file system there has no room for it',
  E2BIG: 'the file system there has no room for it',
};
