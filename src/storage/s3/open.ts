import type { S3Config } from '../../contract/config-s3.ts';
import type { Clock } from '../../kernel/clock.ts';
import type { PlaceConcern } from '../description.ts';
import { RequestCounter } from '../requests.ts';
import { S3Calls } from './calls.ts';
import { ConditionalWrites } from './conditional.ts';
import { connectS3 } from './connect.ts';
import type { S3Location } from './location.ts';
import { resolveS3Place, type S3Environment } from './place.ts';
import { S3Storage } from './s3-storage.ts';

export interface OpenS3Options {
  /** Look whether the bucket is there, and try all that a repository needs of it. */
  readonly create?: boolean;
  /** Make the bucket when it is not there, and set it up; only together with `create`. */
  readonly createBucket?: boolean | undefined;
  /** Told what people should know of the place; only together with `create`. */
  readonly notice?: ((concern: PlaceConcern) => void) | undefined;
  readonly settings: S3Config;
  /** The environment, `.env` included. */
  readonly env: S3Environment;
  readonly clock: Pick<Clock, 'now'>;
}

/**
 * Opens a place in a bucket. Nothing is asked of the service unless `create` is set: the first call meets what is wrong.
 *
 * Rejects with `storage_url`, `s3_setting`, and with `create` with what `prepareBucket` rejects with.
 */
export async function openS3Storage(location: S3Location, options: OpenS3Options): Promise<S3Storage> {
  const place = await resolveS3Place(location, options.settings, options.env);
  const counter = new RequestCounter();
  const client = connectS3(place);
  const calls = new S3Calls(place, counter);
  const conditional = new ConditionalWrites({ place, client, calls });
  const storage = new S3Storage({ place, client, calls, conditional, clock: options.clock }, counter.counts);
  if (options.create !== true) return storage;
  try {
    const { prepareBucket } = await import('./bucket.ts');
    const told = await prepareBucket(storage.context, { createBucket: options.createBucket === true });
    for (const concern of told) options.notice?.(concern);
    return storage;
  } catch (error) {
    await storage.close();
    throw error;
  }
}
