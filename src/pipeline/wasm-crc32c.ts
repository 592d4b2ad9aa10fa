import { heapAddress, instantiateHotLoops, type HotLoops } from './wasm-instance.ts';

const stageBytes = 262_144;

/** What a sum begins with; `finishCrc32c` makes the checksum of it. */
export const crc32cBegin = 0xffff_ffff;

/** Room for bytes next to the loops that sum them up. */
export interface ChecksumStage {
  readonly bytes: Uint8Array;
  /** Of the same bytes. */
  readonly view: DataView;
  /** Takes bytes of the stage into a sum. */
  update(crc: number, from: number, length: number): number;
  /** The checksum that a WAL record lying in the stage in one piece must have. */
  walRecord(from: number, length: number): number;
}

class WasmStage implements ChecksumStage {
  readonly bytes: Uint8Array;
  readonly view: DataView;
  readonly #loops: HotLoops;

  constructor() {
    this.#loops = instantiateHotLoops(stageBytes);
    this.#loops.prepareCrc32c();
    const { buffer } = this.#loops.memory;
    this.bytes = new Uint8Array(buffer, heapAddress, stageBytes);
    this.view = new DataView(buffer, heapAddress, stageBytes);
  }

  update(crc: number, from: number, length: number): number {
    return this.#loops.updateCrc32c(crc, heapAddress + from, length) >>> 0;
  }

  walRecord(from: number, length: number): number {
    return this.#loops.walRecordCrc32c(heapAddress + from, length) >>> 0;
  }
}

const idle: WasmStage[] = [];

/**
 * Lends a stage for the time of a synchronous call; what is in it afterwards is lost. Stages are kept for the next call:
 * there are as many in a thread as calls were nested in it at once.
 */
export function withChecksumStage<T>(use: (stage: ChecksumStage) => T): T {
  const stage = idle.pop() ?? new WasmStage();
  try {
    return use(stage);
  } finally {
    idle.push(stage);
  }
}

export function finishCrc32c(crc: number): number {
  return ~crc >>> 0;
}

/** CRC-32C (Castagnoli), as PostgreSQL guards WAL records and `pg_control` with it. */
export function crc32c(bytes: Uint8Array): number {
  return withChecksumStage((stage) => {
    let crc = crc32cBegin;
    for (let taken = 0; taken < bytes.length; taken += stageBytes) {
      const part = bytes.subarray(taken, taken + stageBytes);
      stage.bytes.set(part);
      crc = stage.update(crc, 0, part.length);
    }
    return finishCrc32c(crc);
  });
}
