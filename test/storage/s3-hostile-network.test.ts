import assert from 'node:assert/strict';
import { after, describe, test } from 'node:test';
import type { Storage } from '../../src/storage/port.ts';
import { withLimit } from '../../src/storage/wrap/limit.ts';
import { withRetry } from '../../src/storage/wrap/retry.ts';
import { cephBucket, withoutCeph } from '../../testing/ceph.ts';
import { openCephStorage } from '../../testing/ceph-storage.ts';
import { faultProxy, hostileNetwork } from '../../testing/fault-proxy.ts';
import { assertSame, pattern, rejectsWith } from '../../testing/storage-conformance.ts';
import { seededRandom, TestClock } from './support.ts';

// Random operations through a network that delays, refuses, tears, loses and lies. What was acknowledged must be there
// byte for byte; what was not is there whole or not at all.

const operations = Number(process.env['HOLDFAST_TRIAL_OPERATIONS'] ?? 400);
const seed = Number(process.env['HOLDFAST_TRIAL_SEED'] ?? Math.floor(Math.random() * 2 ** 31));
const workers = 16;
/** A stale listing lacks what was put within the last 200 requests; those under way may take their time. */
const oldEnough = 400;

interface Known {
  readonly name: string;
  readonly seed: number;
  readonly size: number;
  /** Of the operation that was acknowledged. */
  readonly since: number;
}

class Trial {
  readonly #storage: Storage;
  readonly #random: () => number;
  readonly #requests: () => number;
  readonly kept = new Map<string, Known>();
  readonly maybe = new Map<string, Known>();
  readonly deleted = new Set<string>();
  readonly #users = new Map<string, number>();
  #named = 0;

  constructor(storage: Storage, random: () => number, requests: () => number) {
    this.#storage = storage;
    this.#random = random;
    this.#requests = requests;
  }

  async step(): Promise<void> {
    const dice = this.#random();
    const known = dice < 0.42 ? undefined : this.#pick();
    if (known === undefined) await this.#put();
    else await this.#use(known, dice);
  }

  async #use(known: Known, dice: number): Promise<void> {
    const { name } = known;
    this.#users.set(name, (this.#users.get(name) ?? 0) + 1);
    try {
      await this.#act(known, dice);
    } finally {
      this.#users.set(name, (this.#users.get(name) ?? 0) - 1);
    }
  }

  async #act(known: Known, dice: number): Promise<void> {
    if (dice < 0.6) await this.#get(known);
    else if (dice < 0.72) await this.#storage.put(known.name, bytesOf(known));
    else if (dice < 0.76) await this.#putOther(known);
    else if (dice < 0.84) assert.equal((await this.#storage.stat(known.name)).sizeBytes, known.size);
    else if (dice < 0.9) await this.#list();
    else if (dice < 0.95) await this.#putAborted();
    // Who puts the same bytes once more would bring it back.
    else if (this.#users.get(known.name) === 1) await this.#delete(known);
  }

  async #put(): Promise<void> {
    const object = this.#new();
    await this.#storage.put(object.name, bytesOf(object));
    this.kept.set(object.name, { ...object, since: this.#requests() });
  }

  async #putAborted(): Promise<void> {
    const object = this.#new();
    this.maybe.set(object.name, object);
    const controller = new AbortController();
    const put = this.#storage.put(object.name, bytesOf(object), { signal: controller.signal });
    for (let turn = Math.floor(this.#random() * 40); turn > 0; turn -= 1) await new Promise(setImmediate);
    controller.abort();
    await put.catch((error: unknown) => assert.equal(error, controller.signal.reason));
  }

  async #putOther(known: Known): Promise<void> {
    const other = bytesOf(known).slice();
    if (other.byteLength > 0) other[0] = (other[0] ?? 0) ^ 1;
    const bytes = other.byteLength > 0 ? other : pattern(1, 1);
    await rejectsWith('object_exists', this.#storage.put(known.name, bytes));
  }

  async #get(known: Known): Promise<void> {
    const bytes = bytesOf(known);
    const offset = Math.floor(this.#random() * known.size * 1.2);
    const length = Math.floor(this.#random() * known.size);
    const isWhole = this.#random() < 0.5;
    const got = await this.#storage.get(known.name, isWhole ? {} : { offset, length });
    assertSame(got, isWhole ? bytes : bytes.subarray(offset, offset + length));
  }

  async #list(): Promise<void> {
    const folder = `trial/${Math.floor(this.#random() * 4)}/`;
    const begun = this.#requests();
    const old = [...this.kept.values()].filter(
      ({ name, since }) => name.startsWith(folder) && since < begun - oldEnough,
    );
    const listed = new Set<string>();
    for await (const { name, sizeBytes } of this.#storage.list(folder)) {
      listed.add(name);
      const known = this.kept.get(name) ?? this.maybe.get(name);
      if (known !== undefined) assert.equal(sizeBytes, known.size, name);
    }
    for (const { name } of old)
      assert.ok(listed.has(name) || this.deleted.has(name), `${name} is not listed`);
  }

  async #delete({ name }: Known): Promise<void> {
    this.kept.delete(name);
    this.deleted.add(name);
    await this.#storage.delete(name);
  }

  #pick(): Known | undefined {
    const all = [...this.kept.values()];
    return all[Math.floor(this.#random() * all.length)];
  }

  #new(): Known {
    this.#named += 1;
    const name = `trial/${this.#named % 4}/${this.#named}`;
    const dice = this.#random();
    const most = dice < 0.8 ? 20_000 : dice < 0.985 ? 400_000 : 12_000_000;
    return { name, seed: this.#named, size: Math.floor(this.#random() * most), since: 0 };
  }
}

function bytesOf({ seed: own, size }: Known): Uint8Array {
  return pattern(size, own);
}

describe('S3 over a hostile network', { skip: withoutCeph() }, () => {
  test(
    `${operations} operations cost no byte (HOLDFAST_TRIAL_SEED=${seed})`,
    { timeout: 3_600_000 },
    async () => {
      const random = seededRandom(seed);
      const bucket = await cephBucket();
      await using proxy = await faultProxy(bucket.port, hostileNetwork(random, 0.25));
      const direct = await openCephStorage(bucket, { prefix: '' });
      const through = await openCephStorage(bucket, {
        prefix: '',
        settings: { endpoint: proxy.endpoint, part_size: '5MiB', connect_timeout: '2s', timeout: '5s' },
      });
      after(() => Promise.all([direct.close(), through.close()]));
      const retried = withRetry(through, { clock: new TestClock(), random, attempts: 25 });
      const asked = (): number =>
        Object.values(through.requests).reduce((sum, { requests }) => sum + requests, 0);
      const trial = new Trial(withLimit(retried, { concurrency: workers }), random, asked);
      let left = operations;
      await Promise.all(
        Array.from({ length: workers }, async () => {
          while (left-- > 0) await trial.step();
        }),
      );
      const listed = new Map<string, number>();
      for await (const { name, sizeBytes } of direct.list('')) listed.set(name, sizeBytes);
      for (const known of trial.kept.values()) {
        assert.equal(listed.get(known.name), known.size, `${known.name} is listed`);
        assertSame(await direct.get(known.name), bytesOf(known));
      }
      for (const known of trial.maybe.values())
        if (listed.has(known.name)) assertSame(await direct.get(known.name), bytesOf(known));
      for (const name of trial.deleted) assert.ok(!listed.has(name), `${name} is gone`);
      assert.equal(
        listed.size,
        trial.kept.size + [...trial.maybe.keys()].filter((name) => listed.has(name)).length,
      );
      const faults = Object.entries(proxy.counts).map(([kind, count]) => `${kind} ${count}`);
      console.log(`${trial.kept.size} objects kept; ${asked()} requests: ${faults.join(', ')}`);
      for (const kind of ['answer', 'cut_before', 'cut_upload', 'lose_answer', 'cut_answer', 'stale_list'])
        assert.ok((proxy.counts[kind] ?? 0) > 0, `${kind} came to pass`);
    },
  );
});
