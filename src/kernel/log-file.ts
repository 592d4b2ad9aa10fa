import { closeSync, fstatSync, mkdirSync, openSync, renameSync, statSync, writeSync } from 'node:fs';
import { dirname } from 'node:path';

export interface LogFileOptions {
  readonly path: string;
  /** The file is put aside before it grows beyond this. */
  readonly maxBytes: number;
  /** How many files put aside are kept: `path.1` is the newest. */
  readonly keepFiles: number;
  /** Told the first time writing fails. A full disk must not stop a backup because of its log. */
  readonly onTrouble: (error: Error) => void;
}

/**
 * A log file that is put aside by size. Lines are written at once and whole, so a crash loses none of them.
 * Several processes may write to one file: lines are appended, and who finds the file put aside opens the new one.
 */
export class LogFile {
  readonly #options: LogFileOptions;
  #descriptor: number | undefined;
  #troubleTold = false;

  constructor(options: LogFileOptions) {
    this.#options = options;
  }

  write(line: string): void {
    try {
      const bytes = Buffer.from(line);
      writeSync(this.#ready(bytes.length), bytes);
    } catch (error) {
      this.close();
      if (this.#troubleTold) return;
      this.#troubleTold = true;
      this.#options.onTrouble(error as Error);
    }
  }

  close(): void {
    if (this.#descriptor === undefined) return;
    closeSync(this.#descriptor);
    this.#descriptor = undefined;
  }

  /** A descriptor of the current file, with room for `bytes` more. */
  #ready(bytes: number): number {
    const { path, maxBytes } = this.#options;
    let descriptor = this.#descriptor ?? this.#open();
    const named = statSync(path, { throwIfNoEntry: false });
    const held = fstatSync(descriptor);
    if (named === undefined || named.ino !== held.ino || named.dev !== held.dev) {
      // Another process, or logrotate, has put it aside.
      this.close();
      descriptor = this.#open();
    }
    const { size } = fstatSync(descriptor);
    if (size === 0 || size + bytes <= maxBytes) return descriptor;
    this.close();
    this.#putAside();
    return this.#open();
  }

  #open(): number {
    mkdirSync(dirname(this.#options.path), { recursive: true, mode: 0o700 });
    this.#descriptor = openSync(this.#options.path, 'a', 0o600);
    return this.#descriptor;
  }

  #putAside(): void {
    const { path, keepFiles } = this.#options;
    const nameOf = (n: number): string => (n === 0 ? path : `${path}.${n}`);
    // Renaming onto the oldest replaces it; with none to keep, the file replaces itself by being emptied.
    if (keepFiles === 0) {
      closeSync(openSync(path, 'w', 0o600));
      return;
    }
    for (let n = keepFiles - 1; n >= 0; n -= 1) {
      if (statSync(nameOf(n), { throwIfNoEntry: false }) !== undefined) renameSync(nameOf(n), nameOf(n + 1));
    }
  }
}
