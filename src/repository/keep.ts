import type { StreamRef } from '../contract/stream.ts';
import type { BlobReader } from './blob-reader.ts';
import type { IndexCache } from './index-cache.ts';
import { walkStream } from './walk.ts';

/**
 * For each stream whether all its chunks and map nodes are in packs that are there, and not known to be damaged. The
 * session relies on them from now on. A stream of one chunk costs a look into the index; of a longer one the map is read.
 */
export async function keepStreams(
  reader: BlobReader,
  cache: IndexCache,
  streams: readonly StreamRef[],
  signal: AbortSignal,
): Promise<boolean[]> {
  const single = streams.filter(({ root, depth }) => root !== null && depth === 0);
  const ids = Buffer.concat(single.map(({ root }) => Buffer.from(root ?? '', 'hex')));
  const present = cache.present(ids).values();
  const answers: boolean[] = [];
  for (const stream of streams) {
    if (stream.root === null) answers.push(true);
    else if (stream.depth === 0) answers.push(present.next().value === 1);
    else answers.push(await keepTree(reader, cache, stream, signal));
  }
  return answers;
}

async function keepTree(
  reader: BlobReader,
  cache: IndexCache,
  stream: StreamRef,
  signal: AbortSignal,
): Promise<boolean> {
  let whole = true;
  const visitor = {
    node: (id: Uint8Array) => (whole &&= cache.present(id)[0] === 1),
    unreadable: () => void (whole = false),
  };
  for await (const chunks of walkStream(reader, stream, visitor, signal)) {
    if (!whole || cache.present(Buffer.concat(chunks)).includes(0)) return false;
  }
  return whole;
}
