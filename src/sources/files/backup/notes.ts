import { plural } from '../../../kernel/plural.ts';
import type { ScanNote } from './scan.ts';
import type { MissingRoot } from './roots.ts';

const namedWarnings = 50;
/** In characters. */
const longestShown = 400;

export type NoteKind = ScanNote['what'] | 'changed' | 'xattrs';

/** What a backup has to say about files that are not in it, or not as they should be: a warning for each of the first, then how many. */
export class Notes {
  readonly counts: Record<NoteKind, number> = {
    unreadable: 0,
    vanished: 0,
    left_out: 0,
    repository: 0,
    kernel: 0,
    ignore_file: 0,
    changed: 0,
    xattrs: 0,
  };
  readonly #warnings: string[] = [];
  #unnamed = 0;
  readonly #missing: readonly MissingRoot[];
  readonly #rootCount: number;

  constructor(missing: readonly MissingRoot[], rootCount: number) {
    this.#missing = missing;
    this.#rootCount = rootCount;
    for (const { given, reason } of missing) this.#warnings.push(`${given} is not in the backup: ${reason}`);
  }

  add(what: NoteKind, path: string, reason: string): void {
    this.counts[what] += 1;
    if (this.#warnings.length < namedWarnings) this.#warnings.push(sentences[what](readable(path), reason));
    else this.#unnamed += 1;
  }

  warnings(): string[] {
    if (this.#unnamed === 0) return this.#warnings;
    const { counts } = this;
    const parts = (Object.keys(counts) as NoteKind[]).flatMap((what) =>
      counts[what] === 0 ? [] : [`${counts[what]} ${summaries[what]}`],
    );
    return [...this.#warnings, `and ${this.#unnamed} more like these; in all: ${parts.join(', ')}`];
  }

  /** What should be in the backup and is not. */
  incomplete(): string | undefined {
    const { unreadable, xattrs } = this.counts;
    const parts: string[] = [];
    if (this.#missing.length > 0)
      parts.push(
        `${this.#missing.length} of ${plural(this.#rootCount, 'path')} could not be read: ${this.#missing.map(({ given }) => given).join(', ')}`,
      );
    if (unreadable > 0)
      parts.push(
        `${unreadable === 1 ? '1 file or directory' : `${unreadable} files or directories`} could not be read`,
      );
    if (xattrs > 0) parts.push(`extended attributes of ${plural(xattrs, 'file')} could not be read`);
    return parts.length === 0 ? undefined : parts.join('; ');
  }
}

/** Paths that the system does not take any more would fill a terminal; beginning and end say which it is. */
function readable(path: string): string {
  if (path.length <= longestShown) return path;
  const [begin, end] = [path.slice(0, longestShown / 2), path.slice(-longestShown / 4)];
  return `${begin}…${end} (${path.length} characters)`;
}

const sentences: Readonly<Record<NoteKind, (path: string, reason: string) => string>> = {
  unreadable: (path, reason) => `${path} is not in the backup: it could not be read (${reason})`,
  vanished: (path) => `${path} is not in the backup: it was gone when it was its turn`,
  left_out: (path, reason) => `${path} is not in the backup: it is a ${reason}`,
  repository: (path) => `${path} is not in the backup: it is a repository of backups`,
  kernel: (path, reason) => `what is in ${path} is not in the backup: the kernel makes it up (${reason})`,
  ignore_file: (path, reason) =>
    `${path} was passed over, so what it leaves out is in the backup: it could not be read (${reason})`,
  changed: (path) =>
    `${path} changed while it was read, or right before, each time: what is in the backup may be of no single moment`,
  xattrs: (path, reason) =>
    `${path} is in the backup without its extended attributes: they could not be read (${reason})`,
};

const summaries: Readonly<Record<NoteKind, string>> = {
  unreadable: 'unreadable',
  vanished: 'gone',
  left_out: 'sockets, pipes and devices',
  repository: 'repositories of backups',
  kernel: 'directories of the kernel',
  ignore_file: 'unreadable ignore files',
  changed: 'changed while they were read',
  xattrs: 'without extended attributes',
};
