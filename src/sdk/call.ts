import { resolve } from 'node:path';
import type { AppContext, CommonOptions } from '../app/compose.ts';
import { systemMachine, type Machine } from '../app/machine.ts';
import type { Notice, Observer } from '../app/observer.ts';
import { asFailure, failure, HoldfastError, reasonOf } from '../kernel/errors/failure.ts';
import type { ErrorName } from '../kernel/errors/catalogue.ts';
import type { LogEntry, ProgressEvent } from './events.ts';
import type { CallOptions } from './options.ts';
import { CallProgress } from './progress.ts';
import type { ErrorInfo } from './results.ts';

type Work<R> = (common: CommonOptions, context: AppContext) => Promise<R>;

/**
 * Runs a use case for a caller: with its options as settings, its callbacks as observer, its signal. `asked` is what
 * the audit trail notes. Rejects with coded errors, or with what a callback threw.
 */
export async function call<R>(options: CallOptions, asked: readonly string[], work: Work<R>): Promise<R> {
  using running = new RunningCall(options);
  try {
    const result = await work(commonOptions(options), running.context(asked));
    running.throwIfCallbackThrew();
    return result;
  } catch (error) {
    throw running.errorFor(error);
  }
}

/** A result's error as what is thrown. */
export function errorOf(info: Readonly<Record<string, unknown>>): HoldfastError {
  const { name, message, hint, details } = info as unknown as ErrorInfo;
  return new HoldfastError(name as ErrorName, message, hint, details === undefined ? {} : { details });
}

/** The coded error of a call that its caller has ended, with the reason the caller gave. */
export function interruption(reason: unknown): HoldfastError {
  const next = 'make the same call again; what was stored is found again and not stored twice';
  return failure('interrupted', { what: reasonOf(reason), next }, { cause: reason });
}

/** The options as a use case takes them. Log lines come as JSON, to be read again for `onLog`. */
function commonOptions({ config, logLevel, settings, ...short }: CallOptions): CommonOptions {
  const { repository, passphrase, jobs } = short;
  return {
    config,
    logLevel,
    settings: {
      ...settings,
      ...(repository === undefined ? {} : { repository }),
      ...(jobs === undefined ? {} : { jobs }),
      ...(passphrase === undefined ? {} : { encryption: { ...settings?.encryption, passphrase } }),
      log: { ...settings?.log, ...(logLevel === undefined ? {} : { level: logLevel }), format: 'json' },
    },
  };
}

function machineFor({ cwd, env }: CallOptions): Machine {
  const machine = systemMachine();
  return {
    ...machine,
    ...(cwd === undefined ? {} : { cwd: resolve(machine.cwd, cwd) }),
    ...(env === undefined ? {} : { env, home: env['HOME'] ?? machine.home }),
  };
}

class RunningCall implements Observer, Disposable {
  readonly colour = false;
  readonly #options: CallOptions;
  readonly #machine: Machine;
  readonly #controller = new AbortController();
  #thrown: { readonly error: unknown } | undefined;

  constructor(options: CallOptions) {
    this.#options = options;
    this.#machine = machineFor(options);
    if (options.signal?.aborted === true) this.#onAbort();
    else options.signal?.addEventListener('abort', this.#onAbort, { once: true });
  }

  context(asked: readonly string[]): AppContext {
    const { signal } = this.#controller;
    return { machine: this.#machine, observer: this, asker: null, signal, argv: asked };
  }

  throwIfCallbackThrew(): void {
    if (this.#thrown !== undefined) throw this.#thrown.error as Error;
  }

  errorFor(error: unknown): unknown {
    if (this.#thrown !== undefined) return this.#thrown.error;
    const { signal } = this.#controller;
    return asFailure(signal.aborted ? signal.reason : error);
  }

  [Symbol.dispose](): void {
    this.#options.signal?.removeEventListener('abort', this.#onAbort);
  }

  notice({ level, message, hint }: Notice): void {
    this.#tell({ type: 'notice', level, message, hint: hint ?? null });
  }

  event(event: Parameters<Observer['event']>[0]): void {
    // Use cases make these; types.test.ts holds the two sides together.
    this.#tell(event as unknown as ProgressEvent);
  }

  logLine(text: string): void {
    const { onLog } = this.#options;
    if (onLog === undefined) return;
    for (const line of text.split('\n')) if (line !== '') this.#guarded(() => onLog(this.#entryOf(line)));
  }

  progress(title: string): CallProgress {
    return new CallProgress(title, this.#machine.clock, (event) => this.#tell(event));
  }

  #tell(event: ProgressEvent): void {
    const { onProgress } = this.#options;
    if (onProgress !== undefined) this.#guarded(() => onProgress(event));
  }

  /** A callback must not throw into the middle of a backup: the call is ended in good order instead. */
  #guarded(callback: () => void): void {
    if (this.#thrown !== undefined) return;
    try {
      callback();
    } catch (error) {
      this.#thrown = { error };
      this.#controller.abort(error);
    }
  }

  #entryOf(line: string): LogEntry {
    try {
      const { level, time, msg, ...fields } = JSON.parse(line) as Record<string, unknown>;
      return { level: level as LogEntry['level'], time: String(time), message: String(msg), fields };
    } catch {
      // That the log file cannot be written is told in plain words.
      const time = new Date(this.#machine.clock.now()).toISOString();
      return { level: 'warn', time, message: line, fields: {} };
    }
  }

  readonly #onAbort = (): void => {
    this.#controller.abort(interruption(this.#options.signal?.reason));
  };
}
