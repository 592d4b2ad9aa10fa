/** Stands alone on a line between two tables; COPY escapes every backslash of the data, so it is never one of theirs. */
const mark = Buffer.from('\\.\n');

export interface MarkSink {
  data(bytes: Uint8Array): void;
  mark(): void;
}

/** Finds the marks in a stream of lines, wherever it is cut. */
export class MarkSplitter {
  readonly #sink: MarkSink;
  /** Bytes at the end of what came last that may begin a mark; only ever such. */
  #held: Buffer = Buffer.alloc(0);
  #lineStart = true;

  constructor(sink: MarkSink) {
    this.#sink = sink;
  }

  push(piece: Uint8Array): void {
    const input =
      this.#held.length === 0
        ? Buffer.from(piece.buffer, piece.byteOffset, piece.length)
        : Buffer.concat([this.#held, piece]);
    this.#held = Buffer.alloc(0);
    let at = 0;
    while (at < input.length) {
      if (this.#lineStart) {
        const rest = input.subarray(at, at + mark.length);
        if (rest.length < mark.length && mark.subarray(0, rest.length).equals(rest)) {
          this.#held = Buffer.from(rest);
          return;
        }
        if (rest.equals(mark)) {
          this.#sink.mark();
          at += mark.length;
          continue;
        }
      }
      const found = input.indexOf('\n\\.\n', at);
      const end = found === -1 ? lastLineStart(input, at) : found + 1;
      this.#sink.data(input.subarray(at, end));
      this.#lineStart = input[end - 1] === 0x0a;
      at = end;
    }
  }
}

/** After the last newline when little enough follows it to be the beginning of a mark, else the end. */
function lastLineStart(input: Buffer, at: number): number {
  const newline = input.lastIndexOf(0x0a);
  const start = newline + 1;
  return start > at && input.length - start < mark.length ? start : input.length;
}
