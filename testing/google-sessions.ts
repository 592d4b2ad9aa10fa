import { randomUUID } from 'node:crypto';
import { Refusal, type Answer, type Received } from './google-protocol.ts';

const unitBytes = 256 * 1024;

/** An upload that has begun; the same protocol in Cloud Storage and in Drive. */
export interface UploadSession {
  readonly id: string;
  readonly metadata: Readonly<Record<string, unknown>>;
  readonly query: URLSearchParams;
  readonly totalBytes: number;
  bytes: Buffer;
  /** What the last piece was answered with. */
  done: Answer | undefined;
}

/** Resumable uploads, as strict as the documents are. */
export class UploadSessions {
  readonly #sessions = new Map<string, UploadSession>();
  /** Keeps no more than so many bytes of one piece, as the service may. */
  keepsAtMost = Infinity;

  get open(): readonly UploadSession[] {
    return [...this.#sessions.values()].filter(({ done }) => done === undefined);
  }

  /** The sessions are gone, as after a week. */
  forget(): void {
    this.#sessions.clear();
  }

  begin(request: Received, address: string): Answer {
    if (!String(request.headers['content-type']).startsWith('application/json'))
      throw new Refusal(400, 'badContent', 'metadata must be JSON');
    const totalBytes = Number(request.headers['x-upload-content-length']);
    if (!Number.isSafeInteger(totalBytes)) throw new Refusal(400, 'badRequest', 'x-upload-content-length');
    const id = randomUUID();
    this.#sessions.set(id, {
      id,
      metadata: JSON.parse(request.body.toString()) as Readonly<Record<string, unknown>>,
      query: request.query,
      totalBytes,
      bytes: Buffer.alloc(0),
      done: undefined,
    });
    return { status: 200, headers: { location: `${address}&upload_id=${id}` } };
  }

  /** A piece, or a question how much is there. `finish` is called with the whole. */
  put(request: Received, finish: (session: UploadSession) => Answer): Answer {
    const session = this.#of(request);
    const range = /^bytes (?:(\d+)-(\d+)|\*)\/(\d+)$/.exec(String(request.headers['content-range']));
    if (range === null) throw new Refusal(400, 'badRequest', 'Content-Range');
    const [, first, last, total] = range;
    if (Number(total) !== session.totalBytes) throw new Refusal(400, 'badRequest', 'total size changed');
    if (session.done !== undefined) return session.done;
    if (first !== undefined) this.#take(session, Number(first), Number(last), request.body);
    else if (request.body.byteLength > 0) throw new Refusal(400, 'badRequest', 'bytes without a range');
    if (session.bytes.byteLength < session.totalBytes) return incomplete(session);
    session.done = finish(session);
    return session.done;
  }

  /** Keeps whole units of a piece that broke off. */
  torn(request: Received, received: Buffer): void {
    const session = this.#sessions.get(request.query.get('upload_id') ?? '');
    const first = /^bytes (\d+)-/.exec(String(request.headers['content-range']))?.[1];
    if (session === undefined || Number(first) !== session.bytes.byteLength) return;
    const whole = received.byteLength - (received.byteLength % unitBytes);
    session.bytes = Buffer.concat([session.bytes, received.subarray(0, whole)]);
  }

  cancel(request: Received): Answer {
    const session = this.#of(request);
    this.#sessions.delete(session.id);
    return { status: 499 };
  }

  #of({ query }: Received): UploadSession {
    const session = this.#sessions.get(query.get('upload_id') ?? '');
    if (session === undefined) throw new Refusal(404, 'notFound', 'Upload session not found');
    return session;
  }

  #take(session: UploadSession, first: number, last: number, piece: Buffer): void {
    if (piece.byteLength !== last - first + 1)
      throw new Refusal(400, 'badRequest', 'Content-Range and length differ');
    if (first !== session.bytes.byteLength) throw new Refusal(503, 'backendError', 'a gap in the upload');
    const isLast = last + 1 === session.totalBytes;
    if (!isLast && piece.byteLength % unitBytes !== 0)
      throw new Refusal(400, 'badRequest', 'pieces must be multiples of 256 KiB');
    session.bytes = Buffer.concat([session.bytes, piece.subarray(0, this.keepsAtMost)]);
  }
}

function incomplete({ bytes }: UploadSession): Answer {
  const headers = bytes.byteLength === 0 ? {} : { range: `bytes=0-${bytes.byteLength - 1}` };
  return { status: 308, headers };
}
