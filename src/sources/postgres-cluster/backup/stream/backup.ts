import { failure, reasonOf } from '../../../../kernel/errors/failure.ts';
import { removeLeftBehind } from '../../../../kernel/left-behind.ts';
import { describeServer } from '../../../../postgres/connection/connection.ts';
import type { BaseBackupStream, WalPoint } from '../../../../postgres/replication/base-backup.ts';
import type { BackupContext, BackupOutcome, PreviousBackup, WalStore } from '../../../port.ts';
import { addSmallEntry, type SmallEntry } from '../config-files.ts';
import { LeftOut } from '../left-out.ts';
import { checkNoneMoved } from '../moved.ts';
import { guardRate } from '../survey.ts';
import { ReadTotals } from '../totals.ts';
import { Arrivals } from './arrivals.ts';
import { openLinks, type BackupLinks } from './connections.ts';
import { EntryTable, temporaryNames } from './entry-table.ts';
import { checkLast, endOf, noteNotSent } from './ending.ts';
import { FileStoring } from './file-store.ts';
import type { ClusterStreamOptions } from './options.ts';
import { outcomeOf } from './outcome.ts';
import { readPlaces, warnOfOutside } from './outside.ts';
import { loadParent, type Plan } from './parent.ts';
import { placesNow, SqlSide } from './sql-side.ts';
import { WalReceiver } from './wal-receiver.ts';

const defaultGuardOneIn = 64;
/** So many entries are added at once. */
const entriesAtOnce = 512;

/**
 * Backs up a running cluster over the replication protocol: what the server sends is stored as files that were read would
 * be, and over the backup before in the same way. The `cluster_…` errors of the catalogue, those of replication and of
 * connections.
 */
export async function backupClusterByStream(
  options: ClusterStreamOptions,
  context: BackupContext,
): Promise<BackupOutcome> {
  await removeLeftBehind(options.tempDirectory, temporaryNames, options.now());
  try {
    return await new StreamBackup(options, context, undefined).run();
  } catch (error) {
    if (!(error instanceof GuardMismatch)) throw error;
    const { code, message } = failure('cluster_guard', { path: error.path, block: error.block });
    context.log.error(message, { code, previous: context.previous?.id });
    const because = `${error.path} differs from the backup before where it looks unchanged`;
    const outcome = await new StreamBackup(options, context, because).run();
    return { ...outcome, warnings: [`${code}: ${message}`, ...outcome.warnings] };
  }
}

/** A page that looks unchanged is not what the backup before has. */
class GuardMismatch extends Error {
  readonly path: string;
  readonly block: number;

  constructor(path: string, block: number) {
    super('a page that looks unchanged has changed');
    this.path = path;
    this.block = block;
  }
}

class StreamBackup {
  readonly #options: ClusterStreamOptions;
  readonly #context: BackupContext;
  readonly #fullBecause: string | undefined;
  /** Aborts with what fails first: everything else follows from it. */
  readonly #stop = new AbortController();
  readonly #signal: AbortSignal;
  readonly #leftOut: LeftOut;

  constructor(options: ClusterStreamOptions, context: BackupContext, fullBecause: string | undefined) {
    this.#options = options;
    this.#context = context;
    this.#fullBecause = fullBecause;
    this.#signal = AbortSignal.any([context.signal, this.#stop.signal]);
    this.#leftOut = new LeftOut(context.log);
  }

  async run(): Promise<BackupOutcome> {
    try {
      return await this.#run();
    } catch (error) {
      this.#context.signal.throwIfAborted();
      throw promotionIn(this.#stop.signal.aborted ? this.#stop.signal.reason : error, this.#options);
    } finally {
      this.#stop.abort();
    }
  }

  async #run(): Promise<BackupOutcome> {
    const { progress, log } = this.#context;
    const { connection, now } = this.#options;
    const signal = this.#signal;
    progress.phase('asking the server');
    await using links = await openLinks({ connection, now, signal, log });
    const places = await readPlaces(links.files);
    await using sql = await SqlSide.open(links, { signal, log });
    progress.phase('waiting for the checkpoint that a backup begins with');
    const startedAt = (await sql.time()) ?? new Date(now()).toISOString();
    const before = await sql.places();
    const backup = await this.#start(links);
    const { receiver, received, wal } = await this.#receiveWal(links, backup.start);
    const { databases, configPaths, plan } = await sql.look(links, backup.start, this.#previous());
    await sql[Symbol.asyncDispose]();
    using entries = new EntryTable(this.#options.tempDirectory);
    const arrivals = await this.#storeFiles(links, backup, plan, entries);
    const after = before === undefined ? undefined : await placesNow(links, signal);
    const { end, warnings } = await endOf(backup, links.server);
    progress.phase('waiting for the WAL of the backup');
    receiver.endAt(end.lsn);
    const stoppedAtMs = await received;
    const { lsn: startLsn, timeline } = backup.start;
    await checkNoneMoved({ before, after }, wal, { timeline, startLsn, stopLsn: end.lsn }, links);
    await this.#addEntries(entries, arrivals, checkLast(arrivals.apart, backup.start, links));
    noteNotSent(backup.warnings, this.#leftOut, log);
    // Which pages are damaged our own look says; of some forks only the server looks at the checksums.
    const ofPages = arrivals.counts.bad_page_count > 0 ? [] : warnings;
    const outside = warnOfOutside(places, configPaths, arrivals.topFiles);
    return await outcomeOf(
      { links, backup, places, databases, plan, arrivals, end, archive: wal.id, startedAt, stoppedAtMs },
      [...sql.warnings, ...outside, ...ofPages],
      this.#leftOut,
      this.#context,
    );
  }

  #previous(): { readonly previous: PreviousBackup | null } | { readonly fullBecause: string } {
    return this.#fullBecause === undefined
      ? { previous: this.#context.previous }
      : { fullBecause: this.#fullBecause };
  }

  async #start({ files, facts }: BackupLinks): Promise<BaseBackupStream> {
    const { label, fastCheckpoint: fast } = this.#options;
    // Of pages that look damaged the server takes a second look, which only it can, and sends what it sees then.
    return await files.baseBackup({ label, fast, progress: true, verifyChecksums: facts.dataChecksums });
  }

  async #receiveWal(
    links: BackupLinks,
    start: WalPoint,
  ): Promise<{
    readonly receiver: WalReceiver;
    readonly received: Promise<number>;
    readonly wal: WalStore;
  }> {
    const { server, slot, facts } = links;
    const wal = await this.#context.openWal({
      systemIdentifier: facts.systemIdentifier,
      segmentBytes: facts.walSegmentBytes,
      postgresMajor: facts.major,
    });
    const history = await links.wal.timelineHistory(start.timeline);
    if (history !== null) await wal.putFile(history.name, history.content);
    // A server that waits for any standby would take this for one, and let its commits wait for units to be full.
    const mayTellFlushed = (await links.wal.show('synchronous_standby_names')) === '';
    const options = { server, slot, facts, wal, mayTellFlushed };
    const receiver = await WalReceiver.start(links.wal, start, options);
    const received = receiver.run();
    received.catch((error: unknown) => this.#stop.abort(error));
    return { receiver, received, wal };
  }

  async #storeFiles(
    { server, facts }: BackupLinks,
    backup: BaseBackupStream,
    plan: Plan,
    entries: EntryTable,
  ): Promise<Arrivals> {
    const context = this.#context;
    using parentEntries = new EntryTable(this.#options.tempDirectory);
    const parent = 'fullBecause' in plan ? undefined : { plan, entries: parentEntries };
    if (parent !== undefined) await loadParent(parent, context);
    const startLsn = backup.start.lsn;
    const arrivals = new Arrivals({ server, facts, startLsn, parent, entries, leftOut: this.#leftOut });
    const totals = new ReadTotals(context.progress, expectedBytes(backup));
    const { guardOneIn = defaultGuardOneIn } = this.#options;
    const oneIn = guardRate(parent?.plan.metadata.bytes ?? 0, guardOneIn);
    const files = new FileStoring({
      context,
      signal: this.#signal,
      sample: { seed: parent?.plan.previous.id ?? '', oneIn },
      onProgress: (bytes) => totals.advance(bytes),
      onFailed: (error) => this.#stop.abort(error),
      onStored: (about, content, compared) => {
        if (compared.mismatch !== null) this.#stop.abort(new GuardMismatch(about.path, compared.mismatch));
        arrivals.stored(about, content, compared);
      },
    });
    context.progress.phase('reading files');
    try {
      await arrivals.take(backup, files);
    } catch (error) {
      this.#stop.abort(error);
    }
    await files.settled();
    this.#signal.throwIfAborted();
    return arrivals;
  }

  async #addEntries(entries: EntryTable, arrivals: Arrivals, last: readonly SmallEntry[]): Promise<void> {
    let added: Promise<void>[] = [];
    for (const entry of entries.inOrder()) {
      added.push(this.#context.addEntry(entry));
      if (added.length < entriesAtOnce) continue;
      await Promise.all(added);
      added = [];
    }
    await Promise.all(added);
    for (const entry of last) {
      await addSmallEntry(entry, this.#context);
      arrivals.counts.files += 1;
      arrivals.counts.bytes += entry.bytes.length;
    }
  }
}

/** A standby that becomes a primary ends the backup with an error of its own, or with the timeline, whichever is first. */
function promotionIn(error: unknown, { connection }: ClusterStreamOptions): unknown {
  if (!/promoted during online backup/.test(reasonOf(error))) return error;
  return failure('cluster_promoted', { server: describeServer(connection) }, { cause: error });
}

/** Kibibytes are what the server tells. */
function expectedBytes({ tablespaces, baseSizeKib }: BaseBackupStream): number {
  return 1024 * tablespaces.reduce((sum, { sizeKib }) => sum + (sizeKib ?? 0), baseSizeKib ?? 0);
}
