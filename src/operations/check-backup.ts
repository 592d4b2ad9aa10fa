import type { Manifest } from '../contract/manifest.ts';
import type { Entry } from '../contract/stream.ts';
import { groupReads, type BlobReader } from '../repository/blob-reader.ts';
import type { Repository } from '../repository/repository.ts';
import { type NodeVisitor, walkStream } from '../repository/walk.ts';

export interface CheckOptions {
  readonly signal: AbortSignal;
  /** Which entries matter; all unless given. */
  readonly needs?: (entry: Entry) => boolean;
  /** `presence`: lists and maps are read, of chunks only whether a pack that is there and of the right size has them. */
  readonly depth?: 'contents' | 'presence';
}

const readsAtOnce = 3;

const everyNode: NodeVisitor = {
  node: () => true,
  unreadable: (_, error) => {
    throw error;
  },
};

/**
 * Checks every chunk that a restore of these entries will read, keeping nothing: reads it, unless told otherwise.
 * Rejects with the first `blob_damaged`, `blob_missing` or `object_missing`.
 */
export async function checkBackup(
  repository: Repository,
  manifest: Manifest,
  options: CheckOptions,
): Promise<void> {
  const { signal, depth = 'contents' } = options;
  const reader = await repository.reader(signal);
  const cache = await repository.cache(signal);
  cache.beginWalk();
  let window: Uint8Array[] = [];
  for await (const entry of repository.entries(manifest, { signal })) {
    if (entry.stream === null || options.needs?.(entry) === false) continue;
    for await (const chunks of walkStream(reader, entry.stream, everyNode, signal)) {
      const fresh = chunks.filter((id) => cache.visit(id));
      if (depth === 'presence') {
        for (const id of fresh) reader.expect(id);
        continue;
      }
      window.push(...fresh);
      if (window.length < 256) continue;
      await checkChunks(reader, window, signal);
      window = [];
    }
  }
  await checkChunks(reader, window, signal);
}

async function checkChunks(
  reader: BlobReader,
  ids: readonly Uint8Array[],
  signal: AbortSignal,
): Promise<void> {
  const groups = groupReads(
    ids.map((id) => reader.locate(id)),
    reader.readBytes,
  ).values();
  const lane = async (): Promise<void> => {
    for (const group of groups) {
      for (const error of await reader.checkGroup(group, signal)) if (error !== null) throw error;
    }
  };
  await Promise.all(Array.from({ length: readsAtOnce }, lane));
}
