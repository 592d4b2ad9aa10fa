import type { Clock } from '../../kernel/clock.ts';
import type { GsBucket } from './bucket.ts';
import type { GsDeed } from './errors.ts';

export interface GsPlaceOptions {
  readonly bucket: GsBucket;
  /** '' or `folder/…/`. */
  readonly prefix: string;
  /** Up to this size an object is sent in one request. */
  readonly chunkBytes: number;
  /** That of packs; undefined leaves it to the bucket. */
  readonly storageClass: string | undefined;
  readonly clock: Pick<Clock, 'sleep'>;
}

/** A folder of a bucket, where objects of the port lie one to one. */
export class GsPlace {
  readonly location: string;
  readonly bucket: GsBucket;
  readonly prefix: string;
  readonly chunkBytes: number;
  readonly storageClass: string | undefined;
  readonly clock: Pick<Clock, 'sleep'>;
  readonly #background = new Set<Promise<void>>();

  constructor({ bucket, prefix, chunkBytes, storageClass, clock }: GsPlaceOptions) {
    this.location = `gs://${bucket.name}/${prefix}`.replace(/\/$/, '');
    this.bucket = bucket;
    this.prefix = prefix;
    this.chunkBytes = chunkBytes;
    this.storageClass = storageClass;
    this.clock = clock;
  }

  keyOf(name: string): string {
    return this.prefix + name;
  }

  deed(action: string, name: string, permission: string): GsDeed {
    const { bucket, location } = this;
    return { action, name, permission, location, bucket: bucket.name, who: bucket.api.who };
  }

  /** For tidying up that nobody waits for, and that never rejects; {@link settle} waits for what is left of it. */
  inBackground(work: Promise<void>): void {
    this.#background.add(work);
    void work.finally(() => this.#background.delete(work));
  }

  async settle(): Promise<void> {
    await Promise.all(this.#background);
  }
}
