import { readFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import type { Json, Ran, RunOptions, Sandbox } from '../cli/program-runner.ts';

export interface Ended {
  readonly ran: Ran;
  readonly killed: boolean;
  readonly elapsedMs: number;
  /** Of the error it ended with. */
  readonly code: string | undefined;
}

/** Runs the program, kills some of it, and knows how much memory each took and how each ended. */
export class Processes {
  /** By command: the most memory that one of them had, in bytes. */
  readonly peaks = new Map<string, number>();
  /** How often what happened: `backup done`, `prune killed`, `backup HF-6106`. */
  readonly counts = new Map<string, number>();
  readonly #running = new Map<number, string>();
  readonly #watch: NodeJS.Timeout;
  readonly #random: () => number;

  constructor(random: () => number) {
    this.#random = random;
    this.#watch = setInterval(() => this.#look(), 50);
  }

  [Symbol.dispose](): void {
    clearInterval(this.#watch);
  }

  /** `killAfterMs`: it is killed then, if it still runs. */
  async run(
    box: Sandbox,
    args: readonly string[],
    options: RunOptions & { readonly killAfterMs?: number | undefined },
  ): Promise<Ended> {
    const startedAt = performance.now();
    const [command = ''] = args;
    const running = box.start([...args, '--json'], { ...options, limitMs: 300_000 });
    this.#running.set(running.pid, command);
    let killed = false;
    const stop = new AbortController();
    if (options.killAfterMs !== undefined)
      void delay(options.killAfterMs, undefined, { signal: stop.signal }).then(
        () => {
          killed = true;
          running.kill('SIGKILL');
        },
        () => undefined,
      );
    const ran = await running.done;
    stop.abort();
    this.#running.delete(running.pid);
    const code = ran.code === 0 || ran.code === null ? undefined : errorCode(ran);
    killed &&= ran.code === null;
    const how = killed ? 'killed' : (code ?? (ran.code === null ? 'ended by a signal' : 'done'));
    this.counts.set(`${command} ${how}`, (this.counts.get(`${command} ${how}`) ?? 0) + 1);
    return { ran, killed, elapsedMs: performance.now() - startedAt, code };
  }

  /** A time to kill something that takes that long, or undefined: then it is to live. */
  killTime(share: number, usualMs: number): number | undefined {
    return this.#random() < share ? this.#random() * usualMs * 1.2 : undefined;
  }

  #look(): void {
    for (const [pid, command] of this.#running) {
      const bytes = peakOf(pid);
      if (bytes > (this.peaks.get(command) ?? 0)) this.peaks.set(command, bytes);
    }
  }
}

/** The most memory that a process of this machine has had; 0 when it is gone. */
function peakOf(pid: number): number {
  try {
    const [, kib = '0'] = /^VmHWM:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8')) ?? [];
    return Number(kib) * 1024;
  } catch {
    return 0;
  }
}

/** The code of the error that a run with `--json` has ended with. */
export function errorCode(ran: Ran): string {
  const last = (ran.stdout.trim() === '' ? ran.stderr : ran.stdout).trim().split('\n').at(-1) ?? '';
  try {
    const { error } = JSON.parse(last) as { readonly error?: Json };
    return String(error?.['code'] ?? last);
  } catch {
    return `exit ${ran.code}: ${last}`;
  }
}
