import { isFailure } from '../../kernel/errors/failure.ts';
import type { HttpClient } from '../http-client.ts';
import { assertListPrefix, assertObjectName } from '../names.ts';
import { partsOf } from '../parts.ts';
import type { CallOptions, GetOptions, ListOptions, ObjectInfo, Storage } from '../port.ts';
import { assertRange } from '../range.ts';
import type { RequestCounts } from '../requests.ts';
import { findForeign, listObjects } from './list.ts';
import type { AzurePlace } from './place.ts';
import { putObject } from './put.ts';
import { download, lookAt } from './read.ts';

/**
 * Objects as block blobs of one container; made by `openAzureStorage`.
 *
 * The service makes an object visible whole, and only where there is none (If-None-Match: *), after it compared an MD5
 * of what came. Beside the errors of the port: `azure_…`, `storage_locked`.
 */
export class AzureStorage implements Storage {
  readonly location: string;
  readonly #place: AzurePlace;
  readonly #http: HttpClient;

  constructor(place: AzurePlace, http: HttpClient) {
    this.location = place.location;
    this.#place = place;
    this.#http = http;
  }

  get requests(): RequestCounts {
    return this.#place.requests.counts;
  }

  async put(
    name: string,
    data: Uint8Array | readonly Uint8Array[],
    { signal }: CallOptions = {},
  ): Promise<void> {
    assertObjectName(name);
    signal?.throwIfAborted();
    await putObject(this.#place, name, partsOf(data), signal);
  }

  async get(name: string, options: GetOptions = {}): Promise<Uint8Array> {
    assertObjectName(name);
    assertRange(options);
    return await download(this.#place, name, options);
  }

  async *list(prefix: string, { signal }: ListOptions = {}): AsyncGenerator<ObjectInfo, void, void> {
    assertListPrefix(prefix);
    signal?.throwIfAborted();
    yield* listObjects(this.#place, prefix, signal);
  }

  async stat(name: string, { signal }: CallOptions = {}): Promise<ObjectInfo> {
    assertObjectName(name);
    const { sizeBytes, modifiedAtMs } = await lookAt(this.#place, name, signal);
    return { name, sizeBytes, modifiedAtMs };
  }

  async delete(name: string, { signal }: CallOptions = {}): Promise<void> {
    assertObjectName(name);
    const call = { operation: 'DeleteBlob', action: 'delete', name, permission: 'd', signal } as const;
    const options = signal === undefined ? {} : { abortSignal: signal };
    try {
      // Snapshots that somebody took of it would keep it from going.
      await this.#place.ask(call, () =>
        this.#place.blob(name).delete({ deleteSnapshots: 'include', ...options }),
      );
    } catch (error) {
      if (!isFailure(error, 'object_missing')) throw error;
    }
  }

  foreign({ signal }: CallOptions = {}): Promise<string | undefined> {
    return findForeign(this.#place, signal);
  }

  async close(): Promise<void> {
    this.#http.close();
  }
}
