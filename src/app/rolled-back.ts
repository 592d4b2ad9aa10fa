import { failure } from '../kernel/errors/failure.ts';
import { compareRemembered, readPoints, type Disagreement } from '../repository/remembered-compare.ts';
import { newestPoints } from '../repository/remembered.ts';
import type { Repository } from '../repository/repository.ts';
import { historyMemory, type App } from './compose.ts';
import { readHistoryFile, writeHistoryFile } from './history-memory.ts';

/** Throws `backup_rolled_back` when a backup is gone that this machine has seen and that nobody has forgotten. */
export async function assertNotRolledBack(app: App, repository: Repository): Promise<void> {
  const memory = await historyMemory(app, repository.info.id, repository.storage.location);
  const options = { from: memory.path, hashes: false, signal: app.signal };
  const [first] = await compareRemembered(repository, memory.points, options);
  if (first !== undefined) throw first.error;
}

export interface RememberOptions {
  /** Compare with what this file remembers, too. */
  readonly sinceFile?: string | undefined;
  /** Write what is there now into this file. */
  readonly remember?: string | undefined;
}

/** Compares the history with what this machine, and a file that is given, remember; then remembers what is there now. */
export async function verifyRemembered(
  app: App,
  repository: Repository,
  { sinceFile, remember }: RememberOptions,
): Promise<readonly Disagreement[]> {
  const { signal } = app;
  const { info, storage } = repository;
  const memory = await historyMemory(app, info.id, storage.location);
  const found = new Map<string, Disagreement>();
  if (sinceFile !== undefined) {
    const points = await readHistoryFile(sinceFile, info.id);
    for (const one of await compareRemembered(repository, points, { from: sinceFile, hashes: true, signal }))
      found.set(one.id, one);
  }
  const here = { from: memory.path, hashes: true, signal };
  for (const one of await compareRemembered(repository, memory.points, here)) found.set(one.id, one);
  const points = (await readPoints(repository, signal)).filter(({ id }) => !found.has(id));
  await memory.saw(points);
  if (remember !== undefined) {
    const whose = { repository: info.id, location: storage.location };
    await writeHistoryFile(remember, whose, newestPoints([], points)).catch((error: unknown) => {
      const reason = error instanceof Error ? error.message : String(error);
      throw failure('history_file_failed', { path: remember, reason }, { cause: error });
    });
  }
  return [...found.values()];
}
