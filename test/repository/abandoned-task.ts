import { once } from 'node:events';
import type { StreamRef } from '../../src/contract/stream.ts';
import type { StreamWriter, TaskContext, TaskModule } from '../../src/pipeline/task.ts';
import { patternedBytes } from '../../testing/bytes.ts';

export interface AbandonedInput {
  /** How the content is stored that is given up half-way. */
  readonly by: 'stream' | 'map';
  /** What becomes of the task: it begins the stream again, fails, or is told to end. */
  readonly ending: 'again' | 'fails' | 'aborted';
}

export const contentBytes = 6 * 1024 * 1024;
const pieceBytes = 128 * 1024;

/** For a worker: gives a stream up after it has asked about its chunks, then stores the same content. */
export async function abandon(input: AbandonedInput, context: TaskContext): Promise<StreamRef> {
  await storeUpTo(contentBytes / 2, input.by, context);
  if (input.ending === 'fails') throw new Error('given up');
  if (input.ending === 'aborted') {
    const told = once(context.signal, 'abort');
    context.emit('half-way');
    await told;
    context.signal.throwIfAborted();
  }
  return await storeAgain(null, context);
}

/** For a worker: stores the content as a whole. */
export async function storeAgain(_: null, context: TaskContext): Promise<StreamRef> {
  return await (await storeUpTo(contentBytes, 'stream', context)).finish();
}

async function storeUpTo(
  bytes: number,
  by: AbandonedInput['by'],
  context: TaskContext,
): Promise<Pick<StreamWriter, 'finish'>> {
  const content = patternedBytes(contentBytes, 5);
  const [writer, map] = [context.openStream({ type: 'fixed', sizeBytes: pieceBytes }), context.openMap()];
  for (let at = 0; at < bytes; at += pieceBytes) {
    const piece = content.subarray(at, at + pieceBytes);
    if (by === 'stream') await writer.write(piece);
    else await map.extent({ id: await map.blob(piece), offset: 0, length: piece.length });
  }
  return by === 'stream' ? writer : map;
}

export const abandonTask: TaskModule<AbandonedInput, StreamRef> = {
  url: new URL(import.meta.url),
  exportName: 'abandon',
};

export const againTask: TaskModule<null, StreamRef> = {
  url: new URL(import.meta.url),
  exportName: 'storeAgain',
};
