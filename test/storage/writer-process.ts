import { spawn, type ChildProcessByStdio } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import type { Readable, Writable } from 'node:stream';
import { fileURLToPath } from 'node:url';

const script = fileURLToPath(new URL('children/writer.ts', import.meta.url));

export interface WriterOptions {
  /** The user it becomes once it has loaded its modules, which that user may not be able to read. */
  readonly uid?: number;
  /** Shell words before the command, such as `ulimit -f 10;`. */
  readonly prelude?: string;
}

/** A writer in a process of its own; killed when the scope ends. */
export class WriterProcess implements AsyncDisposable {
  readonly #child: ChildProcessByStdio<Writable, Readable, null>;
  readonly #lines: AsyncIterator<string>;

  constructor(directory: string, { uid, prelude = '' }: WriterOptions = {}) {
    const command = `${prelude} exec "$0" "$@"`;
    const words = [process.execPath, script, directory, ...(uid === undefined ? [] : [String(uid)])];
    this.#child = spawn('/bin/sh', ['-c', command, ...words], { stdio: ['pipe', 'pipe', 'inherit'] });
    this.#lines = createInterface({ input: this.#child.stdout })[Symbol.asyncIterator]();
  }

  /** The next answer, undefined when the process has ended. */
  async next(): Promise<unknown> {
    const line = await this.#lines.next();
    return line.done === true ? undefined : (JSON.parse(line.value) as unknown);
  }

  tell(command: object): void {
    this.#child.stdin.write(`${JSON.stringify(command)}\n`);
  }

  /** Ends it at once, as `kill -9` does; what it had said by then. */
  async kill(): Promise<unknown[]> {
    const ended =
      this.#child.exitCode === null && this.#child.signalCode === null
        ? once(this.#child, 'exit')
        : undefined;
    this.#child.kill('SIGKILL');
    await ended;
    const said: unknown[] = [];
    for (let answer = await this.next(); answer !== undefined; answer = await this.next()) said.push(answer);
    return said;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill();
  }
}
