import { createHash } from 'node:crypto';

/** MD5 of an object's bytes: what services check a body against, and most give back as its ETag. */
export function md5Of(bytes: Uint8Array): Buffer {
  return createHash('md5').update(bytes).digest();
}

/** The ETag of an object made of parts with these MD5s. */
export function etagOfParts(parts: readonly Buffer[]): string {
  return `${createHash('md5').update(Buffer.concat(parts)).digest('hex')}-${parts.length}`;
}

/** The ETag without its quotes, where it is the MD5 of the bytes or of those of its parts, else undefined. */
export function plainEtag(etag: string | undefined): string | undefined {
  const bare = etag?.replaceAll('"', '').toLowerCase();
  return bare !== undefined && /^[0-9a-f]{32}(?:-\d+)?$/.test(bare) ? bare : undefined;
}
