import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Manifest } from '../src/contract/manifest.ts';
import { systemClock, type Clock } from '../src/kernel/clock.ts';
import { silentLogger } from '../src/kernel/log.ts';
import { Secret } from '../src/kernel/secret.ts';
import { backupSource } from '../src/operations/backup.ts';
import type { BackupSource } from '../src/operations/contract.ts';
import { defaultCompression, type Compression } from '../src/pipeline/codec.ts';
import type { Chunking } from '../src/pipeline/task.ts';
import { createRepository } from '../src/repository/create.ts';
import { openRepository } from '../src/repository/open.ts';
import type { Repository } from '../src/repository/repository.ts';
import type { Storage } from '../src/storage/port.ts';

export const passphrase = new Secret('correct horse battery');
export const silentProgress = { phase: () => {}, total: () => {}, advance: () => {}, stored: () => {} };
export const origin: Manifest['origin'] = {
  host: 'testhost',
  user: 'tester',
  holdfast_version: '0.0.0',
  git: null,
};

let caches: string | undefined;

/** A directory for an index cache that is gone when the test process ends. */
export function cacheDirectory(): string {
  if (caches === undefined) {
    const made = mkdtempSync(join(tmpdir(), 'holdfast-cache-'));
    process.on('exit', () => rmSync(made, { recursive: true, force: true }));
    caches = made;
  }
  return mkdtempSync(join(caches, 'cache-'));
}

export interface OpenTestOptions {
  readonly encrypted?: boolean;
  readonly cache?: string;
  readonly clock?: Clock;
  readonly passphrase?: Secret | null;
}

export async function makeRepository(storage: Storage, options: OpenTestOptions = {}): Promise<Repository> {
  const key = options.encrypted === false ? null : { passphrase, label: 'first' };
  await createRepository(storage, {
    key,
    clock: options.clock ?? systemClock,
    host: 'testhost',
    user: 'tester',
  });
  return await openTestRepository(storage, options);
}

export async function openTestRepository(
  storage: Storage,
  options: OpenTestOptions = {},
): Promise<Repository> {
  return await openRepository(storage, {
    passphrase: options.passphrase === undefined ? passphrase : options.passphrase,
    cacheDirectory: options.cache ?? cacheDirectory(),
    clock: options.clock ?? systemClock,
    log: silentLogger,
    host: 'testhost',
    user: 'tester',
    // One thread starts twice as fast as two.
    readJobs: 1,
  });
}

/** A source of named byte strings, written from the main thread. `between` is awaited after each of them. */
export function bytesSource(
  contents: Readonly<Record<string, Uint8Array>>,
  chunking: Chunking = { type: 'content', averageBytes: 65_536 },
  between: () => Promise<void> = async () => {},
): BackupSource {
  return {
    name: 'bytes',
    kind: 'test',
    backup: async (context) => {
      for (const [path, bytes] of Object.entries(contents)) {
        const writer = context.openStream(chunking);
        await writer.write(bytes);
        context.progress.advance(bytes.length);
        await context.addEntry({ path, kind: 'test.bytes', stream: await writer.finish(), meta: {} });
        await between();
      }
      return { metadata: {}, warnings: [] };
    },
  };
}

export interface BackUpOptions {
  readonly signal?: AbortSignal;
  readonly compression?: Compression;
  readonly clock?: Clock;
  readonly jobs?: number;
}

export async function backUp(
  repository: Repository,
  source: BackupSource,
  options: BackUpOptions = {},
): Promise<Manifest> {
  return await backupSource(repository, source, {
    signal: options.signal ?? new AbortController().signal,
    log: silentLogger,
    jobs: options.jobs ?? 1,
    progress: silentProgress,
    clock: options.clock ?? systemClock,
    compression: options.compression ?? defaultCompression,
    tags: {},
    origin,
  });
}

/** Everything a backup holds, by path. */
export async function readBack(repository: Repository, manifest: Manifest): Promise<Record<string, Buffer>> {
  const contents: Record<string, Buffer> = {};
  for await (const entry of repository.entries(manifest)) {
    const pieces: Uint8Array[] = [];
    if (entry.stream !== null) for await (const piece of repository.open(entry.stream)) pieces.push(piece);
    contents[entry.path] = Buffer.concat(pieces);
  }
  return contents;
}
