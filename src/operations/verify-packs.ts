import { failure, isFailure } from '../kernel/errors/failure.ts';
import { authenticateObject } from '../repository/authenticate.ts';
import { packIdOf, packObject, walPrefix } from '../repository/layout.ts';
import type { Repository } from '../repository/repository.ts';
import type { Findings } from './verify-findings.ts';
import type { VerifyOptions } from './verify-options.ts';
import { tellDamage } from './verify-objects.ts';
import { leastRecentlyRead, neverRead } from './verify-rotation.ts';

/** Whole packs in memory at once. */
const packsAtOnce = 2;

/** Reads packs whole and checks every byte of them. */
export async function verifyPacks(
  repository: Repository,
  which: 'needed' | 'listed',
  findings: Findings,
  options: VerifyOptions,
): Promise<void> {
  const cache = await repository.cache(options.signal);
  const packs = [...cache.packs(which)];
  const facts = { keyOf: (pack: Pack) => pack.id, bytesOf: (pack: Pack) => pack.sizeBytes };
  const { subset, readAt } = options;
  const everything = { items: packs, ranges: [{ from: '', to: null }] };
  const { items: chosen, ranges } =
    subset === undefined ? everything : leastRecentlyRead(packs, facts, subset, readAt?.packs ?? neverRead);
  options.progress.total(chosen.reduce((sum, pack) => sum + pack.sizeBytes, 0));
  const next = chosen.values();
  const lane = async (): Promise<void> => {
    for (const pack of next) {
      options.signal.throwIfAborted();
      await verifyPack(repository, pack.id, findings, options.signal);
      options.progress.advance(pack.sizeBytes);
    }
  };
  await Promise.all(Array.from({ length: packsAtOnce }, lane));
  // Of some backups only what they need is read, and that lies anywhere.
  if (which === 'listed') findings.read.packs.push(...ranges);
}

/** Reads objects that were found damaged before. */
export async function verifySuspects(
  repository: Repository,
  names: readonly string[],
  findings: Findings,
  signal: AbortSignal,
): Promise<void> {
  const cache = await repository.cache(signal);
  // What was found already needs no second look.
  const known = findings.subjects();
  for (const name of names) {
    signal.throwIfAborted();
    if (known.has(name)) continue;
    const id = packIdOf(name);
    if (id !== undefined && cache.listedBytes(id) !== undefined)
      await verifyPack(repository, id, findings, signal);
    if (!name.startsWith(walPrefix) || name.endsWith('/')) continue;
    try {
      authenticateObject(repository.pipelineKeys, name, await repository.storage.get(name, { signal }));
    } catch (error) {
      if (!isFailure(error, 'object_missing')) tellDamage(findings, name, error, signal);
    }
  }
}

type Pack = { readonly id: string; readonly sizeBytes: number };

async function verifyPack(
  repository: Repository,
  id: string,
  findings: Findings,
  signal: AbortSignal,
): Promise<void> {
  const name = packObject(id);
  const cache = await repository.cache(signal);
  const contents = cache.packContents(id);
  findings.objectsChecked += 1;
  // A pack that nothing can be read of was named when the index was brought up to date.
  if (contents === undefined) return;
  try {
    const bytes = await repository.storage.get(name, { signal });
    findings.bytesRead += bytes.length;
    const { salt, entries } = contents;
    const found = await repository.workers().checkPack({ id, bytes, salt, entries });
    findings.blobsRead += found.blobsChecked;
    if (found.blobs.length === 0) cache.clearDamage(id);
    for (const blob of found.blobs) {
      cache.markDamaged(Buffer.from(blob.id, 'hex'), id);
      const error = failure('blob_damaged', { blob: blob.id.slice(0, 16), name, reason: blob.reason });
      findings.addBlob(Buffer.from(blob.id, 'hex'), name, error);
    }
    // Damage outside its chunks costs nothing, for the index and the second copy tell the same; but it is named.
    if (found.damage !== null && found.blobs.length === 0) {
      findings.add(name, failure('object_damaged', { name, reason: found.damage }));
    }
  } catch (error) {
    tellDamage(findings, name, error, signal);
  }
}
