import { ByteMeter } from '../app/byte-meter.ts';
import type { TaskProgress } from '../app/observer.ts';
import type { Clock } from '../kernel/clock.ts';
import type { BytesEvent, PhaseEvent } from './events.ts';

/** Between two events that tell bytes. */
const pauseMs = 100;

/** Tells how far one task is: phases at once, bytes now and then, and where it ended. */
export class CallProgress implements TaskProgress {
  readonly #task: string;
  readonly #tell: (event: PhaseEvent | BytesEvent) => void;
  readonly #meter: ByteMeter;
  #phase = '';
  #stored: number | null = null;
  #toldMs = Number.NEGATIVE_INFINITY;
  #untold = false;

  constructor(task: string, clock: Clock, tell: (event: PhaseEvent | BytesEvent) => void) {
    this.#task = task;
    this.#tell = tell;
    this.#meter = new ByteMeter(clock);
  }

  phase(text: string): void {
    this.#phase = text;
    this.#tell({ type: 'phase', task: this.#task, phase: text });
  }

  total(bytes: number): void {
    this.#meter.expect(bytes);
  }

  advance(bytes: number): void {
    this.#meter.add(bytes);
    this.#untold = true;
    if (this.#meter.nowMs() - this.#toldMs >= pauseMs) this.#tellBytes();
  }

  stored(bytes: number): void {
    this.#stored = (this.#stored ?? 0) + bytes;
    this.#untold = true;
  }

  [Symbol.dispose](): void {
    if (this.#untold) this.#tellBytes();
  }

  #tellBytes(): void {
    this.#toldMs = this.#meter.nowMs();
    this.#untold = false;
    const { bytesDone, bytesTotal, bytesPerSecond, etaSeconds, elapsedMs } = this.#meter.measure();
    this.#tell({
      type: 'progress',
      task: this.#task,
      phase: this.#phase,
      bytes_done: bytesDone,
      bytes_total: bytesTotal,
      bytes_new: this.#stored,
      bytes_per_second: bytesPerSecond,
      eta_seconds: etaSeconds,
      elapsed_ms: elapsedMs,
    });
  }
}
