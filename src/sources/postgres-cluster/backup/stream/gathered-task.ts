import { siblingModule } from '../../../../kernel/module-url.ts';
import type { TaskContext, TaskModule } from '../../../../pipeline/task.ts';
import { bytesAtHand } from '../bytes.ts';
import { StoreGroup } from '../store-group.ts';
import { FileStore, type FileToStore, type StoredContent } from '../store-task.ts';
import { Sample, type Compared } from './sample.ts';

export interface GatheredInput {
  readonly memory: SharedArrayBuffer;
  readonly files: readonly GatheredFile[];
}

/** A file that lies in a lane as a whole. */
export interface GatheredFile extends FileToStore {
  readonly offset: number;
  readonly length: number;
  /** Of which pieces the pages that look unchanged are compared with the parent's. */
  readonly sample: readonly number[];
}

export type StoredGathered = StoredContent & { readonly compared: Compared };

export const gatheredModule: TaskModule<GatheredInput, StoredGathered[]> = {
  url: siblingModule(import.meta.url, './gathered-task.ts'),
  exportName: 'storeGathered',
};

/** Stores small files that have come; the results are in their order. */
export async function storeGathered(input: GatheredInput, context: TaskContext): Promise<StoredGathered[]> {
  const group = new StoreGroup(context);
  const results: StoredGathered[] = [];
  for (const [index, file] of input.files.entries()) {
    context.signal.throwIfAborted();
    const sample = sampleFor(file, context);
    const bytes = bytesAtHand(new Uint8Array(input.memory, file.offset, file.length));
    await new FileStore(file, bytes, group, context, sample).run(file.length, (content) => {
      results[index] = { ...content, compared: sample?.result ?? { pages: 0, mismatch: null } };
    });
    await sample?.close();
  }
  await group.finish();
  return results;
}

function sampleFor({ pages, previous, sample }: GatheredFile, context: TaskContext): Sample | undefined {
  if (pages === null || previous === null || sample.length === 0) return undefined;
  const { pageBytes, firstBlock } = pages;
  return new Sample(
    { pageBytes, firstBlock, pieces: sample, stream: previous.stream },
    context.stored,
    context,
  );
}
