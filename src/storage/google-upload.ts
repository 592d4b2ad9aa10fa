import type { Clock } from '../kernel/clock.ts';
import { isFailure } from '../kernel/errors/failure.ts';
import { apiError, isPassing, type GoogleApi } from './google-api.ts';
import type { HttpResponse } from './http-client.ts';
import { sizeOf } from './parts.ts';

/** Pieces of a resumable upload are whole multiples of this, the last one excepted. */
export const uploadUnitBytes = 256 * 1024;

export interface ResumableUpload {
  readonly api: GoogleApi;
  /** The address that the service gave for this one upload. Whoever knows it may write: a secret. */
  readonly session: URL;
  readonly parts: readonly Uint8Array[];
  /** See {@link ApiRequest}. */
  readonly operation: string;
  /** Bytes sent in one request; a multiple of {@link uploadUnitBytes}. */
  readonly pieceBytes: number;
  readonly clock: Pick<Clock, 'sleep'>;
  readonly signal?: AbortSignal | undefined;
}

const triesWithoutProgress = 5;
const firstPauseMs = 250;

/**
 * Sends all bytes to an upload that has begun, and goes on where the service says when a connection breaks. Resolves
 * with the last answer: success, or what the service says instead. Rejects when too many tries in a row came no further.
 */
export async function sendResumably(upload: ResumableUpload): Promise<HttpResponse> {
  const totalBytes = sizeOf(upload.parts);
  let offset = 0;
  let isKnown = true;
  for (let failed = 0; ;) {
    const step = isKnown ? sendPiece(upload, offset, totalBytes) : askForOffset(upload, totalBytes);
    const outcome = await step.catch((error: unknown) => error);
    if (isAnswer(outcome) && outcome.status === 308) {
      const stored = storedBytes(outcome);
      if (stored > offset) failed = 0;
      else if (isKnown) failed += 1;
      offset = stored;
      isKnown = true;
    } else {
      failed += 1;
      isKnown = false;
      if (!mayGoOn(outcome, upload.signal) || failed >= triesWithoutProgress) return answerOf(outcome);
      await upload.clock.sleep(firstPauseMs * 2 ** (failed - 1), upload.signal);
    }
    if (failed >= triesWithoutProgress)
      throw new Error(`the upload does not come beyond byte ${offset} of ${totalBytes}`);
  }
}

/** Tells the service that nothing more will come. Never rejects: what was sent is dropped after a week anyway. */
export async function cancelUpload(api: GoogleApi, session: URL, operation: string): Promise<void> {
  await api.sendAsNobody({ method: 'DELETE', url: session, operation }).catch(() => undefined);
}

function sendPiece(upload: ResumableUpload, offset: number, totalBytes: number): Promise<HttpResponse> {
  const end = Math.min(offset + upload.pieceBytes, totalBytes);
  const range = end > offset ? `bytes ${offset}-${end - 1}/${totalBytes}` : `bytes */${totalBytes}`;
  return put(upload, range, cut(upload.parts, offset, end));
}

function askForOffset(upload: ResumableUpload, totalBytes: number): Promise<HttpResponse> {
  return put(upload, `bytes */${totalBytes}`, []);
}

function put(
  { api, session, operation, signal }: ResumableUpload,
  range: string,
  body: readonly Uint8Array[],
): Promise<HttpResponse> {
  return api.sendAsNobody({
    operation,
    method: 'PUT',
    url: session,
    headers: { 'content-range': range },
    body,
    signal,
  });
}

/** The bytes from `start` to `end` of all parts together; nothing is copied. */
export function cut(parts: readonly Uint8Array[], start: number, end: number): Uint8Array[] {
  const found: Uint8Array[] = [];
  let at = 0;
  for (const part of parts) {
    const piece = part.subarray(Math.max(0, start - at), Math.max(0, end - at));
    if (piece.byteLength > 0) found.push(piece);
    at += part.byteLength;
  }
  return found;
}

/** How much the service has kept; without a Range header nothing. */
function storedBytes({ headers }: HttpResponse): number {
  const range = headers['range'];
  const last = typeof range === 'string' ? /^bytes=0-(\d+)$/.exec(range)?.[1] : undefined;
  return last === undefined ? 0 : Number(last) + 1;
}

function isAnswer(outcome: unknown): outcome is HttpResponse {
  return typeof outcome === 'object' && outcome !== null && 'status' in outcome && 'body' in outcome;
}

function mayGoOn(outcome: unknown, signal: AbortSignal | undefined): boolean {
  if (signal?.aborted === true) return false;
  return isAnswer(outcome) ? isPassing(apiError(outcome)) : isFailure(outcome, 'storage_unreachable');
}

function answerOf(outcome: unknown): HttpResponse {
  if (isAnswer(outcome)) return outcome;
  throw outcome as Error;
}
