// Throughput of the WebAssembly loops on one core, in MB (10^6 bytes) of input per second: `node bench/wasm.ts`.
import { randomFillSync, randomInt } from 'node:crypto';
import { ContentChunker } from '../src/pipeline/chunker.ts';
import { CopyScanner } from '../src/pipeline/copy-scanner.ts';

const inputBytes = 67_108_864;
const readBytes = 262_144;

function report(name: string, bytes: number, run: () => void): void {
  let best = Infinity;
  for (let round = 0; round < 7; round++) {
    const begun = performance.now();
    run();
    best = Math.min(best, performance.now() - begun);
  }
  process.stdout.write(`${name.padEnd(48)} ${Math.round(bytes / best / 1000)}\n`);
}

/** Rows of `mean` / 2 to 3/2 `mean` bytes, and the same as pg_dump up to 15 frames them: a piece a row. */
function makeRows(mean: number): { plain: Buffer; framed: Buffer } {
  const plain: Buffer[] = [];
  const framed: Buffer[] = [];
  for (let made = 0; made < inputBytes;) {
    const row = Buffer.alloc(randomInt(mean / 2, mean * 1.5), 'abcdefghijklm');
    row[row.length - 1] = 10;
    const header = Buffer.alloc(5);
    header.writeUInt32LE(row.length, 1);
    plain.push(row);
    framed.push(header, row);
    made += row.length;
  }
  return { plain: Buffer.concat(plain), framed: Buffer.concat([...framed, Buffer.alloc(5)]) };
}

for (const averageBytes of [65_536, 1_048_576]) {
  const gearTable = randomFillSync(new Uint8Array(2048));
  const chunker = new ContentChunker({ averageBytes, gearTable, capacityBytes: inputBytes });
  randomFillSync(chunker.buffer);
  report(`nextCut, random data, ${averageBytes / 1024} KiB`, inputBytes, () => {
    for (let from = 0; from < inputBytes;) from += chunker.nextCut(from, inputBytes, true);
  });
}

const scanner = new CopyScanner({ intSize: 4 });
for (const mean of [100, 2000]) {
  const { plain, framed } = makeRows(mean);
  report(`pushFramed, rows of about ${mean} bytes`, framed.length, () => {
    scanner.reset();
    for (let at = 0; at < framed.length;) {
      at += scanner.pushFramed(framed.subarray(at, at + readBytes)).consumed;
    }
  });
  report(`pushPlain, rows of about ${mean} bytes`, plain.length, () => {
    scanner.reset();
    for (let at = 0; at < plain.length; at += readBytes) {
      scanner.pushPlain(plain.subarray(at, at + readBytes));
    }
    scanner.result();
  });
}
