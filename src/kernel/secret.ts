import { inspect } from 'node:util';

/**
 * A value that must never be printed. Every way of turning it into text gives `***`;
 * only {@link Secret.reveal} gives the value, so each use can be found by searching for that name.
 */
export class Secret {
  readonly #value: string;

  constructor(value: string) {
    this.#value = value;
  }

  reveal(): string {
    return this.#value;
  }

  toString(): string {
    return '***';
  }

  toJSON(): string {
    return '***';
  }

  [inspect.custom](): string {
    return 'Secret(***)';
  }
}
