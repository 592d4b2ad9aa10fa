import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { constants } from 'node:os';
import { fileURLToPath } from 'node:url';
import { pathBytes, pathText } from '../../kernel/byte-path.ts';
import { failure } from '../../kernel/errors/failure.ts';

/** Values in base64, by name; names written as `pathText` does, and in the order of their bytes. */
export type Xattrs = Readonly<Record<string, string>>;

export interface NewMtime {
  /** Absolute. */
  readonly path: Uint8Array;
  /** Nanoseconds since 1970. */
  readonly mtimeNs: bigint;
}

interface Waiting {
  resolve(answer: Buffer): void;
  reject(error: Error): void;
}

/** No others: the environment could lead to a program that only calls itself perl. */
const interpreters = ['/usr/bin/perl', '/bin/perl', '/usr/local/bin/perl'];
const greeting = 'holdfast posix helper 1';
/** An answer holds all attributes of so many paths. */
const pathsInRequest = 512;

/**
 * What neither Node nor a small program on every machine does: extended attributes, times to the nanosecond, two names
 * exchanged in one step, a file system flushed. A process of perl, which every Debian has, makes the system calls. Calls may overlap;
 * they are answered in their order. What fails for one path is the name of its errno, `ENOENT` say; a helper that
 * died rejects with `posix_helper_failed`, an abort with the signal's reason.
 */
export class PosixHelper implements AsyncDisposable {
  readonly #child: ChildProcess;
  readonly #signal: AbortSignal;
  readonly #closed: Promise<unknown>;
  readonly #waiting: Waiting[] = [];
  #pieces: Buffer[] = [];
  #gathered = 0;
  #gone: Error | undefined;
  #ending = false;
  readonly #onAbort = (): void => {
    this.#fail(this.#signal.reason as Error);
    this.#child.kill('SIGKILL');
  };

  private constructor(child: ChildProcess, signal: AbortSignal) {
    this.#child = child;
    this.#signal = signal;
    this.#closed = once(child, 'close').catch(() => undefined);
    child.stdout?.on('data', (piece: Buffer) => this.#receive(piece));
    // EPIPE: it has ended; that is noticed below.
    child.stdin?.on('error', () => undefined);
    child.on('error', (error) => this.#fail(helperFailed(error.message)));
    child.on('close', (code, killedBy) => this.#fail(helperFailed(`it ended with ${code ?? killedBy}`)));
    signal.addEventListener('abort', this.#onAbort, { once: true });
  }

  /** Null where it cannot be had: no perl, or a machine whose system calls it does not know. */
  static async start(signal: AbortSignal): Promise<PosixHelper | null> {
    signal.throwIfAborted();
    const perl = interpreters.find((path) => existsSync(path));
    const known = process.platform === 'linux' && ['x64', 'arm64'].includes(process.arch);
    if (!known || perl === undefined) return null;
    const script = fileURLToPath(new URL('./posix-helper.pl', import.meta.url));
    const child = spawn(perl, [script], {
      env: { LC_ALL: 'C' },
      cwd: '/',
      stdio: ['pipe', 'pipe', 'ignore'],
    });
    const helper = new PosixHelper(child, signal);
    try {
      if ((await helper.#answer()).toString() === greeting) return helper;
    } catch {
      // It said no by ending.
    }
    await helper[Symbol.asyncDispose]();
    signal.throwIfAborted();
    return null;
  }

  /** The extended attributes of each path, links not followed: none where the file system has none. */
  async xattrs(paths: readonly Uint8Array[]): Promise<(Xattrs | string)[]> {
    const requests: Promise<(Xattrs | string)[]>[] = [];
    for (let from = 0; from < paths.length; from += pathsInRequest) {
      const some = paths.slice(from, from + pathsInRequest);
      requests.push(this.#ask('x', some).then((answer) => readXattrs(answer, some.length)));
    }
    return (await Promise.all(requests)).flat();
  }

  /** Sets attributes of one path, links not followed. Gives the errno of each that could not be set, by its name. */
  async setXattrs(path: Uint8Array, xattrs: Xattrs): Promise<Readonly<Record<string, string>>> {
    const pairs = Object.entries(xattrs);
    if (pairs.length === 0) return {};
    const bytes = pairs.flatMap(([name, value]) => [pathBytes(name), Buffer.from(value, 'base64')]);
    const errors = readErrors(await this.#ask('s', [path, ...bytes]));
    const failed = pairs.flatMap(([name], index) => {
      const errno = errors[index] ?? null;
      return errno === null ? [] : [[name, errno] as const];
    });
    return Object.fromEntries(failed);
  }

  /** Sets times of modification, links not followed; times of access stay. For each null, or its errno. */
  async setMtimes(mtimes: readonly NewMtime[]): Promise<(string | null)[]> {
    const requests: Promise<(string | null)[]>[] = [];
    for (let from = 0; from < mtimes.length; from += pathsInRequest) {
      const some = mtimes.slice(from, from + pathsInRequest);
      const fields = some.flatMap(({ path, mtimeNs }) => [path, timeBytes(mtimeNs)]);
      requests.push(this.#ask('t', fields).then(readErrors));
    }
    return (await Promise.all(requests)).flat();
  }

  /** Gives each of two paths what the other was, in one step. Null, or an errno: `EINVAL` where the file system cannot. */
  async exchange(one: Uint8Array, other: Uint8Array): Promise<string | null> {
    return readErrors(await this.#ask('e', [one, other]))[0] ?? null;
  }

  /** Prepares `flushFileSystem` for the file system of a directory. Null, or an errno. */
  async openFileSystem(directory: Uint8Array): Promise<string | null> {
    return readErrors(await this.#ask('o', [directory]))[0] ?? null;
  }

  /**
   * Makes everything durable that was written to that file system since. Null, or the errno of what could not be: Linux
   * tells from 5.8 on (syncfs(2)).
   */
  async flushFileSystem(): Promise<string | null> {
    return readErrors(await this.#ask('f', []))[0] ?? null;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#ending = true;
    this.#signal.removeEventListener('abort', this.#onAbort);
    this.#child.stdin?.end();
    await this.#closed;
  }

  #ask(what: string, fields: readonly Uint8Array[]): Promise<Buffer> {
    const answer = this.#answer();
    const size = fields.reduce((sum, field) => sum + 4 + field.length, 1);
    const frame = Buffer.allocUnsafe(4 + size);
    frame.writeUInt32BE(size);
    frame.write(what, 4, 'latin1');
    let at = 5;
    for (const field of fields) {
      at = frame.writeUInt32BE(field.length, at);
      frame.set(field, at);
      at += field.length;
    }
    if (this.#gone === undefined) this.#child.stdin?.write(frame);
    return answer;
  }

  #answer(): Promise<Buffer> {
    return new Promise((resolve, reject) => {
      if (this.#gone !== undefined) reject(this.#gone);
      else this.#waiting.push({ resolve, reject });
    });
  }

  #receive(piece: Buffer): void {
    this.#pieces.push(piece);
    this.#gathered += piece.length;
    let length = this.#frameLength();
    while (length !== undefined && this.#gathered >= 4 + length) {
      const all = Buffer.concat(this.#pieces);
      this.#waiting.shift()?.resolve(all.subarray(4, 4 + length));
      this.#pieces = [all.subarray(4 + length)];
      this.#gathered -= 4 + length;
      length = this.#frameLength();
    }
  }

  #frameLength(): number | undefined {
    if (this.#gathered < 4) return undefined;
    if ((this.#pieces[0]?.length ?? 0) < 4) this.#pieces = [Buffer.concat(this.#pieces)];
    return this.#pieces[0]?.readUInt32BE(0);
  }

  #fail(error: Error): void {
    this.#gone ??= this.#ending ? helperFailed('it was ended') : error;
    for (const waiting of this.#waiting.splice(0)) waiting.reject(this.#gone);
  }
}

function helperFailed(reason: string): Error {
  return failure('posix_helper_failed', { reason });
}

function timeBytes(mtimeNs: bigint): Buffer {
  const bytes = Buffer.allocUnsafe(12);
  const nanoseconds = BigInt.asUintN(64, ((mtimeNs % 1_000_000_000n) + 1_000_000_000n) % 1_000_000_000n);
  bytes.writeBigInt64BE((mtimeNs - nanoseconds) / 1_000_000_000n);
  bytes.writeUInt32BE(Number(nanoseconds), 8);
  return bytes;
}

function readXattrs(answer: Buffer, count: number): (Xattrs | string)[] {
  let at = 0;
  const number = (): number => {
    at += 4;
    return answer.readUInt32BE(at - 4);
  };
  const field = (): Buffer => {
    const length = number();
    at += length;
    return answer.subarray(at - length, at);
  };
  return Array.from({ length: count }, () => {
    const errno = number();
    const pairs = Array.from(
      { length: number() },
      () => [pathText(field()), field().toString('base64')] as const,
    );
    return errno === 0 ? Object.fromEntries(pairs) : errnoName(errno);
  });
}

function readErrors(answer: Buffer): (string | null)[] {
  return Array.from({ length: answer.length / 4 }, (_, index) => {
    const errno = answer.readUInt32BE(index * 4);
    return errno === 0 ? null : errnoName(errno);
  });
}

const errnoNames = new Map(
  Object.entries(constants.errno)
    .toReversed()
    .map(([name, errno]) => [errno, name]),
);

function errnoName(errno: number): string {
  return errnoNames.get(errno) ?? `errno ${errno}`;
}
