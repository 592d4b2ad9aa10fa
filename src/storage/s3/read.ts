import { GetObjectCommand, HeadObjectCommand, type GetObjectCommandOutput } from '@aws-sdk/client-s3';
import type { Readable } from 'node:stream';
import { failure } from '../../kernel/errors/failure.ts';
import type { CallOptions, GetOptions, ObjectInfo } from '../port.ts';
import type { RequestCount } from '../requests.ts';
import { keyOf, type S3Context } from './context.ts';
import type { S3Deed } from './deed.ts';
import { httpStatusOf } from './errors.ts';

/** For the deadline where nobody knows how much will come. */
const unknownBytes = 256 * 2 ** 20;

export async function getObject(context: S3Context, name: string, options: GetOptions): Promise<Uint8Array> {
  const { offset = 0, length, signal } = options;
  if (length === 0) {
    await statObject(context, name, { signal });
    return new Uint8Array(0);
  }
  const isWhole = offset === 0 && length === undefined;
  const range = isWhole
    ? {}
    : { Range: `bytes=${offset}-${length === undefined ? '' : offset + length - 1}` };
  const command = new GetObjectCommand({ ...keyOf(context, name), ...range });
  try {
    return await context.calls.run(
      readDeed(name),
      { signal, bytes: length ?? unknownBytes },
      async (request) => {
        const answer = await context.client.send(command, request.options);
        const bytes = await readBody(context, name, answer, request.count);
        if (isWhole) return bytes;
        // Where the range was passed over, the whole object comes.
        if (answer.ContentRange === undefined)
          return bytes.slice(offset, length === undefined ? undefined : offset + length);
        assertRangeOf(context, name, answer.ContentRange, options, bytes.byteLength);
        return bytes;
      },
    );
  } catch (error) {
    // The object is there, and ends before the range begins.
    if (httpStatusOf(error) === 416) return new Uint8Array(0);
    throw error;
  }
}

/** Says what is wrong when the answer holds other bytes than those that were asked for. */
function assertRangeOf(
  { place: { location } }: S3Context,
  name: string,
  contentRange: string,
  { offset = 0, length }: GetOptions,
  got: number,
): void {
  const [, first, total] = /^bytes (\d+)-\d+\/(\d+)$/.exec(contentRange) ?? [];
  const end = length === undefined ? Number(total) : Math.min(Number(total), offset + length);
  if (Number(first) === offset && got === end - offset) return;
  const reason = `bytes ${offset} to ${end} were asked for, and ${got} bytes of "${contentRange}" came`;
  throw failure('storage_failed', { action: 'read', name, location, reason });
}

async function readBody(
  { place: { location } }: S3Context,
  name: string,
  answer: GetObjectCommandOutput,
  count: RequestCount,
): Promise<Uint8Array> {
  const expected = answer.ContentLength;
  const short = (got: number): Error => {
    const reason = `the answer ended after ${got} of ${expected ?? 'an unknown number of'} bytes`;
    return failure('storage_failed', { action: 'read', name, location, reason });
  };
  if (expected === undefined) throw short(0);
  // A buffer of its own, not of Node's shared pool: the caller may hand the memory on to a worker.
  const bytes = new Uint8Array(expected);
  let at = 0;
  for await (const chunk of answer.Body as Readable) {
    const piece = chunk as Buffer;
    count.receivedBytes += piece.byteLength;
    if (at + piece.byteLength > expected) throw short(at + piece.byteLength);
    bytes.set(piece, at);
    at += piece.byteLength;
  }
  if (at < expected) throw short(at);
  return bytes;
}

export async function statObject(
  context: S3Context,
  name: string,
  { signal }: CallOptions,
): Promise<ObjectInfo> {
  const { sizeBytes, modifiedAtMs } = await headObject(context, name, signal);
  return { name, sizeBytes, modifiedAtMs };
}

export interface ObjectFacts extends ObjectInfo {
  readonly etag: string | undefined;
}

/** Objects do not come and go so often that one is there for every other request. */
const mostLooks = 3;

/** Size, time and ETag. `object_missing` only when the service says so in words. */
export async function headObject(
  context: S3Context,
  name: string,
  signal: AbortSignal | undefined,
): Promise<ObjectFacts> {
  const deed: S3Deed = { operation: 'HeadObject', action: 'look at', name };
  const command = new HeadObjectCommand(keyOf(context, name));
  for (let look = 1; ; look += 1) {
    try {
      const answer = await context.calls.run(deed, { signal }, ({ options }) =>
        context.client.send(command, options),
      );
      return factsOf(context, name, answer);
    } catch (error) {
      const status = httpStatusOf(error);
      if (status === undefined || status < 300 || status >= 500) throw error;
      await throwInWords(context, name, signal);
      // It can be read. It was stored just now, or whoever is between knows no HEAD.
      if (status !== 404 || look >= mostLooks) throw error;
    }
  }
}

/**
 * Answers to HEAD have no body: a missing object and a missing bucket look alike, and so does everything else. A GET
 * of one byte tells.
 */
async function throwInWords(
  context: S3Context,
  name: string,
  signal: AbortSignal | undefined,
): Promise<void> {
  await getObject(context, name, { offset: 0, length: 1, signal });
}

function factsOf(
  { place: { location } }: S3Context,
  name: string,
  answer: {
    readonly ContentLength?: number | undefined;
    readonly LastModified?: Date | undefined;
    readonly ETag?: string | undefined;
  },
): ObjectFacts {
  const { ContentLength: sizeBytes, LastModified: modified, ETag: etag } = answer;
  if (sizeBytes === undefined || modified === undefined || Number.isNaN(modified.getTime()))
    throw failure('storage_failed', {
      action: 'look at',
      name,
      location,
      reason: 'the answer lacks its size or time',
    });
  return { name, sizeBytes, modifiedAtMs: modified.getTime(), etag };
}

function readDeed(name: string): S3Deed {
  return { operation: 'GetObject', action: 'read', name };
}
