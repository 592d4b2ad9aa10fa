import type { Terminal } from './terminal.ts';

/**
 * Standard output for what a program may read, standard error for people. A reader who leaves early (EPIPE) is no
 * error: nothing more is written, and the work goes on.
 */
export class Output {
  readonly #terminal: Terminal;
  #stdoutGone = false;
  #transient = '';

  constructor(terminal: Terminal) {
    this.#terminal = terminal;
    terminal.stdout.on('error', (error: NodeJS.ErrnoException) => {
      this.#stdoutGone = true;
      if (error.code !== 'EPIPE') this.error(`cannot write to standard output: ${error.message}\n`);
    });
    // Nobody is left to tell.
    terminal.stderr.on('error', () => {});
  }

  /** Standard output. */
  product(text: string): void {
    if (this.#stdoutGone) return;
    this.#terminal.stdout.write(text);
  }

  json(value: unknown): void {
    this.product(`${JSON.stringify(value)}\n`);
  }

  /** Standard error, above a progress line if there is one. */
  error(text: string): void {
    const line = this.#transient;
    this.transient('');
    this.#terminal.stderr.write(text);
    this.transient(line);
  }

  /** A line of the screen that the next one replaces; '' removes it. Only where there is a screen. */
  transient(line: string): void {
    if (!this.#terminal.screen || line === this.#transient) return;
    this.#transient = line;
    // A line that wraps could not be taken back. A terminal may not know its width, and say 0.
    const columns = this.#terminal.stderr.columns || 80;
    this.#terminal.stderr.write(`\r\u001b[2K${line.slice(0, columns - 1)}`);
  }

  /** Resolves when all of it has been handed to the system. */
  async flush(): Promise<void> {
    this.transient('');
    await Promise.all([drained(this.#terminal.stdout), drained(this.#terminal.stderr)]);
  }
}

/** Also resolves when the stream is broken: there is nothing to wait for then. */
function drained(stream: NodeJS.WritableStream): Promise<void> {
  return new Promise((resolve) => stream.write('', () => resolve()));
}
