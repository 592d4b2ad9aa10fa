import { ByteMeter, type Measured } from '../app/byte-meter.ts';
import type { TaskProgress } from '../app/observer.ts';
import type { Clock } from '../kernel/clock.ts';
import { share } from './amounts.ts';
import { bytes, duration } from './format.ts';

const redrawMs = 100;
const lineMs = 10_000;
const jsonMs = 1000;

export interface ProgressSinks {
  /** Redrawn in place; absent where there is no screen. */
  readonly screen?: ((line: string) => void) | undefined;
  /** A line now and then; absent where a screen or nobody is there. */
  readonly lines?: ((line: string) => void) | undefined;
  /** One object for programs; absent without `--json`. */
  readonly json?: ((event: Readonly<Record<string, unknown>>) => void) | undefined;
}

/** Shows how far one task is: to a screen often, to a log now and then. */
export class CommandProgress implements TaskProgress {
  readonly #title: string;
  readonly #meter: ByteMeter;
  readonly #sinks: ProgressSinks;
  #phase = '';
  #started = false;
  #stored: number | undefined;
  #shownMs = Number.NEGATIVE_INFINITY;
  #lineMs: number;
  #jsonMs = Number.NEGATIVE_INFINITY;

  constructor(title: string, clock: Clock, sinks: ProgressSinks) {
    this.#title = title;
    this.#meter = new ByteMeter(clock);
    this.#sinks = sinks;
    this.#lineMs = this.#meter.nowMs();
  }

  phase(text: string): void {
    this.#phase = text;
    this.#sinks.json?.({ type: 'phase', task: this.#title, phase: text });
    this.#show(true);
  }

  total(count: number): void {
    this.#meter.expect(count);
    this.#show(false);
  }

  advance(count: number): void {
    this.#started ||= count > 0;
    this.#meter.add(count);
    this.#show(false);
  }

  stored(count: number): void {
    this.#stored = (this.#stored ?? 0) + count;
  }

  [Symbol.dispose](): void {
    this.#sinks.screen?.('');
  }

  #show(changed: boolean): void {
    const now = this.#meter.nowMs();
    const { screen, lines, json } = this.#sinks;
    if (screen !== undefined && (changed || now - this.#shownMs >= redrawMs)) {
      this.#shownMs = now;
      screen(this.#line());
    }
    if (lines !== undefined && now - this.#lineMs >= lineMs) {
      this.#lineMs = now;
      lines(`${this.#line()}\n`);
    }
    if (json !== undefined && now - this.#jsonMs >= jsonMs && this.#started) {
      this.#jsonMs = now;
      json(this.#event(this.#meter.measure()));
    }
  }

  #event(measured: Measured): Readonly<Record<string, unknown>> {
    return {
      type: 'progress',
      task: this.#title,
      phase: this.#phase,
      bytes_done: measured.bytesDone,
      bytes_total: measured.bytesTotal,
      bytes_new: this.#stored ?? null,
      bytes_per_second: measured.bytesPerSecond,
      eta_seconds: measured.etaSeconds,
      elapsed_ms: measured.elapsedMs,
    };
  }

  #line(): string {
    const parts = [this.#title];
    if (this.#started) {
      const { bytesDone: done, bytesTotal, bytesPerSecond, etaSeconds } = this.#meter.measure();
      const total = bytesTotal ?? 0;
      // The total is an estimate; what was read may be more.
      parts.push(total > done ? `${bytes(done)} of about ${bytes(total)}` : bytes(done));
      parts.push(`${bytes(bytesPerSecond)}/s`);
      if (etaSeconds !== null) parts.push(`about ${duration(etaSeconds * 1000)} left`);
      if (this.#stored !== undefined) parts.push(newOf(this.#stored, done));
    }
    if (this.#phase !== '') parts.push(this.#phase);
    return parts.join(' · ');
  }
}

function newOf(stored: number, done: number): string {
  const part = stored === 0 ? '' : ` (${share(stored / done)})`;
  return `${bytes(stored)} new${part}`;
}
