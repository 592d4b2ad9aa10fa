import { failure } from '../../../kernel/errors/failure.ts';
import { tablespaceDirectory } from '../../../postgres/data-directory.ts';
import { openSession, type Session } from '../../../postgres/connection/session.ts';
import { formatLsn, type Lsn } from '../../../postgres/lsn.ts';
import type { ClusterMetadata } from '../metadata.ts';
import type { BackupContext, BackupOutcome } from '../../port.ts';
import { nameBadPages } from './bad-pages.ts';
import { storeConfigFiles } from './config-files.ts';
import { checkDirectory, checkDirectoryFollows, readControlFile } from './directory.ts';
import { EarlierFiles } from './earlier.ts';
import { Emitter } from './emitter.ts';
import {
  readConfigPaths,
  readDatabases,
  readPosition,
  readServerFacts,
  readTablespaces,
  type DatabaseFact,
  type ServerFacts,
  type TablespaceFact,
} from './facts.ts';
import { guardSample } from './guard.ts';
import { addLastEntries } from './last-entries.ts';
import { LeftOut } from './left-out.ts';
import { startOnline, stopOnline, type OnlineEnd, type OnlineStart } from './online.ts';
import type { ClusterBackupOptions } from './options.ts';
import { planParent, type ParentPlan } from './rule.ts';
import { guardRate, survey, type Survey } from './survey.ts';
import { foundTablespaces } from './tablespaces.ts';
import { partModule } from './part-task.ts';
import { ReadTotals } from './totals.ts';
import { UnitReader, unitsOf, type ReadSetting, type Slot } from './units.ts';
import { checkNoneMoved, readDatabasePlaces, type DatabasePlace } from './moved.ts';
import { ClusterWalk, type Found } from './walk.ts';
import { storeWal } from './wal.ts';

const defaultGuardOneIn = 64;
const defaultPartBytes = 32 * 1024 * 1024;
/** While big files are read, so many units after them may be under way. */
const unitsAhead = 16;

/**
 * Backs up a running cluster by reading its data directory; with the backup before as the parent of an increment where that
 * is safe. What is wrong with single pages is named in the outcome, and the backup is then incomplete.
 * The `cluster_…` errors of the catalogue, and those of connections.
 */
export async function backupCluster(
  options: ClusterBackupOptions,
  context: BackupContext,
): Promise<BackupOutcome> {
  const { progress, signal, log } = context;
  progress.phase('asking the server');
  context.expect(partModule);
  await using session = await openSession(options.connection, signal);
  const facts = await readServerFacts(session);
  const { server } = session.setting;
  await checkDirectory(options.dataDirectory, facts, server, signal);
  const places = await readDatabasePlaces(session);
  progress.phase('waiting for the checkpoint that a backup begins with');
  const { label, fastCheckpoint: fast } = options;
  const start = await startOnline(session, facts, { label, fast, log });
  await checkDirectoryFollows(options.dataDirectory, start.startLsn, server, signal);
  const { control } = await readControlFile(options.dataDirectory, signal);
  const databases = await readDatabases(session);
  const position = await readPosition(session);
  const { timeline } = control;
  const { host, dataDirectory } = options;
  const { startLsn } = start;
  const plan = planParent(context.previous, {
    facts,
    databases,
    timeline,
    startLsn,
    position,
    host,
    dataDirectory,
  });
  const tablespaces = await readTablespaces(session);
  const known = { facts, start, places, databases, tablespaces, timeline };
  return await new ClusterBackup(options, context, session, known, plan).run();
}

interface Known {
  readonly facts: ServerFacts;
  readonly start: OnlineStart;
  /** Before it started. */
  readonly places: readonly DatabasePlace[];
  readonly databases: readonly DatabaseFact[];
  readonly tablespaces: readonly TablespaceFact[];
  readonly timeline: number;
}

class ClusterBackup {
  readonly #options: ClusterBackupOptions;
  readonly #context: BackupContext;
  readonly #session: Session;
  readonly #known: Known;
  readonly #leftOut: LeftOut;
  readonly #emitter: Emitter;
  readonly #warnings: string[] = [];
  #parent: ParentPlan | undefined;
  #fullBecause: string | null;
  #pagesGuarded = 0;

  constructor(
    options: ClusterBackupOptions,
    context: BackupContext,
    session: Session,
    known: Known,
    plan: ReturnType<typeof planParent>,
  ) {
    this.#options = options;
    this.#context = context;
    this.#session = session;
    this.#known = known;
    this.#leftOut = new LeftOut(context.log);
    this.#emitter = new Emitter(context, known.facts.pageBytes);
    this.#parent = 'fullBecause' in plan ? undefined : plan;
    this.#fullBecause = 'fullBecause' in plan ? plan.fullBecause : null;
  }

  async run(): Promise<BackupOutcome> {
    const { dataDirectory } = this.#options;
    const { progress, signal } = this.#context;
    progress.phase('looking for files');
    const found = await this.#surveyAndGuard();
    await this.#storeFiles(found.bytesToRead);
    const config = await storeConfigFiles(await readConfigPaths(this.#session), dataDirectory, this.#context);
    this.#warnings.push(...config.warnings);
    const atStart = this.#known.tablespaces;
    const tablespaces = await foundTablespaces(this.#session, found, atStart, dataDirectory);
    const places = await readDatabasePlaces(this.#session);
    // Last of all files: on a standby it says how far recovery must come for all that was read before.
    const { bytes: controlBytes } = await readControlFile(dataDirectory, signal);
    const end = await this.#stop();
    const sizes = await addLastEntries(end, controlBytes, this.#context);
    for (const bytes of [...config.sizes, ...sizes]) this.#emitter.count(bytes);
    const archive = await this.#storeWal(end.stopLsn, places);
    return await this.#outcome(end, tablespaces, archive);
  }

  /** Falls back to a full backup when a page that looks unchanged is not what the parent has. */
  async #surveyAndGuard(): Promise<Survey> {
    const first = await this.#survey();
    if (this.#parent === undefined) return first;
    this.#context.progress.phase('comparing a sample with the backup before');
    const { dataDirectory } = this.#options;
    const { pages, mismatch } = await guardSample(
      first.guard,
      { dataDirectory, pageBytes: this.#known.facts.pageBytes },
      this.#context,
    );
    this.#pagesGuarded = pages;
    if (mismatch === null) return first;
    const { code, message } = failure('cluster_guard', mismatch);
    this.#context.log.error(message, { code, previous: this.#parent.previous.id });
    this.#warnings.push(`${code}: ${message}`);
    this.#parent = undefined;
    this.#fullBecause = `${mismatch.path} differs from the backup before where it looks unchanged`;
    return await this.#survey();
  }

  async #survey(): Promise<Survey> {
    await using earlier = this.#earlier();
    const { guardOneIn = defaultGuardOneIn } = this.#options;
    const parentBytes = this.#parent?.metadata.bytes ?? 0;
    const choice = { seed: this.#parent?.previous.id ?? '', oneIn: guardRate(parentBytes, guardOneIn) };
    return await survey(this.#walk(this.#leftOut), earlier, this.#setting(), choice);
  }

  #earlier(): EarlierFiles | undefined {
    return this.#parent === undefined ? undefined : new EarlierFiles(this.#parent, this.#context);
  }

  #setting(): ReadSetting {
    const { facts, start } = this.#known;
    const { dataDirectory, partBytes = defaultPartBytes } = this.#options;
    const parentStartLsn = this.#parent?.startLsn ?? null;
    return { dataDirectory, facts, startLsn: start.startLsn, parentStartLsn, partBytes };
  }

  #walk(notes: LeftOut | undefined): AsyncGenerator<Found, void, void> {
    const { major, catalogVersion } = this.#known.facts;
    return new ClusterWalk({
      dataDirectory: this.#options.dataDirectory,
      versionDirectory: tablespaceDirectory(major, catalogVersion),
      signal: this.#context.signal,
      onLeftOut: (path, reason) => notes?.add(path, reason),
      onSkipped: (path, reason) => notes?.skipped(path, reason),
    }).found();
  }

  async #storeFiles(bytesToRead: number): Promise<void> {
    const { progress, signal } = this.#context;
    const totals = new ReadTotals(progress, bytesToRead);
    const stop = new AbortController();
    const both = AbortSignal.any([signal, stop.signal]);
    const reader = new UnitReader(this.#setting(), this.#context, both, (bytes) => totals.advance(bytes));
    await using earlier = this.#earlier();
    const underWay: Promise<readonly Slot[]>[] = [];
    progress.phase('reading files');
    try {
      for await (const slots of unitsOf(this.#walk(undefined), earlier, this.#context)) {
        const reading = reader.read(slots);
        reading.catch(() => undefined); // Thrown when it is its turn.
        underWay.push(reading);
        if (underWay.length >= unitsAhead) await this.#addNext(underWay);
      }
      while (underWay.length > 0) await this.#addNext(underWay);
    } catch (error) {
      stop.abort(error);
      await Promise.allSettled(underWay);
      throw error;
    }
  }

  async #addNext(underWay: Promise<readonly Slot[]>[]): Promise<void> {
    const next = underWay.shift();
    if (next !== undefined) await this.#emitter.add(await next);
  }

  async #stop(): Promise<OnlineEnd> {
    const { facts, start, timeline } = this.#known;
    this.#context.progress.phase('ending the backup on the server');
    const end = await stopOnline(this.#session, facts);
    const named = /^START WAL LOCATION: ([0-9A-F]+\/[0-9A-F]+)/m.exec(end.backupLabel)?.[1];
    if (named !== formatLsn(start.startLsn))
      throw failure('internal', {
        reason: `the backup began at ${formatLsn(start.startLsn)}, not at ${named}`,
      });
    const last = facts.inRecovery ? await this.#recoveryTimeline() : end.timeline;
    if (end.timeline !== timeline || last !== timeline)
      throw failure('cluster_promoted', { server: this.#session.setting.server });
    return end;
  }

  /** Of the WAL that a standby has replayed. */
  async #recoveryTimeline(): Promise<number> {
    const [row] = await this.#session.query<{ timeline: string }>(
      'SELECT min_recovery_end_timeline::text AS timeline FROM pg_control_recovery()',
    );
    return Number(row?.timeline);
  }

  async #storeWal(stopLsn: Lsn, after: readonly DatabasePlace[]): Promise<string> {
    const { facts, start, timeline, places: before } = this.#known;
    this.#context.progress.phase('storing the WAL of the backup');
    const wal = await this.#context.openWal({
      systemIdentifier: facts.systemIdentifier,
      segmentBytes: facts.walSegmentBytes,
      postgresMajor: facts.major,
    });
    const { startLsn } = start;
    const { dataDirectory } = this.#options;
    await storeWal({ dataDirectory, facts, timeline, startLsn, stopLsn }, wal, this.#context);
    const { server } = this.#session.setting;
    await checkNoneMoved({ before, after }, wal, { timeline, startLsn, stopLsn }, { server, facts });
    return wal.id;
  }

  async #outcome(
    end: OnlineEnd,
    tablespaces: ClusterMetadata['tablespaces'],
    archive: string,
  ): Promise<BackupOutcome> {
    const { facts, start, databases, timeline } = this.#known;
    const { badFiles, counts } = this.#emitter;
    const bad = await nameBadPages(badFiles, databases, this.#session, this.#context);
    const metadata: ClusterMetadata = {
      schema: 1,
      mode: 'local',
      server_version: facts.version,
      server_version_num: facts.versionNumber,
      system_identifier: facts.systemIdentifier,
      from_standby: facts.inRecovery,
      timeline,
      start_lsn: formatLsn(start.startLsn),
      stop_lsn: formatLsn(end.stopLsn),
      started_at: start.startedAt,
      stopped_at: end.stoppedAt,
      page_bytes: facts.pageBytes,
      wal_segment_bytes: facts.walSegmentBytes,
      data_checksums: facts.dataChecksums,
      wal_level: facts.walLevel,
      data_directory: this.#options.dataDirectory,
      port: facts.port,
      tablespaces,
      databases: databases.map((database) => ({ ...database })),
      parent: this.#parent?.previous.id ?? null,
      full_because: this.#fullBecause,
      ...counts,
      pages_guarded: this.#pagesGuarded,
      bad_pages: [...bad.pages],
      wal_archive: archive,
    };
    const warnings = [...this.#warnings, ...this.#leftOut.warnings(), ...bad.warnings];
    return { metadata, warnings, incomplete: this.#leftOut.incomplete(counts.bad_page_count) };
  }
}
