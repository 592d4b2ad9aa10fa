import { open, type FileHandle } from 'node:fs/promises';
import type { StreamRef } from '../../../contract/stream.ts';
import { failure } from '../../../kernel/errors/failure.ts';
import type { RestoreContext } from '../../port.ts';
import { warningOf } from '../judge.ts';
import { checkModule } from '../check-task.ts';
import { comparisonModule } from './compare-task.ts';
import type { Placing } from './place.ts';
import type { PlannedDatabase } from './plan.ts';
import type { SqliteRestoreOptions } from './options.ts';
import { writing } from './write-failure.ts';

export interface StagedDatabase {
  readonly isChecked: boolean;
  readonly warnings: readonly string[];
}

/** Writes a database beside its place, and reads it back. */
export async function stageDatabase(
  database: PlannedDatabase,
  placing: Placing,
  options: SqliteRestoreOptions,
  context: RestoreContext,
): Promise<StagedDatabase> {
  const { entry, hashes } = database;
  const staged = await placing.stage(database);
  await writeStream(staged.file, entry.stream, context, (count) => context.progress.advance(count));
  if (hashes === null) {
    await placing.dress(database);
    return notExamined;
  }
  await writeStream(staged.hashes, hashes.stream, context, () => {});
  context.progress.phase(`checking ${database.path}`);
  const [compared, examined] = await Promise.allSettled([
    compare(database, staged, context),
    options.check ? examine(database, staged.file, context) : notExamined,
  ]);
  // What differs is the reason of what SQLite finds.
  if (compared.status === 'rejected') throw compared.reason;
  if (examined.status === 'rejected') throw examined.reason;
  await placing.dress(database);
  return examined.value;
}

const notExamined: StagedDatabase = { isChecked: false, warnings: [] };

async function compare(
  { file, meta, bytes }: PlannedDatabase,
  staged: { readonly file: string; readonly hashes: string },
  context: RestoreContext,
): Promise<void> {
  const input = { ...staged, pageBytes: meta.page_size, sizeBytes: bytes };
  const { difference } = await context.run(comparisonModule, input);
  if (difference !== null) throw failure('restore_differs', { path: file, reason: difference });
}

async function examine(
  { file, meta, path }: PlannedDatabase,
  staged: string,
  context: RestoreContext,
): Promise<StagedDatabase> {
  const { result, problems } = await context.run(checkModule, { file: staged, level: 'full' });
  if (result === 'ok') return { isChecked: true, warnings: [] };
  const [reason = ''] = problems;
  if (result === 'unknown')
    return { isChecked: false, warnings: [warningOf(failure('sqlite_unchecked', { file, reason }))] };
  // That it is damaged was known when it was backed up, and the plan has said so.
  if (meta.check.result === 'damaged') return { isChecked: false, warnings: [] };
  const first = problems.slice(0, 3).join('; ').replaceAll(/\s+/g, ' ');
  throw failure('sqlite_restored_damaged', { file: path, problems: first });
}

/** Makes a file, which must not be there, and sees it to the disk. */
async function writeStream(
  path: string,
  stream: StreamRef | null,
  context: RestoreContext,
  onWritten: (bytes: number) => void,
): Promise<void> {
  const handle = await writing(path, async () => await open(path, 'wx', 0o600));
  try {
    let at = 0;
    if (stream !== null) {
      for await (const piece of context.open(stream, { lent: true })) {
        context.signal.throwIfAborted();
        await writing(path, async () => await writeAll(handle, piece, at));
        at += piece.length;
        onWritten(piece.length);
      }
    }
    await writing(path, async () => await handle.sync());
  } finally {
    await handle.close();
  }
}

async function writeAll(handle: FileHandle, piece: Uint8Array, position: number): Promise<void> {
  for (let at = 0; at < piece.length;)
    at += (await handle.write(piece, at, piece.length - at, position + at)).bytesWritten;
}
