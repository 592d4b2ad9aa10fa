import { basename } from 'node:path';
import type { ErrorName } from '../../kernel/errors/catalogue.ts';
import { failure, HoldfastError } from '../../kernel/errors/failure.ts';
import type { ClusterRestoreSummary } from '../../sources/postgres-cluster/restore/restore.ts';
import type { Started } from '../../sources/postgres-cluster/restore/start.ts';
import { backup } from '../backup.ts';
import type { BackupView } from '../backup-view.ts';
import type { AppContext, CommonOptions } from '../compose.ts';
import { init, type InitResult } from '../init.ts';
import type { Event, Notice, TaskProgress } from '../observer.ts';
import { isCluster, isFiles, isPostgres, isSqlite, restore, type RestoreResult } from '../restore.ts';
import { walGet } from '../wal/get.ts';
import { walStream, type WalStreamResult } from '../wal/stream.ts';
import { canRunHoldfast, startApart } from './start-apart.ts';
import type { Stage } from './stage.ts';
import type { StepResults } from './story.ts';

type Restored = StepResults['restore'];

/** Whoever types the commands on the stage; each runs through the use case of that command. */
export class User {
  readonly #stage: Stage;
  readonly #common: CommonOptions;
  readonly #context: AppContext;

  constructor(stage: Stage, common: CommonOptions, context: AppContext) {
    this.#stage = stage;
    this.#common = common;
    this.#context = context;
  }

  async init(): Promise<InitResult> {
    const seat = this.#seat();
    // Where the key is kept is part of the story, and no warning.
    return await init(this.#common, { ...seat, observer: { ...seat.observer, notice: () => {} } });
  }

  /** Throws the error of the first source that fails or lacks something. */
  async backUp(sources: readonly string[]): Promise<readonly BackupView[]> {
    const { backups, error, failed } = await backup({ ...this.#common, sources }, this.#seat());
    this.#context.signal.throwIfAborted();
    const told = failed[0]?.error ?? error;
    if (told === undefined) return backups;
    const { name, message, hint } = told;
    throw new HoldfastError(name as ErrorName, String(message), String(hint), {});
  }

  async restoreShop(to: string): Promise<Restored['shop']> {
    const result = await this.#restore('latest:shop', to, true);
    if (!isPostgres(result) || result.restored === null) throw withoutResult();
    const { tables, rows, bytes, replaced } = result.restored;
    return { tables, rows, bytes, replaced, duration_ms: result.duration_ms };
  }

  async restoreSessions(to: string): Promise<Restored['sessions']> {
    const result = await this.#restore('latest:sessions', to, true);
    const [database] = (isSqlite(result) ? result.restored?.databases : undefined) ?? [];
    if (database === undefined) throw withoutResult();
    const { bytes, replaced } = database;
    const kept = replaced === null ? null : basename(replaced);
    return { bytes, replaced: kept, duration_ms: result.duration_ms };
  }

  async restoreUploads(to: string): Promise<Restored['uploads']> {
    const result = await this.#restore('latest:uploads', to, false);
    if (!isFiles(result) || result.restored === null) throw withoutResult();
    const { files, directories, links, bytes } = result.restored;
    return { files, directories, links, bytes, duration_ms: result.duration_ms };
  }

  /** Until `signal`; `hear` gets what it tells. */
  async streamWal(signal: AbortSignal, hear: (event: Event) => void): Promise<WalStreamResult> {
    const seat = this.#seat();
    const observer = {
      ...seat.observer,
      event: hear,
      // In the background: only what is wrong is told.
      notice: (told: Notice) => (told.level === 'info' ? undefined : seat.observer.notice(told)),
      progress: () => silent,
    };
    const both = AbortSignal.any([seat.signal, signal]);
    return await walStream(
      { ...this.#common, source: 'cluster', synchronous: true },
      { ...seat, observer, signal: both },
    );
  }

  /** With `variables` beside those of the stage. */
  async restoreCluster(
    to: string,
    at: string,
    variables: Readonly<Record<string, string>>,
  ): Promise<StepResults['recovery']> {
    const start = canRunHoldfast(this.#stage);
    const options = { ...this.#common, id: 'latest:cluster', to, at, start };
    const seat = this.#seat();
    const machine = { ...seat.machine, env: { ...seat.machine.env, ...variables } };
    const result = await restore(options, { ...seat, machine });
    if (!isCluster(result) || result.restored === null) throw withoutResult();
    const { files, bytes, started } = result.restored;
    const server = started ?? (await this.#startApart(result.plan));
    const { port, last_lsn, last_transaction_at, timeline } = server;
    if (port === null) throw withoutResult();
    const { duration_ms } = result;
    return { files, bytes, port, last_lsn, last_transaction_at, timeline, duration_ms };
  }

  /** Where the server's user cannot run `holdfast wal get`. */
  async #startApart({ target, recovery }: ClusterRestoreSummary): Promise<Started> {
    const seat = this.#seat();
    return await startApart({
      stage: this.#stage,
      directory: target,
      recovery,
      walGet: (name, path) => walGet({ ...this.#common, name, path, source: 'cluster' }, seat),
      signal: seat.signal,
      now: () => seat.machine.clock.now(),
    });
  }

  #restore(id: string, to: string, force: boolean): Promise<RestoreResult> {
    return restore({ ...this.#common, id, to, force }, this.#seat());
  }

  /** Nobody is asked: the demo answers for itself. */
  #seat(): AppContext {
    const { observer, signal } = this.#context;
    return {
      machine: this.#stage.machine,
      asker: null,
      signal,
      argv: ['demo'],
      observer: {
        colour: observer.colour,
        event: () => {},
        logLine: (text) => observer.logLine(text),
        notice: (told) => observer.notice(told),
        progress: (title) => observer.progress(title),
      },
    };
  }
}

const silent: TaskProgress = {
  phase: () => {},
  total: () => {},
  advance: () => {},
  stored: () => {},
  [Symbol.dispose]: () => {},
};

function withoutResult(): Error {
  return failure('internal', { reason: 'a restore without a result' });
}
