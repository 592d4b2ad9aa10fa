import { createHash } from 'node:crypto';
import { failure } from '../../kernel/errors/failure.ts';
import { apiError, readJson } from '../google-api.ts';
import { cancelUpload, sendResumably } from '../google-upload.ts';
import type { HttpResponse } from '../http-client.ts';
import { sizeOf } from '../parts.ts';
import { jsonBody, objectFields, objectSchema, type GsObject } from './bucket.ts';
import { gsFailure, saysNoBucket } from './errors.ts';
import type { GsPlace } from './place.ts';

/** One object on its way in. */
interface Arrival {
  readonly name: string;
  readonly parts: readonly Uint8Array[];
  readonly sizeBytes: number;
  /** Base64, as the service writes it. */
  readonly md5: string;
  readonly signal: AbortSignal | undefined;
}

const packs = 'packs/';
const creates = 'storage.objects.create';

/**
 * Stores an object under a name that is free. Where it is taken, the same bytes are success. The service compares the
 * MD5 it is told before the object becomes visible, and its answer is compared once more.
 */
export async function putObject(
  place: GsPlace,
  name: string,
  parts: readonly Uint8Array[],
  signal: AbortSignal | undefined,
): Promise<void> {
  const arrival = { name, parts, sizeBytes: sizeOf(parts), md5: md5Of(parts), signal };
  const response = await (arrival.sizeBytes <= place.chunkBytes
    ? sendAtOnce(place, arrival)
    : sendInPieces(place, arrival));
  if (response.status === 412) return await compareWithPresent(place, arrival);
  if (response.status !== 200 && response.status !== 201)
    throw gsFailure(response, place.deed('write', name, creates));
  const stored = readJson(objectSchema, response);
  if (!isSame(stored, arrival)) throw new Error('what the service has stored differs from what was sent');
}

/** Metadata and bytes in one request. */
function sendAtOnce(place: GsPlace, arrival: Arrival): Promise<HttpResponse> {
  // No text holds its own MD5, so the boundary cannot be in the bytes.
  const boundary = `holdfast-${Buffer.from(arrival.md5, 'base64').toString('hex')}`;
  const head =
    `--${boundary}\r\ncontent-type: application/json; charset=UTF-8\r\n\r\n${JSON.stringify(metadata(place, arrival))}\r\n` +
    `--${boundary}\r\ncontent-type: application/octet-stream\r\n\r\n`;
  return place.bucket.upload(
    { uploadType: 'multipart', ...whenFree },
    {
      headers: { 'content-type': `multipart/related; boundary=${boundary}` },
      body: [Buffer.from(head), ...arrival.parts, Buffer.from(`\r\n--${boundary}--\r\n`)],
      signal: arrival.signal,
    },
  );
}

async function sendInPieces(place: GsPlace, arrival: Arrival): Promise<HttpResponse> {
  const { parts, sizeBytes, signal } = arrival;
  const { headers, body } = jsonBody(metadata(place, arrival));
  const begun = await place.bucket.upload(
    { uploadType: 'resumable', ...whenFree },
    {
      headers: {
        ...headers,
        'x-upload-content-type': 'application/octet-stream',
        'x-upload-content-length': String(sizeBytes),
      },
      ...(body === undefined ? {} : { body }),
      signal,
    },
  );
  if (begun.status !== 200 && begun.status !== 201) return begun;
  const address = begun.headers['location'];
  if (typeof address !== 'string') throw new Error('the service began an upload and did not say where');
  const session = new URL(address);
  const { api } = place.bucket;
  const { chunkBytes: pieceBytes, clock } = place;
  const operation = 'objects.insert (piece)';
  try {
    const ended = await sendResumably({ api, session, operation, parts, pieceBytes, clock, signal });
    if (ended.status === 404 || ended.status === 410) throw new Error('the service lost the upload half-way');
    if (ended.status >= 400) place.inBackground(cancelUpload(api, session, operation));
    return ended;
  } catch (error) {
    place.inBackground(cancelUpload(api, session, operation));
    throw error;
  }
}

/** Zero: no live object of that name. */
const whenFree = { ifGenerationMatch: '0', fields: objectFields } as const;

function metadata(place: GsPlace, { name, md5 }: Arrival): Readonly<Record<string, string>> {
  return {
    name: place.keyOf(name),
    contentType: 'application/octet-stream',
    md5Hash: md5,
    ...(place.storageClass !== undefined && name.startsWith(packs)
      ? { storageClass: place.storageClass }
      : {}),
  };
}

/** The name is taken: by these very bytes, when an answer was lost or another writer had the same, or by others. */
async function compareWithPresent(place: GsPlace, arrival: Arrival): Promise<void> {
  const { name, signal } = arrival;
  const response = await place.bucket.object('GET', place.keyOf(name), { fields: objectFields }, { signal });
  if (response.status === 404 && !saysNoBucket(apiError(response)))
    throw new Error('the name was taken a moment ago, and is free now');
  if (response.status !== 200) throw gsFailure(response, place.deed('write', name, 'storage.objects.get'));
  const present = readJson(objectSchema, response);
  if (present.md5Hash === undefined && present.size === arrival.sizeBytes) {
    if (await holdsSameBytes(place, arrival)) return;
  } else if (isSame(present, arrival)) return;
  throw failure('object_exists', { name, location: place.location });
}

function isSame({ size, md5Hash }: GsObject, { sizeBytes, md5 }: Arrival): boolean {
  return size === sizeBytes && md5Hash === md5;
}

async function holdsSameBytes(place: GsPlace, { name, md5, signal }: Arrival): Promise<boolean> {
  const response = await place.bucket.object('GET', place.keyOf(name), { alt: 'media' }, { signal });
  if (response.status !== 200) throw gsFailure(response, place.deed('read', name, 'storage.objects.get'));
  return md5Of([response.body]) === md5;
}

export function md5Of(parts: readonly Uint8Array[]): string {
  const hash = createHash('md5');
  for (const part of parts) hash.update(part);
  return hash.digest('base64');
}
