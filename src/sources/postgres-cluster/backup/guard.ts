import type { BackupContext } from '../../port.ts';
import { guardModule, type FileToGuard, type GuardOutput } from './guard-task.ts';

/** One task compares so many pieces, or those of one file. */
const piecesInTask = 64;

/** Compares a sample of what looks unchanged with what is stored. */
export async function guardSample(
  files: readonly FileToGuard[],
  place: { readonly dataDirectory: string; readonly pageBytes: number },
  context: BackupContext,
): Promise<GuardOutput> {
  const results = await Promise.all(
    shareOut(files).map((lot) => context.run(guardModule, { ...place, files: lot })),
  );
  return {
    pages: results.reduce((sum, { pages }) => sum + pages, 0),
    mismatch: results.find(({ mismatch }) => mismatch !== null)?.mismatch ?? null,
  };
}

function shareOut(files: readonly FileToGuard[]): readonly FileToGuard[][] {
  const lots: FileToGuard[][] = [];
  let pieces = piecesInTask;
  for (const file of files) {
    if (pieces >= piecesInTask) {
      lots.push([]);
      pieces = 0;
    }
    lots.at(-1)?.push(file);
    pieces += file.pieces.length;
  }
  return lots;
}
