import { parentPort, workerData } from 'node:worker_threads';
import { reasonOf } from '../../../kernel/errors/failure.ts';
import { scan, type ScanBatch, type ScanOptions } from './scan.ts';

/** What the thread says: batches, then the end or why there is none. */
export type ScanMessage =
  | { readonly batch: ScanBatch }
  | { readonly end: true }
  | { readonly failed: string };

export interface ScanThreadInput {
  readonly options: ScanOptions;
  /** How many batches may wait for their reader, who sends a message for each that was taken. */
  readonly ahead: number;
}

if (parentPort === null) throw new Error('this module runs in a worker thread');
const port = parentPort;
const { options, ahead } = workerData as ScanThreadInput;
const batches = scan(options);
let allowed = ahead;
let running = false;

port.on('message', () => {
  allowed += 1;
  work();
});
work();

function work(): void {
  if (running) return;
  running = true;
  try {
    for (; allowed > 0; allowed -= 1) {
      const { value, done } = batches.next();
      if (done === true) return finish({ end: true });
      port.postMessage({ batch: value } satisfies ScanMessage);
    }
  } catch (error) {
    return finish({ failed: reasonOf(error) });
  }
  running = false;
}

function finish(last: ScanMessage): void {
  port.postMessage(last);
  port.close();
}
