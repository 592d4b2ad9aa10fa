import { createHash } from 'node:crypto';
import { failure, isFailure } from '../../kernel/errors/failure.ts';
import { apiError, isPassing } from '../google-api.ts';
import { sendResumably } from '../google-upload.ts';
import type { HttpResponse } from '../http-client.ts';
import { sizeOf } from '../parts.ts';
import { fileOf, jsonBody, type DriveFile } from './drive.ts';
import { driveFailure } from './errors.ts';
import { groupOf, ourProperty, type DrivePlace } from './place.ts';

/** One object on its way in. */
interface Arrival {
  readonly name: string;
  readonly parts: readonly Uint8Array[];
  readonly sizeBytes: number;
  /** Hexadecimal, as the service writes it. */
  readonly md5: string;
  readonly signal: AbortSignal | undefined;
}

/** Drive takes no more than this together with metadata. */
const mostAtOnce = 5_000_000;
const type = 'application/octet-stream';

/**
 * Stores an object under a name that is free. Drive lets any number of files have one name, so there is a look before
 * and one after: of several files the oldest is the object, and who sees that it is not theirs removes theirs.
 */
export async function putObject(
  place: DrivePlace,
  name: string,
  parts: readonly Uint8Array[],
  signal: AbortSignal | undefined,
): Promise<void> {
  const arrival = { name, parts, sizeBytes: sizeOf(parts), md5: md5Of(parts), signal };
  const [present] = await place.filesCalled(name, signal);
  if (present !== undefined) return assertSame(place, present, arrival);
  const mine = await upload(place, arrival);
  place.recent.made(mine);
  const [winner = mine] = await place.filesCalled(name, signal);
  if (winner.id === mine.id) return place.recent.found(name, mine);
  await withdraw(place, mine);
  assertSame(place, winner, arrival);
}

function assertSame(
  { location }: DrivePlace,
  { size, md5Checksum }: DriveFile,
  { name, sizeBytes, md5 }: Arrival,
): void {
  if (size !== sizeBytes || md5Checksum !== md5) throw failure('object_exists', { name, location });
}

/** Under an id of its own: whatever becomes of the answer, that id tells later whether the file is there. */
async function upload(place: DrivePlace, arrival: Arrival): Promise<DriveFile> {
  const { name, sizeBytes, md5, signal } = arrival;
  const call = { signal, deed: place.deed('write', name) };
  const id = await place.drive.newId(call);
  let response: HttpResponse;
  try {
    const metadata = {
      id,
      name,
      mimeType: type,
      parents: [place.folder.id],
      properties: { [ourProperty]: groupOf(name) },
    };
    const send = sizeBytes <= mostAtOnce ? sendAtOnce : sendInPieces;
    response = await send(place, arrival, metadata);
  } catch (error) {
    place.recent.doubtful(name, id);
    throw error;
  }
  if (response.status !== 200 && response.status !== 201) {
    const isOpen = isPassing(apiError(response));
    if (isOpen) place.recent.doubtful(name, id);
    const error = driveFailure(response, call.deed);
    // Of the folder, as the file was only to be made.
    throw isFailure(error, 'object_missing')
      ? failure('gdrive_folder_missing', { location: place.location })
      : error;
  }
  const stored = fileOf(response);
  if (stored.size === sizeBytes && stored.md5Checksum === md5) return stored;
  await withdraw(place, stored);
  throw new Error('what the service has stored differs from what was sent');
}

type Metadata = Readonly<Record<string, unknown>>;

function sendAtOnce(place: DrivePlace, arrival: Arrival, metadata: Metadata): Promise<HttpResponse> {
  // No text holds its own MD5, so the boundary cannot be in the bytes.
  const boundary = `holdfast-${arrival.md5}`;
  const head =
    `--${boundary}\r\ncontent-type: application/json; charset=UTF-8\r\n\r\n${JSON.stringify(metadata)}\r\n` +
    `--${boundary}\r\ncontent-type: ${type}\r\n\r\n`;
  const rest = {
    headers: { 'content-type': `multipart/related; boundary=${boundary}` },
    body: [Buffer.from(head), ...arrival.parts, Buffer.from(`\r\n--${boundary}--\r\n`)],
  };
  return place.drive.upload('multipart', rest, {
    signal: arrival.signal,
    deed: place.deed('write', arrival.name),
  });
}

async function sendInPieces(place: DrivePlace, arrival: Arrival, metadata: Metadata): Promise<HttpResponse> {
  const { name, parts, sizeBytes, signal } = arrival;
  const json = jsonBody(metadata);
  const headers = {
    ...json.headers,
    'x-upload-content-type': type,
    'x-upload-content-length': String(sizeBytes),
  };
  const call = { signal, deed: place.deed('write', name) };
  const begun = await place.drive.upload('resumable', { ...json, headers }, call);
  if (begun.status !== 200) return begun;
  const address = begun.headers['location'];
  if (typeof address !== 'string') throw new Error('the service began an upload and did not say where');
  const { chunkBytes: pieceBytes, clock, drive } = place;
  const session = new URL(address);
  const ended = await sendResumably({
    api: drive.api,
    session,
    operation: 'files.create (piece)',
    parts,
    pieceBytes,
    clock,
    signal,
  });
  if (ended.status === 404 || ended.status === 410) throw new Error('the service lost the upload half-way');
  return ended;
}

/** Takes back a file that is not the object. If that fails it stays behind the older one, and goes when that goes. */
async function withdraw(place: DrivePlace, file: DriveFile): Promise<void> {
  try {
    await place.drive.remove(file.id, { signal: undefined, deed: place.deed('delete', file.name) });
    place.recent.removed(file);
  } catch (error) {
    if (!isFailure(error)) throw error;
  }
}

export function md5Of(parts: readonly Uint8Array[]): string {
  const hash = createHash('md5');
  for (const part of parts) hash.update(part);
  return hash.digest('hex');
}
