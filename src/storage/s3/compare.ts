import { GetObjectCommand, ListObjectsV2Command } from '@aws-sdk/client-s3';
import type { Readable } from 'node:stream';
import { isFailure } from '../../kernel/errors/failure.ts';
import { keyOf, type S3Context } from './context.ts';
import { etagOfParts, md5Of, plainEtag } from './etag.ts';
import { headObject } from './read.ts';
import { cut } from './upload-parts.ts';

export interface CompareOptions {
  readonly signal: AbortSignal | undefined;
  /** An ETag that only these bytes have: where it is found, they are not read. */
  readonly knownEtag?: string;
  readonly versionId?: string;
}

export type Comparison = 'missing' | 'same' | 'other';

/** Whether an object has those very bytes. What differs in size is not read, and reading ends with the first difference. */
export async function compareWith(
  context: S3Context,
  name: string,
  bytes: Uint8Array,
  options: CompareOptions,
): Promise<Comparison> {
  try {
    if (options.versionId === undefined) {
      const { sizeBytes, etag } = await headObject(context, name, options.signal);
      if (sizeBytes !== bytes.byteLength) return 'other';
      if (options.knownEtag !== undefined && plainEtag(etag) === options.knownEtag) return 'same';
    }
    return (await readsSame(context, name, bytes, options)) ? 'same' : 'other';
  } catch (error) {
    if (isFailure(error, 'object_missing')) return 'missing';
    // Who may only write can see by a listing what is there.
    if (isFailure(error, 'storage_denied') && options.versionId === undefined)
      return await compareByListing(context, name, bytes, options.signal, error);
    throw error;
  }
}

async function readsSame(
  context: S3Context,
  name: string,
  bytes: Uint8Array,
  { signal, versionId }: CompareOptions,
): Promise<boolean> {
  const version = versionId === undefined ? {} : { VersionId: versionId };
  const command = new GetObjectCommand({ ...keyOf(context, name), ...version });
  const deed = { operation: 'GetObject', action: 'read', name };
  return await context.calls.run(deed, { signal, bytes: bytes.byteLength }, async ({ options, count }) => {
    const { Body, ContentLength } = await context.client.send(command, options);
    const body = Body as Readable;
    if (ContentLength !== bytes.byteLength) {
      body.destroy();
      return false;
    }
    let at = 0;
    for await (const chunk of body) {
      const piece = chunk as Buffer;
      count.receivedBytes += piece.byteLength;
      if (!piece.equals(bytes.subarray(at, at + piece.byteLength))) return false;
      at += piece.byteLength;
    }
    if (at < bytes.byteLength) throw new Error('the answer ended early: socket hang up');
    return true;
  });
}

async function compareByListing(
  context: S3Context,
  name: string,
  bytes: Uint8Array,
  signal: AbortSignal | undefined,
  denied: Error,
): Promise<Comparison> {
  const { Bucket, Key } = keyOf(context, name);
  const command = new ListObjectsV2Command({ Bucket, Prefix: Key, MaxKeys: 1 });
  const deed = { operation: 'ListObjectsV2', action: 'list', name };
  const { Contents } = await context.calls.run(deed, { signal }, ({ options }) =>
    context.client.send(command, options),
  );
  const found = Contents?.find((object) => object.Key === Key);
  if (found === undefined) return 'missing';
  if (found.Size !== bytes.byteLength) return 'other';
  const etag = plainEtag(found.ETag);
  // Of other parts than ours, or of no MD5: nothing can be said without reading.
  if (etag === undefined) throw denied;
  if (!etag.includes('-')) return etag === md5Of(bytes).toString('hex') ? 'same' : 'other';
  const parts = [...cut(bytes, context.place.settings.part_size)];
  if (etag !== etagOfParts(parts.map(md5Of))) throw denied;
  return 'same';
}
