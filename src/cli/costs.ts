import type { CostEstimate } from '../app/costs/estimate.ts';
import type { PlaceRequests } from '../app/requests.ts';
import { bytes } from './format.ts';

/** `about 1.23 USD a month (1.20 storage, 0.03 requests; …)`. */
export function costLine(cost: CostEstimate): string {
  const { storage_per_month: storage, requests_per_month: requests } = cost;
  const unit = cost.currency === null ? '' : ` ${cost.currency}`;
  const parts = `${storage.toFixed(2)} storage, ${requests.toFixed(2)} requests of backups`;
  const list = cost.currency === null ? '' : ', list prices';
  const stream = cost.wal_stream_per_month_at_most;
  const wal = stream === 0 ? '' : `; a WAL stream that is never idle: ${stream.toFixed(2)} more at most`;
  const total = storage + requests;
  const about = total < 0.01 ? 'less than 0.01' : `about ${total.toFixed(2)}`;
  return `${about}${unit} a month, an estimate: ${parts} (${cost.prices}${list})${wal}`;
}

/** `s3://shop/db: 12 PutObject, 5 GetObject; 20.0 MiB sent, 1.2 KiB received`, a line for each place. */
export function requestLines(places: readonly PlaceRequests[]): string {
  return places
    .map(({ location, operations }) => {
      const all = Object.entries(operations).toSorted(([, a], [, b]) => b.requests - a.requests);
      const sum = (key: 'failed' | 'bytes_sent' | 'bytes_received'): number =>
        all.reduce((total, [, count]) => total + count[key], 0);
      const counts = all.map(([name, { requests }]) => `${requests} ${name}`).join(', ');
      const failed = sum('failed') === 0 ? '' : ` (${sum('failed')} failed)`;
      return `${location}: ${counts || 'no requests'}${failed}; ${bytes(sum('bytes_sent'))} sent, ${bytes(sum('bytes_received'))} received\n`;
    })
    .join('');
}
