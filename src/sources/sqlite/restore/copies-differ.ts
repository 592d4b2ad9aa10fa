import { closeSync, existsSync, fstatSync, openSync, readSync } from 'node:fs';
import { openReadWrite } from '../connection.ts';

/** In the header: the journal mode, counters of changes and of schemas, and the version of the library that made the last one. */
const changing: readonly (readonly [from: number, to: number])[] = [
  [18, 20],
  [24, 28],
  [40, 44],
  [92, 100],
];
const bufferBytes = 1024 * 1024;

/** Whether the databases in two files that nobody else has open hold anything else than each other. */
export function copiesDiffer(first: string, second: string): boolean {
  for (const one of [first, second]) if (existsSync(`${one}-wal`)) openReadWrite(one).close();
  const a = openSync(first, 'r');
  const b = openSync(second, 'r');
  try {
    return filesDiffer(a, b);
  } finally {
    closeSync(a);
    closeSync(b);
  }
}

function filesDiffer(a: number, b: number): boolean {
  const { size } = fstatSync(a);
  if (fstatSync(b).size !== size) return true;
  const left = Buffer.allocUnsafe(bufferBytes);
  const right = Buffer.allocUnsafe(bufferBytes);
  for (let at = 0; at < size;) {
    const length = readSync(a, left, 0, bufferBytes, at);
    if (length === 0 || readSync(b, right, 0, length, at) !== length) return true;
    if (at === 0) for (const [from, to] of changing) right.set(left.subarray(from, to), from);
    if (!left.subarray(0, length).equals(right.subarray(0, length))) return true;
    at += length;
  }
  return false;
}
