import { assertListPrefix, assertObjectName } from '../names.ts';
import { partsOf } from '../parts.ts';
import type { CallOptions, Describe, GetOptions, ListOptions, ObjectInfo, Retain, Storage } from '../port.ts';
import { assertRange } from '../range.ts';
import type { RequestCounts } from '../requests.ts';
import type { S3Context } from './context.ts';
import { describeBucket } from './describe.ts';
import { findForeign, listObjects } from './list.ts';
import { retainObject } from './lock.ts';
import { putObject } from './put.ts';
import { getObject, statObject } from './read.ts';
import { removeObject } from './remove.ts';

/**
 * Objects of a bucket below a prefix; made by `openS3Storage`. Beside the errors of the port: `storage_locked` and
 * those that begin with `s3_`.
 */
export class S3Storage implements Storage {
  readonly location: string;
  readonly requests: RequestCounts;
  readonly retain: Retain | undefined;
  readonly describe: Describe;
  readonly context: S3Context;

  constructor(context: S3Context, requests: RequestCounts) {
    this.location = context.place.location;
    this.requests = requests;
    this.context = context;
    this.describe = (options) => describeBucket(context, options);
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
    await removeObject(this.context, name, signal);
  }

  foreign(options: CallOptions = {}): Promise<string | undefined> {
    return findForeign(this.context, options);
  }

  async close(): Promise<void> {
    this.context.client.destroy();
  }
}
