import {
  AbortMultipartUploadCommand,
  CompleteMultipartUploadCommand,
  CreateMultipartUploadCommand,
  UploadPartCommand,
} from '@aws-sdk/client-s3';
import { failure } from '../../kernel/errors/failure.ts';
import { keyOf, type S3Context } from './context.ts';
import type { S3Deed } from './deed.ts';
import { etagOfParts, md5Of, plainEtag } from './etag.ts';
import { wishesFor } from './object-kinds.ts';
import type { Body, Stored, UploadOptions } from './body.ts';
import { cut } from './upload-parts.ts';

/** How long an upload that failed may take to be taken back; if it is not, the lifecycle of the bucket does it. */
const abortWithinMs = 5000;

interface Upload {
  readonly name: string;
  readonly id: string;
  readonly isOpaque: boolean;
}

/** Stores a large object by several requests at once. It is there when the last one is done, or nothing is. */
export async function putInParts(
  context: S3Context,
  name: string,
  bytes: Uint8Array,
  options: UploadOptions,
): Promise<{ readonly body: Body; readonly stored: Stored }> {
  const upload = await begin(context, name, options.signal);
  try {
    const parts = await sendParts(context, upload, bytes, options.signal);
    return await complete(context, upload, bytes, parts, options);
  } catch (error) {
    await abort(context, upload);
    throw error;
  }
}

async function begin(context: S3Context, name: string, signal: AbortSignal | undefined): Promise<Upload> {
  const command = new CreateMultipartUploadCommand({
    ...keyOf(context, name),
    ContentType: 'application/octet-stream',
    ...wishesFor(name, context),
  });
  const answer = await context.calls.run(deedOf('CreateMultipartUpload', name), { signal }, ({ options }) =>
    context.client.send(command, options),
  );
  if (answer.UploadId === undefined) throw unclear(context, name, 'the answer names no upload');
  return { name, id: answer.UploadId, isOpaque: answer.ServerSideEncryption?.startsWith('aws:kms') === true };
}

interface SentPart {
  readonly PartNumber: number;
  readonly ETag: string | undefined;
  readonly md5: Buffer;
}

async function sendParts(
  context: S3Context,
  upload: Upload,
  bytes: Uint8Array,
  signal: AbortSignal | undefined,
): Promise<readonly SentPart[]> {
  const { part_size: partBytes, parallel_parts: width } = context.place.settings;
  const parts = [...cut(bytes, partBytes)];
  const sent: SentPart[] = [];
  const queue = parts.entries();
  const trouble = new AbortController();
  const both = signal === undefined ? trouble.signal : AbortSignal.any([signal, trouble.signal]);
  const send = async (): Promise<void> => {
    for (const [index, part] of queue) sent[index] = await sendPart(context, upload, index + 1, part, both);
  };
  const senders = Array.from({ length: Math.min(width, parts.length) }, send);
  try {
    await Promise.all(senders);
  } catch (error) {
    trouble.abort(error);
    // None may still be sending from bytes that belong to the caller again.
    await Promise.allSettled(senders);
    signal?.throwIfAborted();
    throw error;
  }
  return sent;
}

async function sendPart(
  context: S3Context,
  { name, id, isOpaque }: Upload,
  number: number,
  bytes: Uint8Array,
  signal: AbortSignal,
): Promise<SentPart> {
  const md5 = md5Of(bytes);
  const command = new UploadPartCommand({
    ...keyOf(context, name),
    UploadId: id,
    PartNumber: number,
    Body: bytes,
    ContentMD5: md5.toString('base64'),
  });
  const sent = { signal, sentBytes: bytes.byteLength };
  const answer = await context.calls.run(deedOf('UploadPart', name), sent, ({ options }) =>
    context.client.send(command, options),
  );
  const etag = plainEtag(answer.ETag);
  const isPlain = !isOpaque && answer.ServerSideEncryption?.startsWith('aws:kms') !== true;
  if (isPlain && etag !== undefined && etag !== md5.toString('hex'))
    throw unclear(context, name, `the service has the ETag ${etag} for part ${number}`);
  return { PartNumber: number, ETag: answer.ETag, md5 };
}

async function complete(
  context: S3Context,
  { name, id, isOpaque }: Upload,
  bytes: Uint8Array,
  parts: readonly SentPart[],
  { isConditional, signal }: UploadOptions,
): Promise<{ readonly body: Body; readonly stored: Stored }> {
  const command = new CompleteMultipartUploadCommand({
    ...keyOf(context, name),
    UploadId: id,
    MultipartUpload: {
      Parts: parts.map(({ PartNumber, ETag }) => ({ PartNumber, ...(ETag === undefined ? {} : { ETag }) })),
    },
    ...(isConditional ? { IfNoneMatch: '*' } : {}),
  });
  const deed = deedOf('CompleteMultipartUpload', name);
  // Joining the parts of a large object may take a service minutes.
  const answer = await context.calls.run(deed, { signal, bytes: bytes.byteLength }, ({ options }) =>
    context.client.send(command, options),
  );
  const stored = { etag: plainEtag(answer.ETag), versionId: answer.VersionId, isOpaque };
  return { body: { name, bytes, etag: etagOfParts(parts.map(({ md5 }) => md5)) }, stored };
}

/** By a signal of its own: that of the caller may be what ended the upload. */
async function abort(context: S3Context, { name, id }: Upload): Promise<void> {
  const command = new AbortMultipartUploadCommand({ ...keyOf(context, name), UploadId: id });
  const signal = AbortSignal.timeout(abortWithinMs);
  try {
    await context.calls.run(deedOf('AbortMultipartUpload', name), { signal }, ({ options }) =>
      context.client.send(command, options),
    );
  } catch {
    // What failed first is what must be told.
  }
}

function deedOf(operation: string, name: string): S3Deed {
  return { operation, action: 'write', name };
}

function unclear({ place: { location } }: S3Context, name: string, reason: string): Error {
  return failure('storage_failed', { action: 'write', name, location, reason });
}
