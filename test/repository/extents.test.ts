import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { StreamRef } from '../../src/contract/stream.ts';
import { systemClock } from '../../src/kernel/clock.ts';
import type { BackupSource } from '../../src/operations/contract.ts';
import type { Repository } from '../../src/repository/repository.ts';
import { MemoryStorage } from '../../src/storage/memory/memory-storage.ts';
import { patternedBytes } from '../../testing/bytes.ts';
import {
  backUp,
  bytesSource,
  makeRepository,
  openTestRepository,
  readBack,
} from '../../testing/repository.ts';
import { mapTask, type MapInput, type MapOutput } from './map-task.ts';

function mapSource(input: MapInput, done: (output: MapOutput) => void = () => {}): BackupSource {
  return {
    name: 'map',
    kind: 'test',
    backup: async (context) => {
      const output = await context.run(mapTask, input);
      await context.addEntry({ path: 'map', kind: 'test.map', stream: output.stream, meta: {} });
      for (const [index, stream] of output.whole.entries())
        await context.addEntry({ path: `whole-${index}`, kind: 'test.whole', stream, meta: {} });
      done(output);
      return { metadata: {}, warnings: [] };
    },
  };
}

const nothing: MapInput = { blobs: [], pieces: [], whole: [], earlier: null };

test('a stream of any pieces of any blobs comes back, whole and in parts, and so does one of the backup before', async () => {
  await using repository = await makeRepository(new MemoryStorage(systemClock));
  const input = fc.array(fc.integer({ min: 1, max: 5000 }), { minLength: 1, maxLength: 6 }).chain((sizes) => {
    const piece = fc
      .record({ blob: fc.nat(sizes.length - 1), from: fc.nat(), to: fc.nat() })
      .map(({ blob, from, to }) => {
        const size = sizes[blob] ?? 1;
        const [low = 0, high = 0] = [from % size, to % size].toSorted((a, b) => a - b);
        return { blob, offset: low, length: high - low + 1 };
      });
    return fc.record({ sizes: fc.constant(sizes), pieces: fc.array(piece, { maxLength: 300 }) });
  });
  let earlier: { stream: StreamRef; bytes: Buffer } | null = null;
  await fc.assert(
    fc.asyncProperty(input, async ({ sizes, pieces }) => {
      const blobs = sizes.map((size, index) => patternedBytes(size, size + index));
      const whole = [blobs[0] ?? Buffer.alloc(0), Buffer.alloc(0), patternedBytes(7, pieces.length)];
      const expected = Buffer.concat(
        pieces.map(
          ({ blob, offset, length }) => blobs[blob]?.subarray(offset, offset + length) ?? Buffer.alloc(0),
        ),
      );
      const outputs: MapOutput[] = [];
      const before = earlier;
      const manifest = await backUp(
        repository,
        mapSource({ blobs, pieces, whole, earlier: before?.stream ?? null }, (output) =>
          outputs.push(output),
        ),
      );
      const [output] = outputs;
      assert.ok(output !== undefined);
      // Without a map a stream is the whole of a blob: the format says so to readers that are not ours.
      if (pieces.length > 0) assert.ok(output.stream.depth > 0);
      const contents = await readBack(repository, manifest);
      assert.ok(contents['map']?.equals(expected));
      whole.forEach((bytes, index) => assert.ok(contents[`whole-${index}`]?.equals(bytes)));
      const together = await repository.readTogether([output.stream, ...output.whole]);
      assert.deepEqual(
        together.map((bytes) => Buffer.from(bytes)),
        [expected, ...whole],
      );
      const extents = (await Array.fromAsync(repository.extents(output.stream))).flat();
      assert.equal(
        extents.reduce((sum, { length }) => sum + length, 0),
        expected.length,
      );
      const reversed = extents.toReversed();
      const parts = Buffer.concat(await Array.fromAsync(repository.openExtents(reversed)));
      assert.ok(parts.equals(Buffer.concat(cutAs(extents, expected).toReversed())));
      assert.ok(Buffer.from(output.earlierBytes).equals(before?.bytes ?? Buffer.alloc(0)));
      assert.equal(output.earlierPresent, true);
      earlier = { stream: output.stream, bytes: expected };
    }),
    { numRuns: 25 },
  );
});

function cutAs(extents: readonly { readonly length: number }[], bytes: Buffer): Buffer[] {
  let at = 0;
  return extents.map(({ length }) => bytes.subarray(at, (at += length)));
}

class CountingStorage extends MemoryStorage {
  readonly asked: number[] = [];

  override async get(...args: Parameters<MemoryStorage['get']>): Promise<Uint8Array> {
    const bytes = await super.get(...args);
    this.asked.push(bytes.length);
    return bytes;
  }
}

test('pages of one blob with changed ones between are read by few requests, each blob once', async () => {
  const storage = new CountingStorage(systemClock);
  const blobs = Array.from({ length: 65 }, (_, index) => patternedBytes(index === 0 ? 131_072 : 1024, index));
  const pieces = Array.from({ length: 128 }, (_, page) => {
    const changed = page % 2 === 1;
    return { blob: changed ? 1 + (page >> 1) : 0, offset: changed ? 0 : page * 1024, length: 1024 };
  });
  await using made = await makeRepository(storage);
  const manifest = await backUp(made, mapSource({ ...nothing, blobs, pieces }));
  await using repository = await openTestRepository(storage);
  const entry = (await Array.fromAsync(repository.entries(manifest)))[0];
  assert.ok(entry?.stream);
  storage.asked.length = 0;
  const bytes = Buffer.concat(await Array.fromAsync(repository.open(entry.stream)));
  assert.equal(bytes.length, 128 * 1024);
  const nodes = storage.asked.filter((length) => length < 8192).length;
  // Where a map is cut into leaves depends on the ids, and those on the repository's keys: most often there is one.
  assert.ok(nodes >= 1 && nodes <= 8, `${nodes} nodes of the map`);
  assert.equal(storage.asked.length - nodes, 1);
});

/** What `keep` answers for the streams of the backup before, asked from within the next one. */
async function keptBy(repository: Repository, streams: readonly StreamRef[]): Promise<readonly boolean[]> {
  let kept: readonly boolean[] = [];
  await backUp(repository, {
    name: 'keeper',
    kind: 'test',
    backup: async (context) => {
      kept = await context.keep(streams);
      return { metadata: {}, warnings: [] };
    },
  });
  return kept;
}

async function streamsOf(repository: Repository): Promise<StreamRef[]> {
  const [name] = await repository.names();
  assert.ok(name !== undefined);
  const entries = await Array.fromAsync(repository.entries(await repository.manifest(name)));
  return entries.flatMap(({ stream }) => stream ?? []);
}

test('streams are kept as they are only while all they are made of is there and good', async () => {
  const storage = new MemoryStorage(systemClock);
  const contents = {
    small: patternedBytes(1000, 1),
    empty: Buffer.alloc(0),
    big: patternedBytes(40_000_000, 2),
  };
  {
    await using repository = await makeRepository(storage, { encrypted: false });
    await backUp(repository, bytesSource(contents));
    const streams = await streamsOf(repository);
    assert.deepEqual(await keptBy(repository, streams), [true, true, true]);
    assert.deepEqual(await keptBy(repository, [{ size_bytes: 5, root: 'ab'.repeat(32), depth: 0 }]), [false]);
  }
  // Every pack has a part of the big one; the small one lies in the first.
  const packs = (await Array.fromAsync(storage.list('packs/'))).map(({ name }) => name);
  assert.ok(packs.length >= 3);
  for (const lost of packs) {
    const copy = new MemoryStorage(systemClock);
    for await (const { name } of storage.list(''))
      if (name !== lost) await copy.put(name, await storage.get(name));
    await using repository = await openTestRepository(copy);
    const original = await openTestRepository(storage);
    const streams = await streamsOf(original);
    await original[Symbol.asyncDispose]();
    const [small, empty, big] = await keptBy(repository, streams);
    assert.deepEqual([empty, big], [true, false]);
    assert.equal(typeof small, 'boolean');
  }
});

test('siblings back up at once into the same repository', async () => {
  const storage = new MemoryStorage(systemClock);
  await using repository = await makeRepository(storage);
  await using sibling = repository.sibling();
  const contents = [{ a: patternedBytes(3_000_000, 5) }, { b: patternedBytes(3_000_000, 6) }];
  const manifests = await Promise.all(
    [repository, sibling].map((one, index) =>
      backUp(one, { ...bytesSource(contents[index] ?? {}), name: `s${index}` }),
    ),
  );
  assert.equal((await repository.names()).length, 2);
  await using fresh = await openTestRepository(storage);
  for (const [index, manifest] of manifests.entries())
    assert.deepEqual(await readBack(fresh, manifest), contents[index]);
});
