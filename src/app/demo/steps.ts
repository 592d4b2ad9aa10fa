import type { AppContext } from '../compose.ts';
import type { DemoEvent, StepDone, StepName, StepResults, Typed } from './story.ts';

/** Does the steps of the story, telling before and after each. */
export class Steps {
  readonly #context: Pick<AppContext, 'signal' | 'machine'>;
  readonly #tell: (event: DemoEvent) => void;

  constructor(context: Pick<AppContext, 'signal' | 'machine'>, tell: (event: DemoEvent) => void) {
    this.#context = context;
    this.#tell = tell;
  }

  async step<S extends StepName>(
    step: S,
    typed: readonly Typed[],
    work: () => Promise<StepResults[S]>,
  ): Promise<StepResults[S]> {
    const { signal, machine } = this.#context;
    signal.throwIfAborted();
    this.#tell({ type: 'step', step, typed });
    const startedNs = machine.clock.monotonicNs();
    const result = await work();
    signal.throwIfAborted();
    const duration_ms = Number((machine.clock.monotonicNs() - startedNs) / 1_000_000n);
    this.#tell({ type: 'step_done', step, duration_ms, ...result } as unknown as StepDone);
    return result;
  }
}

/** Commands of a shell. */
export function typed(...commands: readonly string[]): Typed[] {
  return commands.map((text) => ({ prompt: '$', text }));
}

/** What is typed into `psql`. */
export function statements(...sql: readonly string[]): Typed[] {
  return sql.map((text) => ({ prompt: 'shop=#', text }));
}
