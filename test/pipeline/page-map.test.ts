import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import fc from 'fast-check';
import type { StreamRef } from '../../src/contract/stream.ts';
import type { Extent } from '../../src/pipeline/map.ts';
import { PageMapWriter } from '../../src/pipeline/page-map.ts';
import type { StoredData } from '../../src/pipeline/stored.ts';
import type { MapWriter } from '../../src/pipeline/task.ts';
import { patternedBytes } from '../../testing/bytes.ts';

/** Blobs and maps in memory, counting what is stored anew. */
class Store {
  readonly blobs = new Map<string, Buffer>();
  readonly maps: Extent[][] = [];
  readonly lost = new Set<string>();
  newBytes = 0;
  newBlobs = 0;

  readonly stored: StoredData = {
    present: async (ids) => ids.map((id) => this.blobs.has(hex(id)) && !this.lost.has(hex(id))),
    bytes: () => assert.fail('nothing here reads bytes'),
    extents: ({ root }) => this.#extents(root),
  };

  async *#extents(root: string | null): AsyncGenerator<readonly Extent[], void, void> {
    const extents = this.maps[Number(root)] ?? [];
    // In batches that end anywhere.
    for (let at = 0; at < extents.length; at += 7) yield extents.slice(at, at + 7);
  }

  openMap(): MapWriter {
    const extents: Extent[] = [];
    return {
      blob: async (raw) => {
        const id = createHash('sha256').update(raw).digest();
        if (!this.blobs.has(hex(id)) || this.lost.has(hex(id))) {
          this.newBytes += raw.length;
          this.newBlobs += 1;
        }
        this.lost.delete(hex(id));
        this.blobs.set(hex(id), Buffer.from(raw));
        return id;
      },
      extent: async (extent) => void extents.push({ ...extent }),
      store: async () => {},
      finish: async () => {
        this.maps.push(extents);
        const size = extents.reduce((sum, { length }) => sum + length, 0);
        return { size_bytes: size, root: String(this.maps.length - 1), depth: 1 };
      },
    };
  }

  extentsOf(stream: StreamRef): readonly Extent[] {
    return this.maps[Number(stream.root)] ?? [];
  }

  content(stream: StreamRef): Buffer {
    return Buffer.concat(
      this.extentsOf(stream).map(({ id, offset, length }) => {
        assert.ok(!this.lost.has(hex(id)), 'a lost blob is referred to');
        const piece = this.blobs.get(hex(id))?.subarray(offset, offset + length);
        assert.equal(piece?.length, length, 'an extent outside its blob');
        return piece ?? Buffer.alloc(0);
      }),
    );
  }
}

function hex(id: Uint8Array): string {
  return Buffer.from(id).toString('hex');
}

interface Version {
  readonly bytes: Buffer;
  readonly stream: StreamRef;
}

async function write(
  store: Store,
  bytes: Buffer,
  previous: Version | null,
  pageBytes: number,
): Promise<StreamRef> {
  const { stored } = store;
  const writer = new PageMapWriter({
    map: store.openMap(),
    stored,
    previous: previous?.stream ?? null,
    pageBytes,
  });
  for (let at = 0; at < bytes.length; at += writer.pieceBytes) {
    const piece = bytes.subarray(at, at + writer.pieceBytes);
    const changed = Uint8Array.from({ length: Math.ceil(piece.length / pageBytes) }, (_, page) => {
      const from = at + page * pageBytes;
      const to = Math.min(from + pageBytes, bytes.length);
      const before = previous?.bytes.subarray(from, to);
      return before !== undefined && before.equals(bytes.subarray(from, to)) ? 0 : 1;
    });
    if (changed.includes(1) || !(await writer.keep(piece.length))) await writer.add(piece, changed);
  }
  return await writer.finish();
}

const steps = fc.array(
  fc.oneof(
    {
      weight: 6,
      arbitrary: fc.record({
        do: fc.constant('change' as const),
        pages: fc.array(fc.nat(), { maxLength: 20 }),
      }),
    },
    { weight: 2, arbitrary: fc.record({ do: fc.constant('resize' as const), to: fc.nat({ max: 700_000 }) }) },
    { weight: 1, arbitrary: fc.record({ do: fc.constant('lose' as const), blob: fc.nat() }) },
    { weight: 1, arbitrary: fc.constant({ do: 'nothing' as const }) },
  ),
  { minLength: 1, maxLength: 30 },
);

test('every version of a chain comes back, whatever changed, grew, shrank or was lost', async () => {
  const sizes = fc.constantFrom(512, 4096, 8192, 65_536, 262_144, 1000);
  await fc.assert(
    fc.asyncProperty(sizes, fc.nat({ max: 700_000 }), steps, async (pageBytes, size, plan) => {
      const store = new Store();
      let bytes = patternedBytes(size, 1);
      let last: Version | null = null;
      let seed = 2;
      for (const step of [{ do: 'nothing' as const }, ...plan]) {
        if (step.do === 'change') {
          bytes = Buffer.from(bytes);
          for (const page of bytes.length === 0 ? [] : step.pages) {
            const at = (page % Math.ceil(bytes.length / pageBytes)) * pageBytes;
            patternedBytes(Math.min(pageBytes, bytes.length - at), (seed += 1)).copy(bytes, at);
          }
        } else if (step.do === 'resize') {
          const added = patternedBytes(Math.max(0, step.to - bytes.length), (seed += 1));
          bytes = Buffer.concat([bytes.subarray(0, step.to), added]);
        } else if (step.do === 'lose' && store.blobs.size > 0) {
          store.lost.add([...store.blobs.keys()][step.blob % store.blobs.size] ?? '');
        }
        const stream = await write(store, bytes, last, pageBytes);
        assert.ok(store.content(stream).equals(bytes), 'another content');
        const extents = store.extentsOf(stream);
        for (const [index, { id, offset, length }] of extents.entries()) {
          assert.ok(length > 0);
          const next = extents[index + 1];
          const goesOn = next !== undefined && hex(next.id) === hex(id) && next.offset === offset + length;
          assert.ok(!goesOn, 'two extents that could be one');
        }
        last = { bytes, stream };
      }
    }),
    { numRuns: 60 },
  );
});

test('a file that has not changed costs nothing, one page costs one page', async () => {
  const store = new Store();
  const bytes = patternedBytes(3_000_000, 1);
  const first = { bytes, stream: await write(store, bytes, null, 4096) };
  assert.equal(store.newBytes, 3_000_000);
  store.newBytes = 0;
  const second = { bytes, stream: await write(store, bytes, first, 4096) };
  assert.equal(store.newBytes, 0);
  assert.deepEqual(store.extentsOf(second.stream), store.extentsOf(first.stream));
  const changed = Buffer.from(bytes);
  changed.writeUInt8((changed.readUInt8(1_000_000) + 1) % 256, 1_000_000);
  await write(store, changed, second, 4096);
  assert.equal(store.newBytes, 4096);
});

test('pages that change here and there are gathered into few blobs', async () => {
  const store = new Store();
  const bytes = patternedBytes(16 * 1024 * 1024, 1);
  const first = { bytes, stream: await write(store, bytes, null, 4096) };
  store.newBytes = 0;
  store.newBlobs = 0;
  const changed = Buffer.from(bytes);
  for (let page = 0; page < 4096; page += 16) patternedBytes(4096, page + 7).copy(changed, page * 4096);
  await write(store, changed, first, 4096);
  assert.equal(store.newBytes, 256 * 4096);
  assert.equal(store.newBlobs, 8);
});

test('what waits for a blob is bounded: one changed page far in front of the next', async () => {
  const store = new Store();
  // A map of very many extents that do not join, as if every page came from elsewhere.
  const writer = store.openMap();
  const count = 20_000;
  const id = await writer.blob(patternedBytes(1024, 1));
  for (let at = 0; at < count; at += 1) await writer.extent({ id, offset: (at % 2) * 512, length: 100 });
  const previous = await writer.finish();
  const map = store.openMap();
  let handedOn = 0;
  const counting: MapWriter = {
    ...map,
    extent: async (extent) => {
      handedOn += 1;
      await map.extent(extent);
    },
  };
  const pages = new PageMapWriter({ map: counting, stored: store.stored, previous, pageBytes: 100 });
  const perPiece = pages.pieceBytes / 100;
  const changed = new Uint8Array(perPiece);
  changed[0] = 1;
  await pages.add(Buffer.alloc(pages.pieceBytes), changed);
  for (let page = perPiece; page < count; page += perPiece) {
    const some = Math.min(perPiece, count - page);
    assert.ok(await pages.keep(some * 100));
    assert.ok(page + some - handedOn < 6000, `${page + some - handedOn} extents wait`);
  }
  assert.equal((await pages.finish()).size_bytes, count * 100);
});

test('the blobs that a piece lies in stay few, however often pages change; and not all are written anew at once', async () => {
  const store = new Store();
  const pages = 2048;
  let bytes = patternedBytes(pages * 4096, 1);
  let last: Version = { bytes, stream: await write(store, bytes, null, 4096) };
  const costs: number[] = [];
  for (let round = 0; round < 60; round += 1) {
    bytes = Buffer.from(bytes);
    // Two pages of each piece of 32, others each time.
    for (let piece = 0; piece < pages / 32; piece += 1) {
      for (const page of [(round * 7) % 32, (round * 11 + 3) % 32])
        patternedBytes(4096, round * 100_003 + piece * 37 + page).copy(bytes, (piece * 32 + page) * 4096);
    }
    store.newBytes = 0;
    last = { bytes, stream: await write(store, bytes, last, 4096) };
    costs.push(store.newBytes);
    assert.ok(mostBlobsOfAPiece(store.extentsOf(last.stream)) <= 17);
  }
  assert.ok(store.content(last.stream).equals(bytes));
  assert.ok(store.extentsOf(last.stream).length <= pages, 'more extents than pages');
  // A whole copy is 8 MiB; each round changes a sixteenth of it.
  assert.ok(Math.max(...costs) < 5_000_000, `a round cost ${Math.max(...costs)}`);
  const mean = costs.reduce((sum, cost) => sum + cost, 0) / costs.length;
  assert.ok(mean < 4 * 524_288, `rounds cost ${mean} on average`);
});

function mostBlobsOfAPiece(extents: readonly Extent[]): number {
  const pieces = new Map<number, Set<string>>();
  let at = 0;
  for (const { id, length } of extents) {
    for (let piece = Math.floor(at / 131_072); piece * 131_072 < at + length; piece += 1) {
      pieces.set(piece, (pieces.get(piece) ?? new Set()).add(hex(id)));
    }
    at += length;
  }
  return Math.max(...[...pieces.values()].map((ids) => ids.size));
}
