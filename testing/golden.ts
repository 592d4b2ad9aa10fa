import type { Compression } from '../src/pipeline/codec.ts';
import type { Chunking } from '../src/pipeline/task.ts';
import { patternedBytes } from './bytes.ts';

export interface GoldenVariant {
  /** Its directory below test/golden/. */
  readonly name: string;
  readonly encrypted: boolean;
  readonly compression: Compression;
  readonly chunking: Chunking;
}

export const goldenVariants: readonly GoldenVariant[] = [
  {
    name: 'format-1-encrypted',
    encrypted: true,
    compression: { codec: 'zstd', level: 1 },
    chunking: { type: 'content', averageBytes: 65_536 },
  },
  {
    name: 'format-1-plain',
    encrypted: false,
    compression: { codec: 'gzip', level: 6 },
    chunking: { type: 'fixed', sizeBytes: 512 },
  },
];

const text = Buffer.from(Array.from({ length: 3000 }, (_, row) => `${row}\tcustomer ${row}\t\\N\n`).join(''));

/** Two backups one after the other: what each holds, by path. */
export const goldenContents: readonly Readonly<Record<string, Buffer>>[] = [
  { empty: Buffer.alloc(0), text, random: patternedBytes(30_000, 42) },
  {
    text: Buffer.concat([text, Buffer.from('3000\tone more\t\\N\n')]),
    unicode: Buffer.from('Grüße, 世界, \u0000'),
  },
];
