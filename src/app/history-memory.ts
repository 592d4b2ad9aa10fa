import { hash, randomBytes } from 'node:crypto';
import { mkdir, open, readFile, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { failure, reasonOf } from '../kernel/errors/failure.ts';
import type { Logger } from '../kernel/log.ts';
import {
  historyFileSchema,
  newestPoints,
  type HistoryMemory,
  type HistoryPoint,
} from '../repository/remembered.ts';
import { unreadable } from './unreadable.ts';

/** Whose history: copies of a repository have its id, and may lag behind. */
export interface WhoseHistory {
  readonly repository: string;
  readonly location: string;
}

/** What this machine has seen of the history of a repository in one place: a small file of its own. */
export class FileHistoryMemory implements HistoryMemory {
  readonly path: string;
  readonly #whose: WhoseHistory;
  readonly #log: Logger;
  #points: readonly HistoryPoint[];

  private constructor(path: string, whose: WhoseHistory, log: Logger, points: readonly HistoryPoint[]) {
    this.path = path;
    this.#whose = whose;
    this.#log = log;
    this.#points = points;
  }

  /** What cannot be read is begun anew: it protects, and must not stop backups. */
  static async open(stateDirectory: string, whose: WhoseHistory, log: Logger): Promise<FileHistoryMemory> {
    const place = hash('sha256', whose.location, 'hex').slice(0, 16);
    const path = join(stateDirectory, 'history', `${whose.repository}-${place}.json`);
    return new FileHistoryMemory(path, whose, log, await pointsIn(path, log));
  }

  get points(): readonly HistoryPoint[] {
    return this.#points;
  }

  sha256Of(id: string): string | undefined {
    return this.#points.find((point) => point.id === id)?.sha256;
  }

  async saw(points: readonly HistoryPoint[]): Promise<void> {
    try {
      // Another process may have seen others since.
      this.#points = newestPoints(newestPoints(await pointsIn(this.path, this.#log), this.#points), points);
      await writeHistoryFile(this.path, this.#whose, this.#points);
    } catch (error) {
      this.#log.warn('what was seen of the history cannot be remembered', {
        path: this.path,
        reason: reasonOf(error),
      });
    }
  }
}

async function pointsIn(path: string, log: Logger): Promise<readonly HistoryPoint[]> {
  try {
    return historyFileSchema.parse(JSON.parse(await readFile(path, 'utf8'))).points;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT')
      log.warn('what was remembered of the history cannot be read', { path, reason: reasonOf(error) });
    return [];
  }
}

/** Points that somebody has kept in a file. `config_unreadable`, `history_file_wrong`. */
export async function readHistoryFile(path: string, repository: string): Promise<readonly HistoryPoint[]> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    throw await unreadable(path, error);
  }
  try {
    const file = historyFileSchema.parse(JSON.parse(text));
    if (file.repository !== repository) throw new Error(`it is of repository ${file.repository}`);
    return file.points;
  } catch (error) {
    const reason =
      error instanceof Error && error.message.startsWith('it is of') ? error.message : 'it is no such file';
    throw failure('history_file_wrong', { path, reason }, { cause: error });
  }
}

/** Writes such a file, whole or not at all. */
export async function writeHistoryFile(
  path: string,
  { repository, location }: WhoseHistory,
  points: readonly HistoryPoint[],
): Promise<void> {
  const next = `${path}.${randomBytes(4).toString('hex')}`;
  await mkdir(dirname(path), { recursive: true, mode: 0o700 });
  try {
    const contents = { schema: 1, repository, location, points };
    await using file = await open(next, 'wx', 0o600);
    await file.writeFile(`${JSON.stringify(contents, null, 2)}\n`);
    await file.sync();
    await rename(next, path);
  } catch (error) {
    await rm(next, { force: true });
    throw error;
  }
}
