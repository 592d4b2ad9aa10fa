import { byteSize } from '../../kernel/byte-size.ts';
import type { HoldfastError } from '../../kernel/errors/failure.ts';
import { streamWal, type StreamOutcome } from '../../operations/wal/stream.ts';
import type { StreamObserver, StreamPosition, StreamTold } from '../../operations/wal/stream-told.ts';
import { formatLsn } from '../../postgres/lsn.ts';
import type { Repository } from '../../repository/repository.ts';
import {
  openConfiguredRepository,
  withApp,
  type App,
  type AppContext,
  type CommonOptions,
  type Outcome,
} from '../compose.ts';
import { connectionOf } from '../kinds/postgres-source.ts';
import { configuredCluster } from './cluster.ts';
import { askSlot } from './ask-slot.ts';
import { patientHint } from './patient-hint.ts';
import { slotOf } from './slot.ts';

export interface WalStreamOptions extends CommonOptions {
  readonly source?: string | undefined;
  readonly synchronous?: boolean | undefined;
  /** Store what there is, and end. */
  readonly once?: boolean | undefined;
  /** False: do not make the replication slot. */
  readonly createSlot?: boolean | undefined;
}

export interface WalStreamResult extends Outcome {
  readonly source: string;
  readonly ended: StreamOutcome['ended'];
  readonly timeline: number;
  /** `16/B374D848`: stored up to there. */
  readonly lsn: string;
  /** Positions that the server did not have any more, found during this run. */
  readonly gaps: readonly { readonly timeline: number; readonly from: string; readonly to: string }[];
}

/** How often a position is told. */
const tellEveryMs = 1000;

/** Stores WAL as it is written, until it is told to end, which is the ordinary end of it. */
export async function walStream(options: WalStreamOptions, context: AppContext): Promise<WalStreamResult> {
  return await withApp(options, context, null, async (app) => {
    const { name: source, config } = configuredCluster(app, options.source);
    const connection = await connectionOf(source, config, app.env);
    if (connection.password !== undefined) app.secrets.push(connection.password);
    await using repository = await openConfiguredRepository(app, 'add');
    const { clock } = app.machine;
    const slot = slotOf(source, config);
    using teller = new Teller(app, source);
    const outcome = await streamWal(
      {
        source,
        connection,
        slot,
        createSlot: options.createSlot !== false,
        synchronous: options.synchronous === true,
        intervalMs: config.wal_interval,
        waitingLimitBytes: config.wal_waiting_limit,
        once: options.once === true,
        openArchive: (info) => openArchive(app, repository, info),
        askSlot: () => askSlot(connection, slot, app.signal),
      },
      { clock, random: Math.random, log: app.log, observer: teller, stop: app.signal },
    );
    // What was asked for is not done; without --once being stopped is what ends it.
    if (options.once === true && outcome.ended === 'stopped') app.signal.throwIfAborted();
    return resultOf(
      source,
      outcome,
      options.once === true && outcome.gaps.length > 0 ? teller.gap : undefined,
    );
  });
}

async function openArchive(
  app: App,
  repository: Repository,
  info: Parameters<Repository['walArchive']>[0],
): ReturnType<Repository['walArchive']> {
  for await (const { info: other } of repository.walArchives({ signal: app.signal })) {
    if (other.source !== info.source || other.system_identifier === info.system_identifier) continue;
    app.observer.notice({
      level: 'info',
      message: `${info.source} is another cluster (${info.system_identifier}) than one whose WAL is stored (${other.system_identifier}): its WAL is kept apart`,
    });
  }
  return await repository.walArchive(info, { signal: app.signal });
}

function resultOf(source: string, outcome: StreamOutcome, gap: HoldfastError | undefined): WalStreamResult {
  const { position, gaps, ended } = outcome;
  return {
    schema: 1,
    ok: gap === undefined,
    source,
    ended,
    timeline: position.timeline,
    lsn: formatLsn(position.stored),
    gaps: gaps.map(({ timeline, from, to }) => ({ timeline, from: formatLsn(from), to: formatLsn(to) })),
    ...(gap === undefined ? {} : { error: gap.toJSON() }),
  };
}

/** Tells people of changes, and programs of positions as well. */
class Teller implements StreamObserver, Disposable {
  /** The last gap that was told. */
  gap: HoldfastError | undefined;
  readonly #app: App;
  readonly #source: string;
  readonly #progress: ReturnType<App['observer']['progress']>;
  readonly #over = new AbortController();
  #isResting = false;
  #latest: StreamPosition | undefined;
  #writtenBytes = 0;

  constructor(app: App, source: string) {
    this.#app = app;
    this.#source = source;
    this.#progress = app.observer.progress(source);
  }

  told({ state, timeline, lsn, error }: StreamTold): void {
    const { observer, log } = this.#app;
    const at = lsn === undefined ? null : formatLsn(lsn);
    log.info('wal stream', { source: this.#source, state, timeline, lsn: at, code: error?.code });
    observer.event({
      type: 'wal',
      source: this.#source,
      state,
      timeline: timeline ?? null,
      lsn: at,
      ...(error === undefined ? {} : { error: error.toJSON() }),
    });
    if (state === 'gap') this.gap = error;
    if (error === undefined)
      observer.notice({ level: 'info', message: sayState(this.#source, state, timeline, at) });
    else {
      const again = next[state];
      const hint = again === undefined ? error.hint : patientHint(error.hint);
      const message = `${error.message} (${error.code})${again ?? ''}`;
      observer.notice({ level: 'warning', message, ...(hint === undefined ? {} : { hint }) });
    }
  }

  position(position: StreamPosition): void {
    const { writtenBytes } = position;
    this.#progress.advance(writtenBytes - this.#writtenBytes);
    this.#writtenBytes = writtenBytes;
    this.#latest = position;
    if (!this.#isResting) this.#tell(position);
  }

  /** At once, and then not for a while; what comes meanwhile is told after it. */
  #tell(position: StreamPosition): void {
    const { stored, timeline, lagBytes, lagSeconds } = position;
    this.#isResting = true;
    void this.#app.machine.clock.sleep(tellEveryMs, this.#over.signal).then(
      () => {
        this.#isResting = false;
        if (this.#latest !== undefined && this.#latest !== position) this.#tell(this.#latest);
      },
      () => undefined, // it is over
    );
    const lsn = formatLsn(stored);
    this.#progress.phase(lagBytes === 0 ? `at ${lsn}` : `at ${lsn}, ${byteSize(lagBytes)} behind`);
    this.#app.observer.event({
      type: 'wal',
      source: this.#source,
      state: 'streaming',
      timeline,
      lsn,
      lag_bytes: lagBytes,
      lag_seconds: Math.round(lagSeconds * 1000) / 1000,
    });
  }

  [Symbol.dispose](): void {
    this.#over.abort(new Error('the stream has ended'));
    this.#progress[Symbol.dispose]();
  }
}

const next: Partial<Record<StreamTold['state'], string>> = {
  server_lost: '; trying again until it is back',
  repository_lost: '; trying again, and the server keeps its WAL meanwhile',
};

function sayState(
  source: string,
  state: StreamTold['state'],
  timeline: number | undefined,
  lsn: string | null,
): string {
  const where = lsn === null ? '' : ` from ${lsn} on`;
  switch (state) {
    case 'slot_made':
      return `${source}: made a replication slot, which keeps WAL${where}`;
    case 'streaming':
      return `${source}: streaming timeline ${timeline}${where}`;
    case 'timeline_ended':
      return `${source}: timeline ${timeline} has ended, going on with the next`;
    case 'repository_back':
      return `${source}: the repository is back`;
    case 'waiting_over':
      return `${source}: no more than usual is waiting`;
    case 'stopping':
      return `${source}: storing what has come`;
    default:
      return `${source}: ${state}`;
  }
}
