import { failure } from '../../kernel/errors/failure.ts';
import { headerBytes, tagBytes } from '../../pipeline/seal.ts';
import type { Repository } from '../../repository/repository.ts';
import type { WalArchive, WalStretch } from '../../repository/wal/model.ts';
import { frameBytes, sectionHeaderBytes } from '../../repository/wal/object.ts';

/** Of a stretch in the fewest bytes: a head, and frames that could be compressed to nothing. */
export function leastBytes({ start, end }: Pick<WalStretch, 'start' | 'end'>): number {
  const frames = Math.ceil(Number(end - start) / frameBytes);
  return headerBytes + (1 + frames) * (sectionHeaderBytes + tagBytes);
}

/**
 * Whether an object with WAL is as long as the headers of its frames say, and its head is its own; reads little of it.
 * `object_damaged`, `object_missing`.
 */
export async function checkLength(
  repository: Repository,
  archive: WalArchive,
  stretch: WalStretch,
  signal: AbortSignal,
): Promise<void> {
  const { objectName: name, storedBytes } = stretch;
  await archive.facts(stretch, { signal });
  const frames = Math.ceil(Number(stretch.end - stretch.start) / frameBytes);
  let at = headerBytes;
  for (let section = 0; section <= frames; section += 1) {
    const header = await repository.storage.get(name, { offset: at, length: sectionHeaderBytes, signal });
    if (header.length < sectionHeaderBytes) throw wrongLength(name, 'it was cut');
    at += sectionHeaderBytes + Buffer.from(header).readUInt32LE(8) + tagBytes;
    if (at > storedBytes) throw wrongLength(name, 'it was cut');
  }
  if (at < storedBytes) throw wrongLength(name, `it has ${storedBytes - at} bytes too many`);
}

function wrongLength(name: string, reason: string): Error {
  return failure('object_damaged', { name, reason }, { cause: new Error(reason) });
}
