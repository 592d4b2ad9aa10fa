import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { estimateCost, recent } from '../../src/app/costs/estimate.ts';
import { pricesAt } from '../../src/app/costs/prices.ts';
import { requestsOf } from '../../src/app/requests.ts';
import { gsSchema } from '../../src/contract/config-gs.ts';
import { s3Schema } from '../../src/contract/config-s3.ts';
import type { RequestCounts } from '../../src/storage/requests.ts';
import type { Storage } from '../../src/storage/port.ts';

const gib = 2 ** 30;
const none = { packBytes: 0, otherBytes: 0, packs: 0, backups: 0, bytesAdded: 0, walIntervalsMs: [] };

function listFor(s3: Record<string, unknown>, env: Record<string, string> = {}, location = 's3://b/x') {
  return pricesAt(location, { s3: s3Schema.parse(s3), gs: gsSchema.parse({}) }, env);
}

describe('the estimate of what a place costs', () => {
  it('knows the list prices of services by their address, and nothing of others', () => {
    assert.equal(listFor({})?.name, 'Amazon S3, us-east-1');
    assert.equal(listFor({ endpoint: 's3.eu-west-1.amazonaws.com' })?.name, 'Amazon S3, us-east-1');
    assert.equal(listFor({ endpoint: 'https://a1.r2.cloudflarestorage.com' })?.name, 'Cloudflare R2');
    assert.equal(listFor({ endpoint: 's3.eu-central-003.backblazeb2.com' })?.name, 'Backblaze B2');
    assert.equal(listFor({ endpoint: 'https://minio.example.com' }), undefined);
    assert.equal(listFor({ endpoint: 'https://notbackblazeb2.com' }), undefined);
    assert.equal(listFor({}, { AWS_ENDPOINT_URL: 'http://127.0.0.1:9000' }), undefined);
    assert.equal(listFor({ storage_class: 'OUTPOSTS' }), undefined);
    assert.equal(listFor({}, {}, '/srv/backups'), undefined);
    assert.match(listFor({}, {}, 'gs://b/x')?.name ?? '', /Google/);
  });

  it('takes the class of packs for packs alone, and your prices before all lists', () => {
    const basis = { ...none, packBytes: 100 * gib, otherBytes: gib };
    const cold = listFor({ storage_class: 'STANDARD_IA' });
    assert.ok(cold !== undefined);
    assert.equal(estimateCost(cold, basis).storage_per_month, 1.27); // 100 * 0.0125 + 0.023
    const own = listFor({ price_storage: 1, price_puts: 2, price_gets: 3, endpoint: 'minio' });
    assert.ok(own !== undefined);
    const cost = estimateCost(own, basis);
    assert.deepEqual([cost.storage_per_month, cost.currency], [101, null]);
    const mixed = listFor({ price_gets: 3 });
    assert.deepEqual([mixed?.packs.storage, mixed?.packs.gets, mixed?.currency], [0.023, 3, 'USD']);
    assert.equal(listFor({ price_gets: 3, endpoint: 'minio' }), undefined);
  });

  it('counts requests by the backups of a month, and a WAL stream as if it were never idle', () => {
    const list = listFor({});
    assert.ok(list !== undefined);
    const cost = estimateCost(list, { ...none, backups: 720, bytesAdded: 720 * 16 * 2 ** 20, packs: 10_000 });
    // 6 puts, 19 lists and 8 gets each.
    assert.equal(
      cost.requests_per_month,
      Math.round(((720 * 25 * 0.005 + 720 * 8 * 0.0004) / 1000) * 100) / 100,
    );
    const stream = estimateCost(list, { ...none, walIntervalsMs: [1000] });
    assert.equal(stream.wal_stream_per_month_at_most, 12.96);
    const now = Date.UTC(2026, 10, 22);
    const day = 86_400_000;
    const ages = [0, 29 * day, 31 * day].map((age) => ({ startedAtMs: now - age }));
    assert.equal(recent(ages, now).length, 2);
  });
});

describe('what was asked of services', () => {
  it('is summed by place, and absent where nothing counts', () => {
    const storage = (location: string, requests?: RequestCounts): Storage =>
      ({ location, requests }) as unknown as Storage;
    const count = { requests: 2, failed: 1, sentBytes: 10, receivedBytes: 5 };
    assert.equal(requestsOf([storage('/srv')]), undefined);
    const sums = requestsOf([
      storage('s3://a', { Put: count }),
      storage('/x'),
      storage('s3://a', { Put: count }),
    ]);
    assert.deepEqual(sums, [
      {
        location: 's3://a',
        operations: { Put: { requests: 4, failed: 2, bytes_sent: 20, bytes_received: 10 } },
      },
    ]);
  });
});
