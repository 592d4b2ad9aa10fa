import type { Manifest } from '../contract/manifest.ts';
import type { StreamRef } from '../contract/stream.ts';
import { failure } from '../kernel/errors/failure.ts';
import { shortId } from '../repository/blob-reader.ts';
import { packObject } from '../repository/layout.ts';
import type { Repository } from '../repository/repository.ts';
import { walkStream } from '../repository/walk.ts';
import { tellDamage } from './verify-objects.ts';
import type { Findings } from './verify-findings.ts';

/**
 * Checks that everything one backup needs is there: its list of entries, every map, every chunk in a pack that is
 * listed with the right size. What an earlier backup of the same walk has visited is not visited again.
 */
export async function verifyStructure(
  repository: Repository,
  manifest: Manifest,
  findings: Findings,
  signal: AbortSignal,
): Promise<void> {
  const visit = await streamVisitor(repository, findings, signal);
  try {
    await visit(manifest.entries.stream);
    for await (const entry of repository.entries(manifest, { signal })) {
      if (entry.stream !== null) await visit(entry.stream);
    }
  } catch (error) {
    tellDamage(findings, `the entries of backup ${manifest.id}`, error, signal, [manifest.id]);
  }
}

async function streamVisitor(
  repository: Repository,
  findings: Findings,
  signal: AbortSignal,
): Promise<(stream: StreamRef) => Promise<void>> {
  const reader = await repository.reader(signal);
  const cache = await repository.cache(signal);
  const { location } = repository.storage;
  const present = (id: Uint8Array): void => {
    findings.blobsChecked += 1;
    const found = cache.locate(id);
    if (found === undefined) {
      findings.addBlob(id, `chunk ${shortId(id)}`, failure('blob_missing', { blob: shortId(id) }));
      return;
    }
    cache.need(found.packId);
    const name = packObject(found.packId);
    if (found.present) return;
    const listed = cache.listedBytes(found.packId);
    const reason = `it has ${listed} bytes instead of ${found.packSizeBytes}`;
    findings.addBlob(
      id,
      name,
      listed === undefined
        ? failure('object_missing', { name, location })
        : failure('object_damaged', { name, reason }),
    );
  };
  return async (stream) => {
    const visitor = {
      node: (id: Uint8Array): boolean => {
        if (!cache.visit(id)) return false;
        present(id);
        return true;
      },
      unreadable: (id: Uint8Array, error: Error) => {
        const found = cache.locate(id);
        findings.addBlob(id, found === undefined ? `chunk ${shortId(id)}` : packObject(found.packId), error);
      },
    };
    for await (const chunks of walkStream(reader, stream, visitor, signal)) {
      for (const id of chunks) if (cache.visit(id)) present(id);
    }
  };
}
