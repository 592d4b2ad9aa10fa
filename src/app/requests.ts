import type { Storage } from '../storage/port.ts';

/** What was asked of a service under one name. */
export interface OperationRequests {
  readonly requests: number;
  /** Of those. */
  readonly failed: number;
  /** Of bodies, without headers. */
  readonly bytes_sent: number;
  readonly bytes_received: number;
}

/** What a command asked of one place. */
export interface PlaceRequests {
  readonly location: string;
  /** By the service's own names: `PutObject`, `ListObjectsV2`, … */
  readonly operations: Readonly<Record<string, OperationRequests>>;
}

/** By location, all that was opened there together; undefined when nothing that counts was. */
export function requestsOf(storages: readonly Storage[]): readonly PlaceRequests[] | undefined {
  const places = new Map<string, Record<string, OperationRequests>>();
  for (const { location, requests } of storages) {
    if (requests === undefined) continue;
    const sums = places.get(location) ?? {};
    places.set(location, sums);
    for (const [operation, count] of Object.entries(requests)) {
      const sum = sums[operation] ?? { requests: 0, failed: 0, bytes_sent: 0, bytes_received: 0 };
      sums[operation] = {
        requests: sum.requests + count.requests,
        failed: sum.failed + count.failed,
        bytes_sent: sum.bytes_sent + count.sentBytes,
        bytes_received: sum.bytes_received + count.receivedBytes,
      };
    }
  }
  if (places.size === 0) return undefined;
  return Array.from(places, ([location, operations]) => ({ location, operations }));
}
