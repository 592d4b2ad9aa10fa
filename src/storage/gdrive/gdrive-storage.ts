import { failure } from '../../kernel/errors/failure.ts';
import type { HttpClient, HttpResponse } from '../http-client.ts';
import { assertListPrefix, assertObjectName } from '../names.ts';
import { partsOf } from '../parts.ts';
import type { CallOptions, GetOptions, ListOptions, ObjectInfo, Storage } from '../port.ts';
import { assertRange, resolveRange, type ByteRange } from '../range.ts';
import type { RequestCounts } from '../requests.ts';
import type { DriveFile } from './drive.ts';
import { coded, driveFailure, type DriveDeed } from './errors.ts';
import { findForeign, listObjects } from './list.ts';
import type { DrivePlace } from './place.ts';
import { md5Of, putObject } from './put.ts';

/**
 * Objects as files of one folder of Google Drive; made by `openGdriveStorage`.
 *
 * Drive has no conditional creation, and its searches may lag behind. A process sees all of its own writes; two that
 * write one name with different bytes within the same moments may both be told that it worked (see
 * docs/storage-google.md). Beside the errors of the port: `google_credentials`, `google_refused`, `gdrive_limit`.
 */
export class GdriveStorage implements Storage {
  readonly location: string;
  readonly #place: DrivePlace;
  readonly #http: HttpClient;

  constructor(place: DrivePlace, http: HttpClient) {
    this.location = place.location;
    this.#place = place;
    this.#http = http;
  }

  get requests(): RequestCounts {
    return this.#place.drive.api.counter.counts;
  }

  async put(
    name: string,
    data: Uint8Array | readonly Uint8Array[],
    { signal }: CallOptions = {},
  ): Promise<void> {
    assertObjectName(name);
    signal?.throwIfAborted();
    await coded(this.#deed('write', name), () => putObject(this.#place, name, partsOf(data), signal), signal);
  }

  async get(name: string, options: GetOptions = {}): Promise<Uint8Array> {
    assertObjectName(name);
    assertRange(options);
    const { signal } = options;
    signal?.throwIfAborted();
    const deed = this.#deed('read', name);
    return coded(
      deed,
      async () => {
        const known = this.#place.recent.foundAs(name);
        const bytes = known === undefined ? undefined : await this.#read(known, options, deed);
        if (bytes !== undefined) return bytes;
        // Gone under that id, or not known yet: the name decides.
        this.#place.recent.lost(name);
        const file = await this.#place.fileCalled(name, signal);
        const read = await this.#read(file, options, deed);
        if (read === undefined) throw failure('object_missing', { name, location: this.location });
        return read;
      },
      signal,
    );
  }

  async *list(
    prefix: string,
    { signal, after = '' }: ListOptions = {},
  ): AsyncGenerator<ObjectInfo, void, void> {
    assertListPrefix(prefix);
    signal?.throwIfAborted();
    const listing = listObjects(this.#place, prefix, after, signal)[Symbol.asyncIterator]();
    const deed = this.#deed('list', prefix === '' ? 'objects' : prefix);
    try {
      for (;;) {
        const step = await coded(deed, () => listing.next(), signal);
        if (step.done === true) return;
        yield step.value;
        signal?.throwIfAborted();
      }
    } finally {
      await listing.return();
    }
  }

  async stat(name: string, { signal }: CallOptions = {}): Promise<ObjectInfo> {
    assertObjectName(name);
    signal?.throwIfAborted();
    const file = await coded(this.#deed('look at', name), () => this.#place.fileCalled(name, signal), signal);
    return { name, sizeBytes: file.size, modifiedAtMs: file.createdTime };
  }

  foreign({ signal }: CallOptions = {}): Promise<string | undefined> {
    return coded(this.#deed('list', 'objects'), () => findForeign(this.#place, signal), signal);
  }

  async delete(name: string, { signal }: CallOptions = {}): Promise<void> {
    assertObjectName(name);
    signal?.throwIfAborted();
    const deed = this.#deed('delete', name);
    await coded(
      deed,
      async () => {
        // The younger ones first: at no moment one of them becomes the object.
        for (const file of (await this.#place.filesCalled(name, signal)).toReversed()) {
          await this.#place.drive.remove(file.id, { signal, deed });
          this.#place.recent.removed(file);
        }
      },
      signal,
    );
  }

  async close(): Promise<void> {
    this.#http.close();
  }

  /** Undefined when there is no file of that id any more. */
  async #read(file: DriveFile, options: GetOptions, deed: DriveDeed): Promise<Uint8Array | undefined> {
    const range = resolveRange(options, file.size);
    if (range.start === range.end) return new Uint8Array(0);
    const isWhole = range.start === 0 && range.end === file.size;
    const headers = isWhole ? {} : { range: `bytes=${range.start}-${range.end - 1}` };
    const response = await this.#place.drive.media(file.id, headers, { signal: options.signal, deed });
    if (response.status === 404) return undefined;
    return bytesOf(response, file, range, deed);
  }

  #deed(action: string, name: string): DriveDeed {
    return this.#place.deed(action, name);
  }
}

function bytesOf(
  response: HttpResponse,
  file: DriveFile,
  { start, end }: ByteRange,
  deed: DriveDeed,
): Uint8Array {
  const { status, body, headers } = response;
  if (status === 206) {
    const told = headers['content-range'];
    if (told === `bytes ${start}-${end - 1}/${file.size}` && body.byteLength === end - start) return body;
    throw new Error(`it answered with other bytes than were asked for (${String(told)})`);
  }
  if (status !== 200) throw driveFailure(response, deed);
  if (body.byteLength !== file.size || md5Of([body]) !== file.md5Checksum)
    throw new Error('the bytes that came do not have the checksum they should have');
  return start === 0 && end === file.size ? body : body.slice(start, end);
}
