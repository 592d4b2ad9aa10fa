import { failure } from '../../../kernel/errors/failure.ts';
import type { Logger } from '../../../kernel/log.ts';
import { plural } from '../../../kernel/plural.ts';

const mostNamed = 20;

/** What is not in the backup and why, for people. */
export class LeftOut {
  readonly #log: Logger;
  readonly #named = new Map<string, string>();
  readonly #skipped = new Map<string, string>();

  constructor(log: Logger) {
    this.#log = log;
  }

  add(path: string, reason: string): void {
    this.#named.set(path, reason);
  }

  /** Nothing is missing without it, but a link to a directory of logs is worth a word. */
  skipped(path: string, reason: string): void {
    if (reason.includes('link')) this.#skipped.set(path, reason);
    else this.#log.debug('left out', { path, reason });
  }

  warnings(): readonly string[] {
    return [...this.#named, ...this.#skipped].slice(0, mostNamed).map(([path, reason]) => {
      const { code, message } = failure('cluster_left_out', { path, reason });
      return `${code}: ${message}`;
    });
  }

  incomplete(badPages: number): string | undefined {
    const parts: string[] = [];
    const count = this.#named.size;
    if (count > 0) parts.push(`${plural(count, 'thing')} in the data directory could not be taken along`);
    if (badPages > 0) parts.push(`${plural(badPages, 'page')} with a wrong checksum`);
    return parts.length === 0 ? undefined : parts.join('; ');
  }
}
