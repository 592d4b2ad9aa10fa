import assert from 'node:assert/strict';
import { copyFileSync, mkdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { databaseMetaSchema } from '../../src/sources/sqlite/metadata.ts';
import type { MemoryBackup } from '../../testing/memory-backup.ts';
import { tempDirectory, type TempDirectory } from '../../testing/temp.ts';
import { leftIn, names } from './support.ts';

export interface Place extends AsyncDisposable {
  readonly data: string;
  readonly temporary: string;
  readonly restored: string;
}

/** Directories that are gone afterwards; asserts that no copy was left. */
export async function place(): Promise<Place> {
  const directory: TempDirectory = await tempDirectory();
  const data = join(directory.path, 'data');
  const temporary = join(directory.path, 'tmp');
  for (const one of [data, temporary]) mkdirSync(one);
  return {
    data,
    temporary,
    restored: join(directory.path, 'restored'),
    [Symbol.asyncDispose]: async () => {
      assert.deepEqual(leftIn(temporary), [], 'a copy was left');
      await directory[Symbol.asyncDispose]();
    },
  };
}

/** Everything about the files of a directory that a backup must not change. */
export function state(directory: string): unknown {
  return names(directory).map((name) => {
    const { mtimeMs, ino, size } = statSync(join(directory, name));
    return { name, mtimeMs, ino, size };
  });
}

export function metaOf(memory: MemoryBackup, path: string): ReturnType<typeof databaseMetaSchema.parse> {
  return databaseMetaSchema.parse(memory.entry(path).meta);
}

/** A database in the middle of a transaction whose program dies then: the files as they are on disk. */
export function crashed(from: string, to: string, work: (database: DatabaseSync) => void): void {
  const database = new DatabaseSync(from);
  database.exec('PRAGMA cache_size = 5; PRAGMA wal_autocheckpoint = 0');
  work(database);
  for (const ending of ['', '-wal', '-journal']) {
    try {
      copyFileSync(from + ending, to + ending);
    } catch {
      // Not of this journal mode.
    }
  }
  if (database.isTransaction) database.exec('ROLLBACK');
  database.close();
}
