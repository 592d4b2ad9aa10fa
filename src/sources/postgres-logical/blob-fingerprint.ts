import { createHash, type Hash } from 'node:crypto';

export interface BlobTotals {
  readonly objects: number;
  readonly bytes: number;
  /** 32 hexadecimal digits; does not depend on the order of the objects. */
  readonly fingerprint: string;
}

const modulus = 1n << 128n;

/** Counts large objects and sums their hashes, so that several blocks can be compared with a whole database. */
export class BlobFingerprint {
  #hash: Hash | undefined;
  #objects = 0;
  #bytes = 0;
  #sum = 0n;

  begin(oid: number): void {
    const number = Buffer.alloc(4);
    number.writeUInt32LE(oid);
    this.#hash = createHash('sha256').update(number);
  }

  content(bytes: Uint8Array): void {
    this.#hash?.update(bytes);
    this.#bytes += bytes.length;
  }

  end(): void {
    const digest = this.#hash?.digest('hex') ?? '';
    this.#hash = undefined;
    this.#objects += 1;
    this.#sum = (this.#sum + BigInt(`0x${digest.slice(0, 32)}`)) % modulus;
  }

  totals(): BlobTotals {
    return { objects: this.#objects, bytes: this.#bytes, fingerprint: hex(this.#sum) };
  }
}

export function addBlobTotals(parts: readonly BlobTotals[]): BlobTotals {
  return {
    objects: parts.reduce((sum, part) => sum + part.objects, 0),
    bytes: parts.reduce((sum, part) => sum + part.bytes, 0),
    fingerprint: hex(parts.reduce((sum, part) => (sum + BigInt(`0x${part.fingerprint}`)) % modulus, 0n)),
  };
}

function hex(sum: bigint): string {
  return sum.toString(16).padStart(32, '0');
}
