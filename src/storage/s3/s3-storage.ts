import { DeleteObjectCommand } from '@aws-sdk/client-s3';
import { isFailure } from '../../kernel/errors/failure.ts';
import { assertListPrefix, assertObjectName } from '../names.ts';
import { partsOf } from '../parts.ts';
import type { CallOptions, GetOptions, ListOptions, ObjectInfo, Retain, Storage } from '../port.ts';
import { assertRange } from '../range.ts';
import type { RequestCounts } from '../requests.ts';
import { keyOf, type S3Context } from './context.ts';
import type { S3Deed } from './deed.ts';
import { findForeign, listObjects } from './list.ts';
import { retainObject } from './lock.ts';
import { putObject } from './put.ts';
import { getObject, statObject } from './read.ts';
import { deleteAllVersions } from './versions.ts';

/**
 * Objects of a bucket below a prefix; made by `openS3Storage`. Beside the errors of the port: `storage_locked` and
 * those that begin with `s3_`.
 */
export class S3Storage implements Storage {
  readonly location: string;
  readonly requests: RequestCounts;
  readonly retain: Retain | undefined;
  /** For what there is to know and to do about the bucket, beside the port. */
  readonly context: S3Context;

  constructor(context: S3Context, requests: RequestCounts) {
    this.location = context.place.location;
    this.requests = requests;
    this.context = context;
    if (context.place.settings.object_lock === undefined) return;
    this.retain = async (name, untilMs, options = {}) => {
      assertObjectName(name);
      options.signal?.throwIfAborted();
      await retainObject(context, name, untilMs, options);
    };
  }

  async put(
    name: string,
    data: Uint8Array | readonly Uint8Array[],
    { signal }: CallOptions = {},
  ): Promise<void> {
    assertObjectName(name);
    signal?.throwIfAborted();
    await putObject(this.context, name, partsOf(data), signal);
  }

  async get(name: string, options: GetOptions = {}): Promise<Uint8Array> {
    assertObjectName(name);
    assertRange(options);
    options.signal?.throwIfAborted();
    return await getObject(this.context, name, options);
  }

  async *list(prefix: string, options: ListOptions = {}): AsyncGenerator<ObjectInfo, void, void> {
    assertListPrefix(prefix);
    options.signal?.throwIfAborted();
    yield* listObjects(this.context, prefix, options);
  }

  async stat(name: string, options: CallOptions = {}): Promise<ObjectInfo> {
    assertObjectName(name);
    options.signal?.throwIfAborted();
    return await statObject(this.context, name, options);
  }

  async delete(name: string, { signal }: CallOptions = {}): Promise<void> {
    assertObjectName(name);
    signal?.throwIfAborted();
    const { delete_versions: chosen, object_lock: lock } = this.context.place.settings;
    // A lock protects by itself what must not go. A marker over it would only hide a backup that is still there.
    if (chosen === true || (chosen === 'auto' && lock !== undefined))
      await deleteAllVersions(this.context, name, signal);
    else await this.#deleteCurrent(name, signal);
  }

  foreign(options: CallOptions = {}): Promise<string | undefined> {
    return findForeign(this.context, options);
  }

  async close(): Promise<void> {
    this.context.client.destroy();
  }

  /** In a bucket with versioning this only lays a marker over it. */
  async #deleteCurrent(name: string, signal: AbortSignal | undefined): Promise<void> {
    const { calls, client } = this.context;
    const command = new DeleteObjectCommand(keyOf(this.context, name));
    const deed: S3Deed = { operation: 'DeleteObject', action: 'delete', name };
    try {
      await calls.run(deed, { signal }, ({ options }) => client.send(command, options));
    } catch (error) {
      if (!isFailure(error, 'object_missing')) throw error;
    }
  }
}
