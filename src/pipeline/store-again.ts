import type { BlobSink, PendingBlob } from './blob-sink.ts';
import { decodeBlobs, type DecodeRequest } from './decode.ts';
import type { PipelineKeys } from './keys.ts';
import { readEntries } from './pack-format.ts';

/**
 * Opens blobs out of a pack, checks them and has the sink store those that are wanted. Resolves with null, or with what
 * is wrong with the first that is damaged: then none was stored.
 */
export async function storeAgain(
  keys: PipelineKeys,
  sink: BlobSink,
  request: DecodeRequest,
): Promise<string | null> {
  const places = readEntries(request.rows);
  const blobs: PendingBlob[] = [];
  for (const opened of decodeBlobs(keys, request)) {
    if ('damage' in opened) return opened.damage;
    const place = places.next();
    if (place.done !== true) blobs.push({ type: place.value.type, id: place.value.id, raw: opened.raw });
  }
  await sink.store(blobs, await sink.claim(blobs));
  return null;
}
