import { createHash } from 'node:crypto';
import type { GetOptions } from '../port.ts';
import { serviceCodeOf } from './errors.ts';
import type { AzurePlace } from './place.ts';

/** What the service tells of an object. */
export interface BlobFacts {
  readonly sizeBytes: number;
  readonly modifiedAtMs: number;
  /** As whoever stored it said; objects of other programs may have none. */
  readonly md5: Uint8Array | undefined;
}

/** `object_missing` when there is none. */
export async function lookAt(
  place: AzurePlace,
  name: string,
  signal: AbortSignal | undefined,
): Promise<BlobFacts> {
  const call = { operation: 'GetBlobProperties', action: 'look at', name, permission: 'r', signal } as const;
  return await place.ask(call, async () => {
    const options = signal === undefined ? {} : { abortSignal: signal };
    const { contentLength, lastModified, contentMD5 } = await place.blob(name).getProperties(options);
    return factsFrom(contentLength, lastModified, contentMD5);
  });
}

/** The same by a listing, which needs another permission. Undefined when there is none. */
export async function findByListing(
  place: AzurePlace,
  name: string,
  signal: AbortSignal | undefined,
): Promise<BlobFacts | undefined> {
  const call = { operation: 'ListBlobs', action: 'list', name, permission: 'l', signal } as const;
  const key = place.prefix + name;
  return await place.ask(call, async () => {
    const options = { prefix: key, ...(signal === undefined ? {} : { abortSignal: signal }) };
    const page = await place.container.listBlobsFlat(options).byPage({ maxPageSize: 1 }).next();
    const [first] = page.done === true ? [] : page.value.segment.blobItems;
    if (first?.name !== key) return undefined;
    const { contentLength, lastModified, contentMD5 } = first.properties;
    return factsFrom(contentLength, lastModified, contentMD5);
  });
}

export function factsFrom(
  sizeBytes: number | undefined,
  modified: Date | undefined,
  md5: Uint8Array | undefined,
): BlobFacts {
  if (sizeBytes === undefined || modified === undefined)
    throw new Error('the service does not tell size and time of an object');
  return { sizeBytes, modifiedAtMs: modified.getTime(), md5 };
}

/** See {@link Storage.get}; a whole object is compared with the MD5 that was kept with it. */
export async function download(
  place: AzurePlace,
  name: string,
  { offset = 0, length, signal }: GetOptions,
): Promise<Uint8Array> {
  // The service has no empty ranges.
  if (length === 0) {
    await lookAt(place, name, signal);
    return new Uint8Array(0);
  }
  const call = { operation: 'GetBlob', action: 'read', name, permission: 'r', signal } as const;
  try {
    return await place.ask(call, async (count) => {
      const options = { maxRetryRequests: 0, ...(signal === undefined ? {} : { abortSignal: signal }) };
      const { readableStreamBody, contentMD5, contentRange } = await place
        .blob(name)
        .download(offset, length, options);
      const bytes = await collect(readableStreamBody as AsyncIterable<Uint8Array> | undefined);
      count.receivedBytes += bytes.byteLength;
      const isWhole = contentRange === undefined;
      if (isWhole && contentMD5 !== undefined && !createHash('md5').update(bytes).digest().equals(contentMD5))
        throw new Error('the bytes that came do not have the checksum they should have');
      return bytes;
    });
  } catch (error) {
    // The range begins behind the end.
    if (serviceCodeOf(error) === 'InvalidRange') return new Uint8Array(0);
    throw error;
  }
}

/** Most often in one piece, as our HTTP client gives it. */
async function collect(stream: AsyncIterable<Uint8Array> | undefined): Promise<Uint8Array> {
  if (stream === undefined) throw new Error('the answer has no body');
  const chunks: Uint8Array[] = [];
  for await (const chunk of stream) chunks.push(chunk);
  const [first] = chunks;
  if (first === undefined) return new Uint8Array(0);
  if (chunks.length === 1) return new Uint8Array(first.buffer, first.byteOffset, first.byteLength);
  const whole = Buffer.concat(chunks);
  return new Uint8Array(whole.buffer, whole.byteOffset, whole.byteLength);
}
