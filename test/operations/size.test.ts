import assert from 'node:assert/strict';
import { cpSync } from 'node:fs';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import fc from 'fast-check';
import type { Manifest } from '../../src/contract/manifest.ts';
import type { StreamRef } from '../../src/contract/stream.ts';
import { systemClock } from '../../src/kernel/clock.ts';
import type { BackupSource } from '../../src/operations/contract.ts';
import { measureSize, readBackups, type SizeReport } from '../../src/operations/size.ts';
import { readExtents, readNodeReferences } from '../../src/pipeline/map.ts';
import { packObject } from '../../src/repository/layout.ts';
import type { Repository } from '../../src/repository/repository.ts';
import { openFsStorage } from '../../src/storage/fs/open.ts';
import { MemoryStorage } from '../../src/storage/memory/memory-storage.ts';
import { patternedBytes } from '../../testing/bytes.ts';
import { goldenContents, goldenVariants } from '../../testing/golden.ts';
import {
  backUp,
  bytesSource,
  makeRepository,
  openTestRepository,
  silentProgress,
} from '../../testing/repository.ts';
import { tempDirectory } from '../../testing/temp.ts';

const { signal } = new AbortController();
const chunk = 512;
const fixed = { type: 'fixed', sizeBytes: chunk } as const;

async function sizeOf(repository: Repository): Promise<SizeReport> {
  return await measureSize(repository, await readBackups(repository, signal), {
    signal,
    progress: silentProgress,
  });
}

function named(name: string, source: BackupSource): BackupSource {
  return { ...source, name };
}

/** Ids of all a backup needs, each map walked from its root; what is below lost nodes nobody can know. */
async function needs(
  repository: Repository,
  manifest: Manifest,
  isLost: (id: string) => boolean = () => false,
): Promise<ReadonlySet<string>> {
  const reader = await repository.reader();
  const found = new Set<string>();
  const below = async (id: string, depth: number): Promise<void> => {
    found.add(id);
    if (depth === 0 || isLost(id)) return;
    const node = await reader.read(Buffer.from(id, 'hex'));
    for (const child of depth === 1 ? readExtents(node) : readNodeReferences(node))
      await below(Buffer.from(child.id).toString('hex'), depth - 1);
  };
  const streams: StreamRef[] = [manifest.entries.stream];
  for await (const { stream } of repository.entries(manifest)) if (stream !== null) streams.push(stream);
  for (const { root, depth } of streams) if (root !== null) await below(root, depth);
  return found;
}

async function storedBytes(repository: Repository, ids: Iterable<string>): Promise<number> {
  const cache = await repository.cache();
  let bytes = 0;
  for (const id of ids) bytes += 44 + (cache.locate(Buffer.from(id, 'hex'))?.storedLength ?? Number.NaN);
  return bytes;
}

/** Cut as the repository cuts them: the chunks that are not the same. */
function chunksOf(contents: Iterable<Readonly<Record<string, Buffer>>>): ReadonlySet<string> {
  const chunks = new Set<string>();
  for (const files of contents)
    for (const bytes of Object.values(files))
      for (let at = 0; at < bytes.length; at += chunk) chunks.add(bytes.toString('latin1', at, at + chunk));
  return chunks;
}

function lengthOf(contents: Iterable<{ readonly length: number }>): number {
  return [...contents].reduce((sum, { length }) => sum + length, 0);
}

/** What the sets in `all` have that is in none of the others. */
function onlyIn<T>(set: ReadonlySet<T>, all: readonly ReadonlySet<T>[]): ReadonlySet<T> {
  return all.reduce((rest, other) => (other === set ? rest : rest.difference(other)), set);
}

/** Contents of few pieces, so that much is shared; up to some levels of nothing new. */
const piece = fc.nat({ max: 5 });
const file = fc
  .array(piece, { maxLength: 12 })
  .map((pieces) => Buffer.concat(pieces.map((seed) => patternedBytes(700, seed))));
const files = fc.dictionary(fc.constantFrom('a', 'b', 'c'), file, { maxKeys: 3 });
const histories = fc.array(fc.record({ source: fc.constantFrom('shop', 'crm'), files }), {
  minLength: 1,
  maxLength: 5,
});

test('the figures are those of the contents, and of what forgetting frees', async () => {
  await fc.assert(
    fc.asyncProperty(histories, async (history) => {
      const storage = new MemoryStorage(systemClock);
      await using repository = await makeRepository(storage, { encrypted: false });
      const made: { id: string; source: string; files: Record<string, Buffer>; ids: ReadonlySet<string> }[] =
        [];
      for (const { source, files: contents } of history) {
        const manifest = await backUp(repository, named(source, bytesSource(contents, fixed)));
        made.push({ id: manifest.id, source, files: contents, ids: await needs(repository, manifest) });
      }
      await using fresh = await openTestRepository(storage, { encrypted: false });
      const report = await sizeOf(fresh);
      const all = made.map(({ ids }) => ids);
      for (const [index, { id, source, files: contents, ids }] of made.entries()) {
        const view = report.backups[index];
        assert.deepEqual([view?.id, view?.source, view?.missing_chunks], [id, source, 0]);
        assert.equal(view?.bytes, lengthOf(Object.values(contents)));
        assert.equal(view?.unique_bytes, lengthOf(chunksOf([contents])));
        assert.equal(view?.stored_bytes, await storedBytes(fresh, ids));
        assert.equal(view?.own_bytes, await storedBytes(fresh, onlyIn(ids, all)));
        assert.equal((view?.own_bytes ?? 0) + (view?.shared_bytes ?? 0), view?.stored_bytes);
      }
      const bySource = Map.groupBy(made, ({ source }) => source);
      const unions = new Map(
        [...bySource].map(([source, own]) => [source, union(own.map(({ ids }) => ids))]),
      );
      for (const view of report.sources) {
        const own = bySource.get(view.source) ?? [];
        const ids = unions.get(view.source) ?? new Set<string>();
        assert.equal(view.backups, own.length);
        assert.equal(view.bytes, lengthOf(own.flatMap((one) => Object.values(one.files))));
        assert.equal(view.unique_bytes, lengthOf(chunksOf(own.map((one) => one.files))));
        assert.equal(view.stored_bytes, await storedBytes(fresh, ids));
        assert.equal(view.own_bytes, await storedBytes(fresh, onlyIn(ids, [...unions.values()])));
      }
      assert.equal(report.sources.length, bySource.size);
      assert.equal(report.repository.stored_bytes, await storedBytes(fresh, union(all)));
      assert.equal(report.repository.unique_bytes, lengthOf(chunksOf(made.map((one) => one.files))));
      assert.equal(report.repository.unused_bytes, 0);
    }),
    { numRuns: 20 },
  );
});

function union(sets: readonly ReadonlySet<string>[]): ReadonlySet<string> {
  return sets.reduce((all, set) => all.union(set), new Set<string>());
}

/** Grows and changes as a database does: maps of several levels, most of which stays. */
async function growing(storage: MemoryStorage): Promise<Manifest[]> {
  await using repository = await makeRepository(storage);
  const manifests: Manifest[] = [];
  const data = patternedBytes(6_000_000, 7);
  for (const [version, size] of [5_000_000, 5_600_000, 5_600_000, 6_000_000].entries()) {
    data.fill(version, version * 900_000, version * 900_000 + 3000);
    const files = {
      big: data.subarray(0, size),
      twin: data.subarray(0, size),
      small: Buffer.from(`version ${version}`),
    };
    manifests.push(await backUp(repository, bytesSource(files, fixed)));
  }
  return manifests;
}

test('maps of several levels: own bytes of each backup are what its removal leaves unused', async () => {
  const storage = new MemoryStorage(systemClock);
  const manifests = await growing(storage);
  await using repository = await openTestRepository(storage);
  const before = await sizeOf(repository);
  for (const [index, manifest] of manifests.entries()) {
    const ids = await needs(repository, manifest);
    assert.equal(before.backups[index]?.stored_bytes, await storedBytes(repository, ids));
  }
  assert.equal(before.repository.unused_bytes, 0);
  assert.ok((before.backups[1]?.dedup_ratio ?? 0) >= 2, 'the twin costs nothing');
  const objects = (await repository.names()).map(({ objectName }) => objectName);
  for (const [index, name] of objects.entries()) {
    const bytes = await storage.get(name);
    await storage.delete(name);
    const after = await sizeOf(repository);
    assert.equal(after.repository.unused_bytes, before.backups[index]?.own_bytes, `without backup ${index}`);
    assert.equal(after.backups.length, manifests.length - 1);
    await storage.put(name, bytes);
  }
  assert.deepEqual(await sizeOf(repository), before);
});

test('what is the same in the backup before is not read again', async () => {
  const storage = new MemoryStorage(systemClock);
  await using repository = await makeRepository(storage);
  const big = patternedBytes(6_000_000, 8);
  const backUpOnce = () => backUp(repository, bytesSource({ big }, fixed));
  await backUpOnce();
  await using fresh = await openTestRepository(storage);
  const readsOf = async (): Promise<number> => {
    const reader = await fresh.reader();
    const read = reader.read.bind(reader);
    let reads = 0;
    reader.read = (...call) => {
      reads += 1;
      return read(...call);
    };
    await sizeOf(fresh);
    reader.read = read;
    return reads;
  };
  const once = await readsOf();
  assert.ok(once > 5, `${once} nodes`);
  for (let more = 0; more < 4; more += 1) await backUpOnce();
  assert.equal(await readsOf(), once);
});

test('the bytes of objects are those of the storage; what an interrupted backup left is unused', async () => {
  const storage = new MemoryStorage(systemClock);
  await using repository = await makeRepository(storage);
  await backUp(repository, bytesSource({ a: patternedBytes(100_000, 1) }));
  const broken = bytesSource({ b: patternedBytes(20_000_000, 2) });
  const stop = {
    ...broken,
    backup: async (context: Parameters<BackupSource['backup']>[0]) => {
      await broken.backup(context);
      throw new Error('interrupted');
    },
  };
  await assert.rejects(backUp(repository, stop), /interrupted/);
  await using fresh = await openTestRepository(storage);
  const { repository: whole, backups } = await sizeOf(fresh);
  let total = 0;
  for await (const { sizeBytes } of storage.list('')) total += sizeBytes;
  assert.equal(whole.total_bytes, total);
  assert.ok(whole.unused_bytes > 15_000_000 && whole.unused_bytes < 20_100_000, `${whole.unused_bytes}`);
  assert.equal(whole.stored_bytes, backups[0]?.own_bytes);
  const overhead = whole.pack_bytes - whole.stored_bytes - whole.unused_bytes;
  assert.ok(overhead > 0 && overhead < 20_000, `${overhead} bytes of headers and footers`);
});

test('a damaged manifest is named, and the rest is measured', async () => {
  const storage = new MemoryStorage(systemClock);
  const manifests = await growing(storage);
  await using repository = await openTestRepository(storage);
  const [first] = await repository.names();
  assert.ok(first !== undefined);
  const sealed = Buffer.from(await storage.get(first.objectName));
  await storage.delete(first.objectName);
  sealed[100] = (sealed[100] ?? 0) ^ 1;
  await storage.put(first.objectName, sealed);
  const { backups, unreadable } = await sizeOf(repository);
  assert.deepEqual(
    unreadable.map(({ name, error }) => [name.id as string, 'errorName' in error && error.errorName]),
    [[manifests[0]?.id, 'object_damaged']],
  );
  assert.deepEqual(
    backups.map(({ id, missing_chunks: missing }) => [id, missing]),
    manifests.slice(1).map(({ id }) => [id, 0]),
  );
});

test('chunks of a lost pack are counted where they are missed, and a backup without its list is named', async () => {
  const storage = new MemoryStorage(systemClock);
  const manifests = await growing(storage);
  const [first, ...others] = manifests;
  await using repository = await openTestRepository(storage);
  const cache = await repository.cache();
  assert.ok(first !== undefined);
  const lost = cache.locate(Buffer.from(first.entries.stream.root ?? '', 'hex'))?.packId ?? '';
  const isLost = (id: string): boolean => cache.locate(Buffer.from(id, 'hex'))?.packId === lost;
  const wanted: [string, number, number][] = [];
  for (const manifest of others) {
    const ids = [...(await needs(repository, manifest, isLost))];
    const rest = ids.filter((id) => !isLost(id));
    assert.ok(rest.length > 0 && rest.length < ids.length);
    wanted.push([manifest.id, ids.length - rest.length, await storedBytes(repository, rest)]);
  }
  await storage.delete(packObject(lost));
  await using poorer = await openTestRepository(storage);
  const { backups, unreadable } = await sizeOf(poorer);
  assert.deepEqual(
    unreadable.map(({ name }) => name.id as string),
    [first.id],
  );
  assert.deepEqual(
    backups.map((backup) => [backup.id, backup.missing_chunks, backup.stored_bytes]),
    wanted,
  );
});

/** Unique, stored and own bytes of each backup. These repositories never change, so these never do. */
const golden: Readonly<Record<string, unknown>> = {
  'format-1-encrypted': [
    [93_780, 35_444, 30_795],
    [63_815, 5_459, 810],
  ],
  'format-1-plain': [
    [93_780, 65_824, 40_461],
    [63_815, 30_222, 4_859],
  ],
};

for (const variant of goldenVariants) {
  test(`figures of a repository written by the first version: ${variant.name}`, async () => {
    await using directory = await tempDirectory('holdfast-size-');
    cpSync(fileURLToPath(new URL(`../golden/${variant.name}`, import.meta.url)), directory.path, {
      recursive: true,
    });
    const storage = await openFsStorage(directory.path, { create: false, clock: systemClock });
    await using repository = await openTestRepository(storage, { encrypted: variant.encrypted });
    const report = await sizeOf(repository);
    assert.deepEqual(
      report.backups.map(({ bytes }) => bytes),
      goldenContents.map((contents) => lengthOf(Object.values(contents))),
    );
    const figures = report.backups.map((backup) => [
      backup.unique_bytes,
      backup.stored_bytes,
      backup.own_bytes,
    ]);
    assert.deepEqual(figures, golden[variant.name]);
    assert.equal(report.repository.unused_bytes, 0);
    assert.equal(report.repository.stored_bytes, lengthOfStored(report));
  });
}

/** Two backups: what each has alone, and once what both have. */
function lengthOfStored({ backups: [first, second] }: SizeReport): number {
  assert.equal(first?.shared_bytes, second?.shared_bytes);
  return (first?.own_bytes ?? 0) + (second?.stored_bytes ?? 0);
}
