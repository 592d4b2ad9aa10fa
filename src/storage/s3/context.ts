import type { S3Client } from '@aws-sdk/client-s3';
import type { Clock } from '../../kernel/clock.ts';
import type { S3Calls } from './calls.ts';
import type { ConditionalWrites } from './conditional.ts';
import type { S3Place } from './place.ts';

/** What every part of the storage works with. */
export interface S3Context {
  readonly place: S3Place;
  readonly client: S3Client;
  readonly calls: S3Calls;
  readonly conditional: ConditionalWrites;
  readonly clock: Pick<Clock, 'now'>;
}

/** Where an object lies: what most requests begin with. */
export function keyOf({ place }: S3Context, name: string): { readonly Bucket: string; readonly Key: string } {
  return { Bucket: place.bucket, Key: place.prefix + name };
}
