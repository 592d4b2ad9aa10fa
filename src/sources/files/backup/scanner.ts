import { Worker } from 'node:worker_threads';
import { failure } from '../../../kernel/errors/failure.ts';
import { siblingModule } from '../../../kernel/module-url.ts';
import type { ScanBatch, ScanOptions } from './scan.ts';
import type { ScanMessage, ScanThreadInput } from './scan-thread.ts';

const batchesAhead = 8;

/** Goes through trees in a thread of its own, a few batches ahead of who takes them. */
export class Scanner implements AsyncDisposable {
  readonly #worker: Worker;
  readonly #arrived: ScanMessage[] = [];
  #wake: () => void = () => undefined;

  constructor(options: ScanOptions) {
    const workerData: ScanThreadInput = { options, ahead: batchesAhead };
    this.#worker = new Worker(siblingModule(import.meta.url, './scan-thread.ts'), {
      workerData,
      stdout: false,
      stderr: false,
    });
    this.#worker.on('message', (message: ScanMessage) => this.#arrive(message));
    this.#worker.on('error', (error: Error) => this.#arrive({ failed: error.message }));
    this.#worker.on('exit', (code) => this.#arrive({ failed: `its thread ended with code ${code}` }));
  }

  /** What is found, in its order. `files_scan_failed`, and the signal's reason. */
  async *batches(signal: AbortSignal): AsyncGenerator<ScanBatch, void, void> {
    for (;;) {
      const message = await this.#next(signal);
      if ('end' in message) return;
      if ('failed' in message) throw failure('files_scan_failed', { reason: message.failed });
      this.#worker.postMessage(null);
      yield message.batch;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#worker.terminate();
  }

  async #next(signal: AbortSignal): Promise<ScanMessage> {
    const onAbort = (): void => this.#wake();
    signal.addEventListener('abort', onAbort, { once: true });
    try {
      for (;;) {
        signal.throwIfAborted();
        const first = this.#arrived.shift();
        if (first !== undefined) return first;
        await new Promise<void>((resolve) => (this.#wake = resolve));
      }
    } finally {
      signal.removeEventListener('abort', onAbort);
    }
  }

  #arrive(message: ScanMessage): void {
    this.#arrived.push(message);
    this.#wake();
  }
}
