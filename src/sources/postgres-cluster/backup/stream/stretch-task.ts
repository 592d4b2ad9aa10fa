import { siblingModule } from '../../../../kernel/module-url.ts';
import { extentRow } from '../../../../pipeline/map.ts';
import type { StoredData } from '../../../../pipeline/stored.ts';
import type { TaskContext, TaskModule } from '../../../../pipeline/task.ts';
import { bytesAtHand } from '../bytes.ts';
import type { BadBlock, PageRules } from '../page-reader.ts';
import { standIn, storedWith, storePages, type EarlierStretch } from '../store-pages.ts';
import { Sample, type Compared } from './sample.ts';

export interface StretchInput {
  readonly memory: SharedArrayBuffer;
  /** Bytes in it. */
  readonly length: number;
  /** Null for a file that has no pages to tell apart. `firstBlock`: of the stretch. */
  readonly rules: PageRules | null;
  readonly before: EarlierStretch | null;
  /** Numbers of pieces within the stretch. */
  readonly sample: readonly number[];
}

/** A stretch of a large file whose bytes are stored: 40 bytes for each extent, and 8 for each page. */
export interface StoredStretch {
  /** Rows of a map. */
  readonly extents: Uint8Array;
  readonly stamps: Uint8Array;
  readonly pages: number;
  readonly pagesChanged: number;
  readonly bad: readonly BadBlock[];
  readonly badCount: number;
  readonly compared: Compared;
}

export const stretchModule: TaskModule<StretchInput, StoredStretch> = {
  url: siblingModule(import.meta.url, './stretch-task.ts'),
  exportName: 'storeStretch',
};

const pieceBytes = 128 * 1024;
const nothingCompared: Compared = { pages: 0, mismatch: null };

/** Stores a stretch of a large file. What it becomes a part of is made when all of them are stored. */
export async function storeStretch(input: StretchInput, context: TaskContext): Promise<StoredStretch> {
  const { rules } = input;
  return rules === null ? await storePlain(input, context) : await storeStretchOfPages(input, rules, context);
}

async function storePlain({ memory, length }: StretchInput, context: TaskContext): Promise<StoredStretch> {
  const map = context.openMap();
  const extents: Buffer[] = [];
  for (let at = 0; at < length; at += pieceBytes) {
    context.signal.throwIfAborted();
    // Out of the shared memory, which not every function takes.
    const piece = Uint8Array.from(new Uint8Array(memory, at, Math.min(pieceBytes, length - at)));
    extents.push(extentRow({ id: await map.blob(piece), offset: 0, length: piece.length }));
    context.progress(piece.length);
  }
  await map.store();
  const none = { pages: 0, pagesChanged: 0, bad: [], badCount: 0, compared: nothingCompared };
  return { extents: Buffer.concat(extents), stamps: new Uint8Array(0), ...none };
}

async function storeStretchOfPages(
  input: StretchInput,
  rules: PageRules,
  context: TaskContext,
): Promise<StoredStretch> {
  const { memory, length, before } = input;
  const bytes = bytesAtHand(new Uint8Array(memory, 0, length));
  const sample = sampleFor(input, rules, storedWith(before, context.stored), context);
  const stored = await storePages({ bytes, from: 0, to: length, rules, before }, context, sample);
  await sample?.close();
  return {
    ...stored,
    pages: Math.ceil(length / rules.pageBytes),
    compared: sample?.result ?? nothingCompared,
  };
}

function sampleFor(
  { before, sample }: StretchInput,
  { pageBytes, firstBlock }: PageRules,
  stored: StoredData,
  context: TaskContext,
): Sample | undefined {
  if (before === null || sample.length === 0) return undefined;
  return new Sample({ pageBytes, firstBlock, pieces: sample, stream: standIn }, stored, context);
}
