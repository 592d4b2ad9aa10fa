// Where things lie in the module's memory. From 24576 on it belongs to JavaScript, which grows the memory and places
// its buffers there; src/pipeline/wasm-instance.ts repeats these numbers.

/** 256 little-endian u64: the chunker's secret table. */
export const GEAR: usize = 1024;
/** Four u64 written by `finishRows`: rows, bytes and the two sums. */
export const RESULT: usize = 4096;
/** 16 tables of 256 u32, filled by `prepareCrc32c`. */
export const CRC: usize = 8192;
