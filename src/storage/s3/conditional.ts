import {
  PutObjectCommand,
  type PutObjectCommandInput,
  type PutObjectCommandOutput,
  type S3Client,
} from '@aws-sdk/client-s3';
import type { S3Calls } from './calls.ts';
import type { S3Deed } from './deed.ts';
import { httpStatusOf, serviceCodeOf } from './errors.ts';
import type { S3Place } from './place.ts';

/** Begins with a dot, so it is no name of ours and in no listing. Empty, and left where it is. */
export const probeName = '.holdfast-probe';

/** What a request needs. */
interface Asking {
  readonly place: S3Place;
  readonly client: S3Client;
  readonly calls: S3Calls;
}

/**
 * Whether the service keeps `If-None-Match: *`, which makes a put fail where the name is taken. AWS is known to; of
 * others it is tried, as some answer that they know no such thing, and some say nothing and overwrite (Ceph 16 only
 * in buckets with versioning). Remembered as long as the storage is open.
 */
export class ConditionalWrites {
  readonly #asking: Asking;
  #answer: Promise<boolean> | undefined;

  constructor(asking: Asking) {
    this.#asking = asking;
    const { settings, isAws } = asking.place;
    if (settings.conditional_writes !== 'auto') this.#answer = Promise.resolve(settings.conditional_writes);
    else if (isAws) this.#answer = Promise.resolve(true);
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
    if (this.#asking.place.settings.conditional_writes === 'auto') this.#answer = Promise.resolve(honoured);
    return honoured;
  }

  async #try(signal: AbortSignal | undefined): Promise<boolean> {
    // A probe of an earlier run makes the first one fail already, as it should.
    for (let round = 0; round < 2; round += 1) {
      try {
        await putProbe(this.#asking, { IfNoneMatch: '*' }, signal);
      } catch (error) {
        if (isTaken(error)) return true;
        if (isUnknownCondition(error)) return false;
        throw error;
      }
    }
    return false;
  }
}

/**
 * Stores the probe, whatever is there. Of 0 bytes; `wishes` are what is to be tried with it: a condition, encryption.
 */
export async function putProbe(
  { place, client, calls }: Asking,
  wishes: Partial<PutObjectCommandInput>,
  signal: AbortSignal | undefined,
): Promise<PutObjectCommandOutput> {
  const command = new PutObjectCommand({
    Bucket: place.bucket,
    Key: place.prefix + probeName,
    Body: new Uint8Array(0),
    ContentMD5: '1B2M2Y8AsgTpgAmY7PhCfg==',
    ...wishes,
  });
  const deed: S3Deed = { operation: 'PutObject', action: 'write', name: probeName };
  return await calls.run(deed, { signal }, ({ options }) => client.send(command, options));
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
