import { PutObjectCommand, type S3Client } from '@aws-sdk/client-s3';
import type { S3Calls } from './calls.ts';
import type { S3Deed } from './deed.ts';
import { httpStatusOf, serviceCodeOf } from './errors.ts';
import type { S3Place } from './place.ts';

/** Begins with a dot, so it is no name of ours and in no listing. Empty, and left where it is. */
export const probeName = '.holdfast-probe';

/**
 * Whether the service keeps `If-None-Match: *`, which makes a put fail where the name is taken. AWS is known to; of
 * others it is tried, as some answer that they know no such thing, and some say nothing and overwrite (Ceph 16 only
 * in buckets with versioning). Remembered as long as the storage is open.
 */
export class ConditionalWrites {
  readonly #place: S3Place;
  readonly #client: S3Client;
  readonly #calls: S3Calls;
  #answer: Promise<boolean> | undefined;

  constructor(place: S3Place, client: S3Client, calls: S3Calls) {
    this.#place = place;
    this.#client = client;
    this.#calls = calls;
    const { conditional_writes: chosen } = place.settings;
    if (chosen !== 'auto') this.#answer = Promise.resolve(chosen);
    else if (place.isAws) this.#answer = Promise.resolve(true);
  }

  /** One request where the condition holds and the probe is there already, two otherwise. */
  async areHonoured(signal?: AbortSignal): Promise<boolean> {
    const answer = (this.#answer ??= this.#try(signal));
    try {
      return await answer;
    } catch (error) {
      // Whoever asks next tries again.
      if (this.#answer === answer) this.#answer = undefined;
      signal?.throwIfAborted();
      // Of another caller, who gave up.
      if (error instanceof Error && error.name === 'AbortError') return await this.areHonoured(signal);
      throw error;
    }
  }

  /** Tries it now, whatever is known or set. */
  async tryNow(signal?: AbortSignal): Promise<boolean> {
    const honoured = await this.#try(signal);
    if (this.#place.settings.conditional_writes === 'auto') this.#answer = Promise.resolve(honoured);
    return honoured;
  }

  async #try(signal: AbortSignal | undefined): Promise<boolean> {
    // A probe of an earlier run makes the first one fail already, as it should.
    for (let round = 0; round < 2; round += 1) {
      const outcome = await this.#putProbe(signal);
      if (outcome !== 'stored') return outcome === 'refused';
    }
    return false;
  }

  async #putProbe(signal: AbortSignal | undefined): Promise<'stored' | 'refused' | 'unknown'> {
    const { bucket, prefix } = this.#place;
    const deed: S3Deed = { operation: 'PutObject', action: 'write', name: probeName };
    const command = new PutObjectCommand({
      Bucket: bucket,
      Key: prefix + probeName,
      Body: new Uint8Array(0),
      ContentMD5: '1B2M2Y8AsgTpgAmY7PhCfg==',
      IfNoneMatch: '*',
    });
    try {
      await this.#calls.run(deed, { signal }, ({ options }) => this.#client.send(command, options));
      return 'stored';
    } catch (error) {
      if (isTaken(error)) return 'refused';
      if (isUnknownCondition(error)) return 'unknown';
      throw error;
    }
  }
}

/** The condition held: the name is taken, or being taken right now. */
export function isTaken(error: unknown): boolean {
  return httpStatusOf(error) === 412 || serviceCodeOf(error) === 'ConditionalRequestConflict';
}

/** Services that know no conditions for puts say so, or take the header for a mistake. */
export function isUnknownCondition(error: unknown): boolean {
  if (httpStatusOf(error) === 501) return true;
  return (
    httpStatusOf(error) === 400 &&
    ['NotImplemented', 'InvalidArgument', 'InvalidRequest'].includes(serviceCodeOf(error) ?? '')
  );
}
