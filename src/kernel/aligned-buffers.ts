// Neither the language's library nor Node's types declare this global; only what is used here is.
declare const WebAssembly: {
  readonly Memory: new (size: { readonly initial: number }) => { readonly buffer: ArrayBuffer };
};

/** What the blocks of any disk are a divisor of. */
export const blockBytes = 4096;
const memoryPageBytes = 65_536;
const bufferBytes = 2 * 1024 * 1024;
/** What a thousand files need are a few of them. */
const idle: Buffer[] = [];
const mostIdle = 16;

/** A buffer of 2 MiB at an address that the disk can read from, which other buffers do not have. What is in it is anything. */
export function takeAlignedBuffer(): Buffer {
  return idle.pop() ?? Buffer.from(new WebAssembly.Memory({ initial: bufferBytes / memoryPageBytes }).buffer);
}

/** For whoever needs one next. */
export function giveBackAlignedBuffer(buffer: Buffer): void {
  if (idle.length < mostIdle) idle.push(buffer);
}
