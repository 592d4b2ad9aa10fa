import { readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { isFailure, reasonOf } from '../../kernel/errors/failure.ts';
import { pushWalFile, type WalFile } from '../../operations/wal/push.ts';
import { parseTimelineHistory } from '../../postgres/wal/history.ts';
import { historyName, parseWalFileName } from '../../postgres/wal/names.ts';
import type { WalArchive } from '../../repository/wal/model.ts';
import type { App } from '../compose.ts';
import { identityOf, type PushedFiles } from './pushed.ts';

/**
 * A server hands over the history of its timeline once, when it begins; where archiving was switched on later, never.
 * Without it nobody finds the way to WAL of that timeline, so it is stored before that, from where it lies.
 */
export class HistoriesBeside {
  readonly #app: Pick<App, 'log' | 'signal'>;
  readonly #archive: WalArchive;
  readonly #pushed: PushedFiles;
  readonly #seen = new Set<number>();

  constructor(app: Pick<App, 'log' | 'signal'>, archive: WalArchive, pushed: PushedFiles) {
    this.#app = app;
    this.#archive = archive;
    this.#pushed = pushed;
  }

  /**
   * Stores the history that a file needs, and those of the timelines in it, as far as they lie beside the file; resolves to
   * the names of those that were not there. What cannot be read is logged. `wal_file_differs`: two servers have made that timeline.
   */
  async store({ path, parsed }: WalFile): Promise<readonly string[]> {
    if (parsed.kind !== 'segment' && parsed.kind !== 'partial') return [];
    return await this.#storeOf(parsed.timeline, dirname(path));
  }

  async #storeOf(timeline: number, directory: string): Promise<string[]> {
    if (timeline === 1 || this.#seen.has(timeline)) return [];
    this.#seen.add(timeline);
    const name = historyName(timeline);
    const path = join(directory, name);
    const identity = await identityOf(path).catch((error: NodeJS.ErrnoException) => error);
    if (typeof identity !== 'string')
      return identity.code === 'ENOENT' ? [] : this.#passOver(timeline, reasonOf(identity));
    if (await this.#pushed.has(path, name)) return [];
    const ancestors = await ancestorsIn(path, timeline);
    if (typeof ancestors === 'string') return this.#passOver(timeline, ancestors);
    const stored: string[] = [];
    for (const ancestor of ancestors) stored.push(...(await this.#storeOf(ancestor, directory)));
    const parsed = parseWalFileName(name);
    if (parsed === undefined) return stored;
    try {
      const state = await pushWalFile(this.#archive, { path, name, parsed }, this.#app.signal);
      if (state === 'stored') stored.push(name);
      await this.#pushed.mark(path, name, identity).catch(() => undefined); // asked once more, the next time
    } catch (error) {
      if (!isUnreadable(error)) throw error;
      this.#passOver(timeline, reasonOf(error));
    }
    return stored;
  }

  #passOver(timeline: number, reason: string): [] {
    this.#app.log.warn('the history of a timeline is not stored beside its WAL', { timeline, reason });
    return [];
  }
}

async function ancestorsIn(path: string, timeline: number): Promise<readonly number[] | string> {
  try {
    const { ancestors } = parseTimelineHistory(timeline, await readFile(path));
    return ancestors.map((ancestor) => ancestor.timeline);
  } catch (error) {
    return reasonOf(error);
  }
}

function isUnreadable(error: unknown): boolean {
  return (
    isFailure(error, 'wal_file_unreadable') ||
    isFailure(error, 'wal_file_missing') ||
    isFailure(error, 'wal_file_odd')
  );
}
