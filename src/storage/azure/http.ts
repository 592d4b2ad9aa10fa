import type { HttpOperationResponse, HttpRequestBody, IHttpClient, WebResource } from '@azure/storage-blob';
import { Readable } from 'node:stream';
import type { HttpClient, HttpRequest } from '../http-client.ts';

const partsOfBodies = new WeakMap<object, readonly Uint8Array[]>();

/** Bytes in several pieces as a body for the SDK. {@link AzureHttp} knows its pieces, and copies none. */
export function bodyOfParts(parts: readonly Uint8Array[]): HttpRequestBody {
  const body = (): NodeJS.ReadableStream => Readable.from(parts, { objectMode: false });
  partsOfBodies.set(body, parts);
  return body;
}

/**
 * What the SDK sends by: our own client, so that time limits, proxies, aborts and closing are as with other services,
 * and bodies are not copied.
 */
export class AzureHttp implements IHttpClient {
  readonly #http: HttpClient;

  constructor(http: HttpClient) {
    this.#http = http;
  }

  async sendRequest(request: WebResource): Promise<HttpOperationResponse> {
    const body = bodyOf(request.body);
    const {
      status,
      headers,
      body: bytes,
    } = await this.#http.send({
      method: request.method as HttpRequest['method'],
      url: new URL(request.url),
      headers: request.headers.rawHeaders(),
      ...(body === undefined ? {} : { body }),
      signal: request.abortSignal as AbortSignal | undefined,
    });
    const answered = request.headers.clone();
    for (const name of answered.headerNames()) answered.remove(name);
    for (const [name, value] of Object.entries(headers))
      if (value !== undefined) answered.set(name, typeof value === 'string' ? value : value.join(', '));
    const isStream = request.streamResponseStatusCodes?.has(status) === true && status < 300;
    return {
      request,
      status,
      headers: answered,
      ...(isStream
        ? { readableStreamBody: Readable.from([bytes], { objectMode: false }) }
        : { bodyAsText: Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString() }),
    };
  }
}

function bodyOf(body: unknown): readonly Uint8Array[] | undefined {
  if (body === undefined || body === null) return undefined;
  if (typeof body === 'string') return [Buffer.from(body)];
  if (body instanceof Uint8Array) return [body];
  const parts = typeof body === 'function' ? partsOfBodies.get(body) : undefined;
  if (parts === undefined) throw new TypeError('the SDK gives a body of a kind that was not foreseen');
  return parts;
}
