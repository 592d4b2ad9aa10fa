import { open } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { failure, reasonOf } from '../../kernel/errors/failure.ts';
import { getWalFile, type Sink } from '../../operations/wal/get.ts';
import { withApp, type AppContext, type CommonOptions, type Outcome } from '../compose.ts';
import { openForReading } from '../open-for-reading.ts';
import { archiveOf, clusterSource, identityAround, idOfRepository, walFileName } from './cluster.ts';
import { FetchedAhead } from './fetched-ahead.ts';

export interface WalGetOptions extends CommonOptions {
  /** What PostgreSQL calls it: `%f`. */
  readonly name: string;
  /** Where it wants it: `%p`. */
  readonly path: string;
  readonly source?: string | undefined;
  /** Fetch what comes behind this segment for later calls, and nothing else. */
  readonly behind?: string | undefined;
}

const usualPrefetchBytes = 256 * 1024 * 1024;

export interface WalGetResult extends Outcome {
  readonly source: string;
  readonly name: string;
  /** `beginning`: as far as it was streamed; zeros follow, and recovery ends there. */
  readonly found: 'whole' | 'beginning' | 'missing';
  /** It had been fetched by an earlier call. */
  readonly fetched_ahead: boolean;
}

/**
 * `restore_command`: fetches a file of `pg_wal`, and ahead of it the segments that will be asked for next, into a directory
 * of our own. What is not there is no error here: the face answers as PostgreSQL expects it.
 */
export async function walGet(options: WalGetOptions, context: AppContext): Promise<WalGetResult> {
  return await withApp(options, context, null, async (app) => {
    const { name } = options;
    const path = resolve(app.machine.cwd, options.path);
    const parsed = walFileName(name);
    const { name: source, config } = clusterSource(app, options.source);
    const identity = await identityAround(path);
    const ahead = new FetchedAhead(app, {
      repository: await idOfRepository(app),
      source,
      systemIdentifier: identity?.systemIdentifier,
      walDirectory: dirname(path),
      limitBytes: config?.wal_prefetch ?? usualPrefetchBytes,
    });
    const done = (found: WalGetResult['found'], fetchedAhead = false): WalGetResult => {
      app.log.debug('wal asked for', { source, name, found, ahead: fetchedAhead });
      return { schema: 1, ok: true, source, name, found, fetched_ahead: fetchedAhead };
    };
    const isSegment = parsed.kind === 'segment';
    if (isSegment && options.behind === undefined && (await ahead.take(name, path))) {
      await ahead.fillBehind(name, path);
      return done('whole', true);
    }
    const { repository } = await openForReading(app);
    await using _repository = repository;
    const archive = await archiveOf(repository, source, identity, app.signal);
    // As an answer to PostgreSQL, that something is missing means that the WAL ends there.
    if (archive === undefined)
      throw failure('wal_archive_missing', { source, location: repository.storage.location });
    if (options.behind !== undefined) {
      await ahead.fetchBehind(archive, options.behind);
      return done('whole');
    }
    const context = { signal: app.signal };
    const found = await writing(path, (sink) => getWalFile(archive, name, parsed, sink, context));
    if (isSegment && found === 'whole') await ahead.fillBehind(name, path);
    // A recovery ends where the WAL does, and a server that is about to be promoted looks for a timeline that is free.
    else if (found !== 'whole') await ahead.clear();
    return done(found);
  });
}

/** PostgreSQL makes it durable itself before it relies on it. */
async function writing<T>(path: string, work: (sink: Sink) => Promise<T>): Promise<T> {
  let handle: Awaited<ReturnType<typeof open>> | undefined;
  try {
    return await work(async (bytes) => {
      try {
        handle ??= await open(path, 'w', 0o600);
        await handle.writeFile(bytes);
      } catch (error) {
        throw failure('wal_target_unwritable', { path, reason: reasonOf(error) }, { cause: error });
      }
    });
  } finally {
    await handle?.close();
  }
}
