import type { AppContext, Outcome } from '../app/compose.ts';
import type { Machine } from '../app/machine.ts';
import type { Observer } from '../app/observer.ts';
import { exitCodes, type ErrorKind } from '../kernel/errors/define.ts';
import { asFailure, failure, isFailure, type HoldfastError } from '../kernel/errors/failure.ts';
import { errorText, noticeText, shownError } from './error-text.ts';
import { Output } from './output.ts';
import { requestLines } from './costs.ts';
import { CommandProgress } from './progress.ts';
import { terminalAsker } from './prompt.ts';
import type { Terminal } from './terminal.ts';

export interface FaceOptions {
  readonly json: boolean;
  readonly quiet: boolean;
  readonly yes: boolean;
  /** With `--json`: events line by line, the summary last. */
  readonly longRunning: boolean;
  /** Whether people are told what was asked of services. */
  readonly tellsRequests?: boolean;
  /** What to do after Ctrl-C. */
  readonly ifInterrupted: string;
  /** Fields that the verb's result has even when it failed: readers may count on them. */
  readonly always?: Readonly<Record<string, unknown>>;
}

/** One command as it meets the user: what verbs print through, and what use cases are told. */
export class Face implements Observer {
  readonly options: FaceOptions;
  readonly colour: boolean;
  readonly context: AppContext;
  readonly #output: Output;
  readonly #terminal: Terminal;
  readonly #machine: Machine;
  readonly #controller = new AbortController();
  /** The list of the final object that is being printed. */
  #openList: string | undefined;
  /** The progress line of each task under way. */
  readonly #underWay = new Map<object, string>();
  /** Errors of single sources that have been shown, named: the last one need not be the command's once more. */
  readonly #told = new Set<unknown>();

  constructor(options: FaceOptions, machine: Machine, terminal: Terminal, argv: readonly string[]) {
    this.options = options;
    this.#machine = machine;
    this.#terminal = terminal;
    this.#output = new Output(terminal);
    this.colour = terminal.colour;
    const { signal } = this.#controller;
    const asker = terminalAsker(terminal, signal, () => this.interrupt('Ctrl-C'));
    this.context = { machine, observer: this, asker, signal, argv };
  }

  /** Ends the work as soon as it can; answers false when that was asked before. */
  interrupt(what: string): boolean {
    if (this.#controller.signal.aborted) return false;
    this.#controller.abort(failure('interrupted', { what, next: this.options.ifInterrupted }));
    return true;
  }

  /** Runs a use case, shows what came of it, and answers the exit code. */
  async run<R extends Outcome>(
    work: (context: AppContext) => Promise<R>,
    render: (result: R) => void,
  ): Promise<number> {
    try {
      const result = await work(this.context);
      this.#output.transient('');
      if (this.options.json) this.#final(result);
      else render(result);
      if (this.options.tellsRequests === true && result.requests !== undefined)
        this.say(requestLines(result.requests));
      if (result.error === undefined) return 0;
      if (!this.#told.has(result.error)) this.#output.error(errorText(shownError(result.error), this.colour));
      return exitCodes[result.error['kind'] as ErrorKind];
    } catch (error) {
      return this.fail(error);
    } finally {
      await this.#output.flush();
    }
  }

  /** Shows an error and answers its exit code. */
  fail(error: unknown): number {
    const { signal } = this.#controller;
    // Of the interruption itself, what the work says that was interrupted.
    const tellsMore = isFailure(error, 'restore_not_undone') || isFailure(error, 'interrupted');
    const shown = asFailure(signal.aborted && !tellsMore ? signal.reason : error);
    this.#output.transient('');
    if (this.options.json) {
      if (this.options.longRunning) this.#output.json({ type: 'error', error: shown.toJSON() });
      this.#final({ schema: 1, ok: false, error: shown.toJSON(), ...this.options.always });
    }
    this.#output.error(errorText(shownError(shown.toJSON()), this.colour));
    if (shown.errorName === 'internal') this.#tellStack(shown);
    return shown.exitCode;
  }

  flush(): Promise<void> {
    return this.#output.flush();
  }

  /** Whether standard output may have colours, which may go elsewhere than standard error. */
  get productColour(): boolean {
    return this.colour && this.#terminal.stdout.isTTY === true;
  }

  /** Standard output: what the verb is for. */
  product(text: string): void {
    this.#output.product(text);
  }

  /** With `--json`: an item of a list that is too long to keep. It stands in the one object that is printed in the end. */
  listed(key: string, item: unknown): void {
    const before = this.#openList === undefined ? `{${JSON.stringify(key)}:[` : ',';
    this.#openList = key;
    this.#output.product(`${before}\n${JSON.stringify(item)}`);
  }

  /** Standard error: for people, unless they want it quiet. */
  say(text: string): void {
    if (!this.options.quiet) this.#output.error(text);
  }

  notice({ level, message, hint, recorded = false }: Parameters<Observer['notice']>[0]): void {
    if (this.#streams) this.#output.json({ type: 'notice', level, message, hint: hint ?? null });
    if (!this.options.quiet || (level === 'warning' && !recorded))
      this.#output.error(noticeText(level, message, hint, this.colour));
  }

  event(event: Parameters<Observer['event']>[0]): void {
    if (this.#streams) this.#output.json(event);
    const { type, error, source } = event;
    if (type === 'error') {
      this.#told.add(error);
      this.#output.error(
        errorText(shownError(error as Record<string, unknown>), this.colour, `${String(source)}: `),
      );
    }
  }

  logLine(text: string): void {
    this.#output.error(text);
  }

  progress(title: string): CommandProgress {
    const { quiet } = this.options;
    const { screen } = this.#terminal;
    return new CommandProgress(title, this.#machine.clock, {
      ...(screen && !quiet ? { screen: this.#screenOf() } : {}),
      ...(!screen && !quiet ? { lines: (line) => this.#output.error(line) } : {}),
      ...(this.#streams ? { json: (event) => this.#output.json(event) } : {}),
    });
  }

  /** Tasks that run at once share the one line. */
  #screenOf(): (line: string) => void {
    const task = {};
    return (line) => {
      if (line === '') this.#underWay.delete(task);
      else this.#underWay.set(task, line);
      const lines = [...this.#underWay.values()];
      const [only = ''] = lines;
      this.#output.transient(lines.length > 1 ? lines.map(firstParts).join('  |  ') : only);
    };
  }

  get #streams(): boolean {
    return this.options.json && this.options.longRunning;
  }

  #final(result: Outcome): void {
    const final = this.options.longRunning ? { type: 'summary', ...result } : result;
    if (this.#openList === undefined) this.#output.json(final);
    else this.#output.product(`],\n${JSON.stringify(final).slice(1)}\n`);
  }

  /** A bug: where it happened is worth more than a tidy screen. Shown with --log-level debug. */
  #tellStack(error: HoldfastError): void {
    if (!this.context.argv.includes('debug') && !this.context.argv.includes('--log-level=debug')) return;
    const { cause } = error;
    this.#output.error(`${cause instanceof Error ? cause.stack : String(cause)}\n`);
  }
}

/** Title, amount and rate of a progress line. */
function firstParts(line: string): string {
  return line.split(' · ').slice(0, 3).join(' · ');
}
