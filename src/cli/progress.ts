import type { TaskProgress } from '../app/observer.ts';
import type { Clock } from '../kernel/clock.ts';
import { bytes, duration } from './format.ts';

const redrawMs = 100;
const lineMs = 10_000;
const jsonMs = 1000;
/** The rate is that of about so many last milliseconds. */
const rateWindowMs = 5000;

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
  readonly #clock: Clock;
  readonly #sinks: ProgressSinks;
  readonly #startedMs: number;
  #phase = '';
  #done = 0;
  #total = 0;
  #stored: number | undefined;
  #samples: { readonly atMs: number; readonly done: number }[] = [];
  #shownMs = Number.NEGATIVE_INFINITY;
  #lineMs: number;
  #jsonMs = Number.NEGATIVE_INFINITY;

  constructor(title: string, clock: Clock, sinks: ProgressSinks) {
    this.#title = title;
    this.#clock = clock;
    this.#sinks = sinks;
    this.#startedMs = this.#nowMs();
    this.#lineMs = this.#startedMs;
  }

  phase(text: string): void {
    this.#phase = text;
    this.#sinks.json?.({ type: 'phase', task: this.#title, phase: text });
    this.#show(true);
  }

  total(count: number): void {
    this.#total += count;
    this.#show(false);
  }

  advance(count: number): void {
    this.#done += count;
    this.#show(false);
  }

  stored(count: number): void {
    this.#stored = (this.#stored ?? 0) + count;
  }

  [Symbol.dispose](): void {
    this.#sinks.screen?.('');
  }

  #show(changed: boolean): void {
    const now = this.#nowMs();
    if (this.#sinks.screen !== undefined && (changed || now - this.#shownMs >= redrawMs)) {
      this.#shownMs = now;
      this.#sinks.screen(this.#line(now));
    }
    if (this.#sinks.lines !== undefined && now - this.#lineMs >= lineMs) {
      this.#lineMs = now;
      this.#sinks.lines(`${this.#line(now)}\n`);
    }
    if (this.#sinks.json !== undefined && now - this.#jsonMs >= jsonMs && this.#done > 0) {
      this.#jsonMs = now;
      this.#sinks.json(this.#event(now));
    }
  }

  #event(now: number): Readonly<Record<string, unknown>> {
    const rate = this.#rate(now);
    return {
      type: 'progress',
      task: this.#title,
      phase: this.#phase,
      bytes_done: this.#done,
      bytes_total: this.#total === 0 ? null : this.#total,
      bytes_new: this.#stored ?? null,
      bytes_per_second: Math.round(rate),
      eta_seconds: this.#etaSeconds(rate) ?? null,
      elapsed_ms: Math.round(now - this.#startedMs),
    };
  }

  #line(now: number): string {
    const parts = [this.#title];
    if (this.#done > 0) {
      const rate = this.#rate(now);
      const eta = this.#etaSeconds(rate);
      // The total is an estimate; what was read may be more.
      parts.push(
        this.#total > this.#done ? `${bytes(this.#done)} of about ${bytes(this.#total)}` : bytes(this.#done),
      );
      parts.push(`${bytes(rate)}/s`);
      if (eta !== undefined) parts.push(`about ${duration(eta * 1000)} left`);
      if (this.#stored !== undefined) parts.push(newOf(this.#stored, this.#done));
    }
    if (this.#phase !== '') parts.push(this.#phase);
    return parts.join(' · ');
  }

  #rate(now: number): number {
    const last = this.#samples.at(-1);
    if (last === undefined || now - last.atMs >= redrawMs)
      this.#samples.push({ atMs: now, done: this.#done });
    this.#samples = this.#samples.filter(({ atMs }) => now - atMs <= rateWindowMs);
    const [first] = this.#samples;
    const since = first === undefined || first.atMs === now ? { atMs: this.#startedMs, done: 0 } : first;
    return now === since.atMs ? 0 : ((this.#done - since.done) / (now - since.atMs)) * 1000;
  }

  #etaSeconds(rate: number): number | undefined {
    if (rate <= 0 || this.#total <= this.#done) return undefined;
    return Math.round((this.#total - this.#done) / rate);
  }

  #nowMs(): number {
    return Number(this.#clock.monotonicNs() / 1_000_000n);
  }
}

function newOf(stored: number, done: number): string {
  const ratio = stored === 0 ? '' : `, dedup ${(done / stored).toFixed(1)}x`;
  return `${bytes(stored)} new${ratio}`;
}
