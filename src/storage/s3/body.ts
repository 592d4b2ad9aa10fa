/** A whole object on its way. */
export interface Body {
  readonly name: string;
  readonly bytes: Uint8Array;
  /** What its ETag will be where ETags are MD5s. */
  readonly etag: string;
}

/** What the service said of an object it has just stored. */
export interface Stored {
  readonly etag: string | undefined;
  readonly versionId: string | undefined;
  /** The ETag is none of MD5: those of objects encrypted by a key of KMS are not. */
  readonly isOpaque: boolean;
}

export interface UploadOptions {
  readonly isConditional: boolean;
  readonly signal: AbortSignal | undefined;
}
