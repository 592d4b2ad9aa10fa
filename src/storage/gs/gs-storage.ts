import { apiError, readJson } from '../google-api.ts';
import type { HttpClient, HttpResponse } from '../http-client.ts';
import { assertListPrefix, assertObjectName } from '../names.ts';
import { partsOf } from '../parts.ts';
import type { CallOptions, GetOptions, ListOptions, ObjectInfo, Storage } from '../port.ts';
import { assertRange } from '../range.ts';
import type { RequestCounts } from '../requests.ts';
import { objectSchema } from './bucket.ts';
import { coded, gsFailure, saysNoBucket, type GsDeed } from './errors.ts';
import { findForeign, infoOf, listObjects } from './list.ts';
import type { GsPlace } from './place.ts';
import { md5Of, putObject } from './put.ts';

/**
 * Objects in a bucket of Google Cloud Storage; made by `openGsStorage`.
 *
 * The service gives all that the port asks for: conditional creation, listings and reads that see every finished
 * write, checksums. Beside the errors of the port: `google_credentials`, `google_refused`, `storage_locked`.
 */
export class GsStorage implements Storage {
  readonly location: string;
  readonly #place: GsPlace;
  readonly #http: HttpClient;

  constructor(place: GsPlace, http: HttpClient) {
    this.location = place.location;
    this.#place = place;
    this.#http = http;
  }

  get requests(): RequestCounts {
    return this.#place.bucket.api.counter.counts;
  }

  async put(
    name: string,
    data: Uint8Array | readonly Uint8Array[],
    { signal }: CallOptions = {},
  ): Promise<void> {
    assertObjectName(name);
    signal?.throwIfAborted();
    const deed = this.#place.deed('write', name, 'storage.objects.create');
    await coded(deed, () => putObject(this.#place, name, partsOf(data), signal), signal);
  }

  async get(name: string, options: GetOptions = {}): Promise<Uint8Array> {
    assertObjectName(name);
    assertRange(options);
    const { offset = 0, length, signal } = options;
    signal?.throwIfAborted();
    const deed = this.#place.deed('read', name, 'storage.objects.get');
    return coded(
      deed,
      async () => {
        // A range of no bytes cannot be said in HTTP.
        if (length === 0) return await this.#nothingOf(name, signal);
        const isWhole = offset === 0 && length === undefined;
        const last = length === undefined ? '' : String(offset + length - 1);
        const headers = isWhole ? {} : { range: `bytes=${offset}-${last}` };
        const key = this.#place.keyOf(name);
        const response = await this.#place.bucket.object('GET', key, { alt: 'media' }, { headers, signal });
        return bytesOf(response, { offset, length }, deed);
      },
      signal,
    );
  }

  async *list(prefix: string, options: ListOptions = {}): AsyncGenerator<ObjectInfo, void, void> {
    assertListPrefix(prefix);
    options.signal?.throwIfAborted();
    for await (const info of listObjects(this.#place, prefix, options)) {
      yield info;
      options.signal?.throwIfAborted();
    }
  }

  async stat(name: string, { signal }: CallOptions = {}): Promise<ObjectInfo> {
    assertObjectName(name);
    signal?.throwIfAborted();
    const deed = this.#place.deed('look at', name, 'storage.objects.get');
    return coded(
      deed,
      async () => {
        const query = { fields: 'name,size,timeCreated' };
        const response = await this.#place.bucket.object('GET', this.#place.keyOf(name), query, { signal });
        if (response.status !== 200) throw gsFailure(response, deed);
        return infoOf(name, readJson(objectSchema, response));
      },
      signal,
    );
  }

  foreign({ signal }: CallOptions = {}): Promise<string | undefined> {
    return findForeign(this.#place, signal);
  }

  async delete(name: string, { signal }: CallOptions = {}): Promise<void> {
    assertObjectName(name);
    signal?.throwIfAborted();
    const deed = this.#place.deed('delete', name, 'storage.objects.delete');
    await coded(
      deed,
      async () => {
        const response = await this.#place.bucket.object('DELETE', this.#place.keyOf(name), {}, { signal });
        const isGone = response.status === 404 && !saysNoBucket(apiError(response));
        if (!isGone && response.status !== 204 && response.status !== 200) throw gsFailure(response, deed);
      },
      signal,
    );
  }

  async close(): Promise<void> {
    await this.#place.settle();
    this.#http.close();
  }

  async #nothingOf(name: string, signal: AbortSignal | undefined): Promise<Uint8Array> {
    await this.stat(name, { signal });
    return new Uint8Array(0);
  }
}

interface Wanted {
  readonly offset: number;
  readonly length: number | undefined;
}

function bytesOf(response: HttpResponse, wanted: Wanted, deed: GsDeed): Uint8Array {
  const { status, body } = response;
  // The object ends before the range begins.
  if (status === 416) return new Uint8Array(0);
  if (status === 206) {
    assertPart(response, wanted);
    return body;
  }
  if (status !== 200) throw gsFailure(response, deed);
  assertChecksum(response);
  const { offset, length = body.byteLength } = wanted;
  return offset === 0 && length >= body.byteLength ? body : body.slice(offset, offset + length);
}

/** Some part of the object under the name of another would be worse than none. */
function assertPart({ headers, body }: HttpResponse, { offset, length }: Wanted): void {
  const header = headers['content-range'];
  const [, first, last, total] = /^bytes (\d+)-(\d+)\/(\d+)$/.exec(String(header)) ?? [];
  const end = length === undefined ? Number(total) : Math.min(offset + length, Number(total));
  const fits = Number(first) === offset && Number(last) === end - 1 && body.byteLength === end - offset;
  if (!fits) throw new Error(`it answered with other bytes than were asked for (${String(header)})`);
}

function assertChecksum({ headers, body }: HttpResponse): void {
  const header = headers['x-goog-hash'];
  const told = typeof header === 'string' ? /(?:^|,)\s*md5=([^,\s]+)/.exec(header)?.[1] : undefined;
  if (told !== undefined && told !== md5Of([body]))
    throw new Error('the bytes that came do not have the checksum they should have');
}
