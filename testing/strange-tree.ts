import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  closeSync,
  ftruncateSync,
  lchownSync,
  linkSync,
  lutimesSync,
  mkdirSync,
  openSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { patternedBytes } from './bytes.ts';

export interface StrangeTreeOptions {
  readonly files: number;
  /** Entries of one directory that has nothing but empty files. */
  readonly crowd: number;
  /** Bytes of all files with holes together; next to nothing of it is on disk. */
  readonly hollowBytes: number;
  readonly seed: number;
}

const names: readonly Buffer[] = [
  Buffer.from('plain'),
  Buffer.from('two words'),
  Buffer.from(' blanks around '),
  Buffer.from('-dash'),
  Buffer.from('new\nline'),
  Buffer.from('tab\t'),
  Buffer.from('quote"\'`$(true)'),
  Buffer.from('back\\slash'),
  Buffer.from('st*r?[a]{b}'),
  Buffer.from('100%41%'),
  Buffer.from('Übergröße'),
  Buffer.from('Übergröße'.normalize('NFD')),
  Buffer.from('日本語🙂'),
  Buffer.from([0x6c, 0xe4, 0x74, 0x69, 0x6e, 0xff]),
  Buffer.from([0x01, 0x7f, 0xc3]),
  Buffer.from('trailing.'),
  Buffer.from('.hidden'),
  Buffer.from('x'.repeat(200)),
];
const fileModes = [0o644, 0o600, 0o755, 0o444, 0o4755, 0o2755, 0o640];
const directoryModes = [0o755, 0o700, 0o555, 0o1777, 0o2775];

/**
 * Makes a tree with what trees have at their worst: names of any bytes, odd modes, owners where we may give them, times
 * long ago, symbolic links that lead nowhere, hard links, holes, deep paths. The same seed makes the same tree.
 */
export function makeStrangeTree(root: string, options: StrangeTreeOptions): void {
  const tree = new StrangeTree(options);
  const top = Buffer.from(root);
  mkdirSync(top, { recursive: true });
  tree.fill(top);
  tree.crowd(inside(top, Buffer.from('crowd')));
  tree.hollow(inside(top, Buffer.from('hollow')));
  tree.finish();
}

class StrangeTree {
  readonly #options: StrangeTreeOptions;
  readonly #random: () => number;
  /** Their modes and times come last: what is made inside would fail, or change them. */
  readonly #directories: Buffer[] = [];
  #last: Buffer | undefined;

  constructor(options: StrangeTreeOptions) {
    this.#options = options;
    this.#random = randomFrom(options.seed);
  }

  fill(top: Buffer): void {
    let directory = top;
    let depth = 0;
    for (let index = 0; index < this.#options.files; index += 1) {
      if (index % 40 === 0) {
        const deeper = depth < 12 && this.#random() < 0.6;
        const parent = deeper ? directory : top;
        depth = deeper ? depth + 1 : 1;
        directory = inside(parent, this.#name(index));
        mkdirSync(directory);
        this.#directories.push(directory);
      }
      this.#entry(inside(directory, this.#name(index)), index);
    }
  }

  crowd(directory: Buffer): void {
    mkdirSync(directory);
    for (let index = 0; index < this.#options.crowd; index += 1)
      closeSync(openSync(inside(directory, Buffer.from(`entry-${index}`)), 'wx'));
  }

  hollow(directory: Buffer): void {
    mkdirSync(directory);
    const files = 5;
    for (let index = 0; index < files; index += 1) {
      const size = Math.floor(this.#options.hollowBytes / files);
      const file = openSync(inside(directory, Buffer.from(`hollow-${index}`)), 'wx');
      ftruncateSync(file, size);
      for (let piece = 0; piece < 4; piece += 1)
        writeSync(
          file,
          patternedBytes(3000, index * 10 + piece),
          0,
          3000,
          Math.floor(this.#random() * (size - 3000)),
        );
      closeSync(file);
    }
  }

  finish(): void {
    for (const directory of this.#directories.toReversed()) {
      this.#own(directory);
      chmodSync(directory, this.#one(directoryModes));
      utimesSync(directory, this.#time(), this.#time());
    }
  }

  #entry(path: Buffer, index: number): void {
    const what = this.#random();
    if (what < 0.05) {
      const target = this.#random() < 0.5 ? Buffer.from('nowhere/at all\n') : this.#one(names);
      symlinkSync(target, path);
      this.#own(path);
      lutimesSync(path, this.#time(), this.#time());
    } else if (what < 0.1 && this.#last !== undefined) {
      linkSync(this.#last, path);
    } else {
      const size = what < 0.9 ? Math.floor(this.#random() * 4000) : Math.floor(this.#random() * 300_000);
      writeFileSync(path, patternedBytes(what < 0.15 ? 0 : size, index), { flag: 'wx' });
      this.#own(path);
      chmodSync(path, this.#one(fileModes));
      // Some keep the time of now, which has nanoseconds.
      if (this.#random() < 0.7) utimesSync(path, this.#time(), this.#time());
      this.#last = path;
    }
  }

  #name(index: number): Buffer {
    return Buffer.concat([this.#one(names), Buffer.from(`.${index}`)]);
  }

  #own(path: Buffer): void {
    if (process.getuid?.() !== 0) return;
    lchownSync(path, Math.floor(this.#random() * 70_000), Math.floor(this.#random() * 70_000));
  }

  #time(): number {
    return this.#random() * 2_000_000_000 - 300_000_000;
  }

  #one<T>(choices: readonly T[]): T {
    return choices[Math.floor(this.#random() * choices.length)] as T;
  }
}

/**
 * Every entry below a directory as GNU find tells it: name, type, mode, owners, size, time to the nanosecond, links, target;
 * sorted. For comparing two trees by a program that is not ours.
 */
export function listTree(root: string): string {
  const file = '%P|%y|%m|%U|%G|%s|%T@|%n|%l\\0';
  const directory = '%P|%y|%m|%U|%G|%T@\\0';
  const script = `{ find "$0" -type d -printf '${directory}'; find "$0" ! -type d -printf '${file}'; } | LC_ALL=C sort -z | sha256sum`;
  return shell(script, [root]);
}

/** What rsync would do to make `copy` like `original`, contents, links and attributes included: nothing, when equal. */
export function differences(original: string, copy: string): string {
  return shell('rsync -aHAXnc --numeric-ids --delete --itemize-changes "$0/" "$1/"', [original, copy]);
}

function shell(script: string, args: readonly string[]): string {
  const { stdout, stderr, status } = spawnSync('/bin/bash', ['-o', 'pipefail', '-c', script, ...args], {
    maxBuffer: 64 * 2 ** 20,
    encoding: 'utf8',
  });
  if (status !== 0) throw new Error(`${script} ended with ${status}: ${stderr}`);
  return stdout;
}

function inside(directory: Buffer, name: Buffer): Buffer {
  return Buffer.concat([directory, Buffer.from('/'), name]);
}

function randomFrom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    // mulberry32
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}
