import type { StreamRef } from '../../../contract/stream.ts';
import type { TaskContext } from '../../../pipeline/task.ts';

const mostBytes = 2 * 1024 * 1024;
const mostContents = 1024;

/** Gathers small contents and stores them together, each as a stream of one chunk. */
export class StoreGroup {
  readonly #context: TaskContext;
  #waiting: { readonly content: Buffer; readonly stored: (stream: StreamRef) => void }[] = [];
  #bytes = 0;

  constructor(context: TaskContext) {
    this.#context = context;
  }

  /** `content` is the group's to keep. `stored` is called in the order of the calls, at the latest by `finish`. */
  async add(content: Buffer, stored: (stream: StreamRef) => void): Promise<void> {
    this.#waiting.push({ content, stored });
    this.#bytes += content.length;
    if (this.#bytes >= mostBytes || this.#waiting.length >= mostContents) await this.finish();
  }

  async finish(): Promise<void> {
    const waiting = this.#waiting;
    this.#waiting = [];
    this.#bytes = 0;
    const streams = await this.#context.storeWhole(waiting.map(({ content }) => content));
    for (const [index, { stored }] of waiting.entries()) {
      const stream = streams[index];
      if (stream === undefined) throw new Error('a content was forgotten');
      stored(stream);
    }
  }
}
