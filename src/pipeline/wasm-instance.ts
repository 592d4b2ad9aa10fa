import { wasmModuleBase64 } from './wasm-module.ts';

/** The first byte of an instance's memory that its owner may use; the numbers are those of wasm/layout.ts. */
export const heapAddress = 24_576;
export const gearAddress = 1024;
export const resultAddress = 4096;

const pageBytes = 65_536;

/** What wasm/*.ts exports. Addresses and counts are u32, flags 0 or 1. */
export interface HotLoops {
  readonly memory: { readonly buffer: ArrayBuffer; grow(pages: number): number };
  setAverage(averageBits: number): void;
  nextCut(chunk: number, available: number, scanned: number, final: 0 | 1): number;
  resetRows(): void;
  scanRows(at: number, length: number): void;
  finishRows(): void;
  resetFraming(): void;
  framingState(): number;
  producedBytes(): number;
  stripFraming(from: number, count: number, to: number): number;
  prepareCrc32c(): void;
  updateCrc32c(crc: number, at: number, length: number): number;
  walRecordCrc32c(at: number, length: number): number;
}

interface Module {
  readonly kind: 'WebAssembly.Module';
}

// Neither the language's library nor Node's types declare this global; only what is used here is.
declare const WebAssembly: {
  readonly Module: new (bytes: Uint8Array) => Module;
  readonly Instance: new (module: Module) => { readonly exports: unknown };
};

let compiled: Module | undefined;

/** A fresh instance with `heapBytes` bytes of memory from `heapAddress` on. Compiles once a thread. */
export function instantiateHotLoops(heapBytes: number): HotLoops {
  compiled ??= new WebAssembly.Module(Buffer.from(wasmModuleBase64, 'base64'));
  // What the module exports is fixed by the build, which a test repeats.
  const loops = new WebAssembly.Instance(compiled).exports as HotLoops;
  loops.memory.grow(Math.ceil((heapAddress + heapBytes) / pageBytes) - 1);
  return loops;
}
