import type { StreamRef } from '../../src/contract/stream.ts';
import type { TaskContext, TaskModule } from '../../src/pipeline/task.ts';
import { patternedBytes } from '../../testing/bytes.ts';

export interface WriteInput {
  readonly seed: number;
  readonly sizeBytes: number;
}

/** For a worker: stores patterned bytes as one stream. */
export async function write(input: WriteInput, context: TaskContext): Promise<StreamRef> {
  const writer = context.openStream({ type: 'content', averageBytes: 65_536 });
  const all = patternedBytes(input.sizeBytes, input.seed);
  for (let at = 0; at < all.length; at += 1_000_000) {
    const piece = all.subarray(at, at + 1_000_000);
    await writer.write(piece);
    context.progress(piece.length);
  }
  return await writer.finish();
}

export const writeTask: TaskModule<WriteInput, StreamRef> = {
  url: new URL('./write-task.ts', import.meta.url),
  exportName: 'write',
};
