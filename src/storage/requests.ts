/** What was asked of a service under one name, since the storage was opened. */
export interface RequestCount {
  /** Requests sent, those that failed included. */
  requests: number;
  failed: number;
  /** Bytes of bodies sent and received; not of headers. */
  sentBytes: number;
  receivedBytes: number;
}

/** By the service's own names of its operations: `PutObject`, `ListObjectsV2`, … */
export type RequestCounts = Readonly<Record<string, Readonly<RequestCount>>>;

/** Counts what a storage asks of its service. */
export class RequestCounter {
  readonly counts: Record<string, RequestCount> = {};

  of(operation: string): RequestCount {
    return (this.counts[operation] ??= { requests: 0, failed: 0, sentBytes: 0, receivedBytes: 0 });
  }
}
