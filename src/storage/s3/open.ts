import type { S3Config } from '../../contract/config-s3.ts';
import type { Clock } from '../../kernel/clock.ts';
import { RequestCounter } from '../requests.ts';
import { S3Calls } from './calls.ts';
import { ConditionalWrites } from './conditional.ts';
import { connectS3 } from './connect.ts';
import type { S3Location } from './location.ts';
import { resolveS3Place, type S3Environment } from './place.ts';
import { S3Storage } from './s3-storage.ts';

export interface OpenS3Options {
  readonly settings: S3Config;
  /** The environment, `.env` included. */
  readonly env: S3Environment;
  readonly clock: Pick<Clock, 'now'>;
}

/** Opens a place in a bucket; asks nothing of the service. Rejects with `storage_url`, `s3_setting`. */
export async function openS3Storage(location: S3Location, options: OpenS3Options): Promise<S3Storage> {
  const place = await resolveS3Place(location, options.settings, options.env);
  const counter = new RequestCounter();
  const client = connectS3(place);
  const calls = new S3Calls(place, counter);
  const conditional = new ConditionalWrites(place, client, calls);
  return new S3Storage({ place, client, calls, conditional, clock: options.clock }, counter.counts);
}
