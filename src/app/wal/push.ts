import { readdir } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { failure, isFailure, reasonOf } from '../../kernel/errors/failure.ts';
import { mustBeThere, pushWalFile, readSegmentHeader, type WalFile } from '../../operations/wal/push.ts';
import type { SegmentHeader } from '../../postgres/wal/header.ts';
import { parseWalFileName } from '../../postgres/wal/names.ts';
import type { Repository } from '../../repository/repository.ts';
import type { WalArchive, WalPut } from '../../repository/wal/model.ts';
import {
  openConfiguredRepository,
  withApp,
  type App,
  type AppContext,
  type CommonOptions,
  type Outcome,
} from '../compose.ts';
import { archiveOf, configuredCluster, identityAround, idOfRepository, walFileName } from './cluster.ts';
import { HistoriesBeside } from './push-history.ts';
import { identityOf, PushedFiles } from './pushed.ts';

export interface WalPushOptions extends CommonOptions {
  /** Of a file in `pg_wal`, as PostgreSQL's `%p`. */
  readonly path: string;
  readonly source?: string | undefined;
}

export interface WalPushResult extends Outcome {
  readonly source: string;
  readonly name: string;
  /** `pushed_before`: by an earlier call, together with the one it was for. */
  readonly state: WalPut | 'pushed_before';
  /** Names of other files that waited, or that this one needs, and were stored as well. */
  readonly ahead: readonly string[];
}

/** So many that wait are stored by one call: starting a program for each takes longer than storing it. */
const mostAhead = 16;
/** PostgreSQL waits for the one it asked for. */
const aheadMs = 10_000;

/**
 * `archive_command`: stores a file of `pg_wal`, durably, and with it those that wait behind it. The same file again is
 * fine, another one of the same name is `wal_differs`.
 */
export async function walPush(options: WalPushOptions, context: AppContext): Promise<WalPushResult> {
  return await withApp(options, context, null, async (app) => {
    const path = resolve(app.machine.cwd, options.path);
    const name = basename(path);
    const file: WalFile = { path, name, parsed: walFileName(name) };
    // A name that is misspelt would begin another archive, and the right one would have a gap.
    const { name: source } = configuredCluster(app, options.source);
    const done = (state: WalPushResult['state'], ahead: readonly string[] = []): WalPushResult => {
      app.log.debug('wal pushed', { source, name, state, ahead: ahead.length });
      return { schema: 1, ok: true, source, name, state, ahead };
    };
    await mustBeThere(path);
    const repositoryId = await idOfRepository(app);
    const pushed = new PushedFiles(app, { walDirectory: dirname(path), repository: repositoryId, source });
    if (await pushed.take(path, name)) return done('pushed_before');
    await using repository = await openConfiguredRepository(app, 'add');
    const archive = await archiveFor(app, repository, source, file);
    const histories = new HistoriesBeside(app, archive, pushed);
    const before = await histories.store(file);
    const state = await pushWalFile(archive, file, app.signal);
    return done(state, [...before, ...(await pushAhead(app, { archive, pushed, histories }, file))]);
  });
}

/** The archive the file belongs to; made when it is the first. */
async function archiveFor(
  app: App,
  repository: Repository,
  source: string,
  file: WalFile,
): Promise<WalArchive> {
  const around = await identityAround(file.path);
  const segment = await segmentAt(file);
  if (segment !== undefined && around !== undefined && segment.systemIdentifier !== around.systemIdentifier) {
    const reason = `it is of cluster ${segment.systemIdentifier}, and its data directory of ${around.systemIdentifier}`;
    throw failure('wal_file_odd', { path: file.path, reason });
  }
  const identity = around ?? segment;
  const found = await archiveOf(repository, source, identity, app.signal);
  if (found !== undefined) return found;
  const postgresMajor = around?.postgresMajor ?? segment?.major;
  if (segment === undefined || postgresMajor === undefined) {
    const reason = `nothing of ${source} is archived yet, and there is no segment of its WAL in ${dirname(file.path)}`;
    throw failure('wal_cluster_unknown', { reason });
  }
  return await repository.walArchive(
    {
      source,
      system_identifier: segment.systemIdentifier,
      segment_bytes: segment.segmentBytes,
      postgres_major: postgresMajor,
    },
    { signal: app.signal },
  );
}

/** What the file says of its cluster, or, for one that is no segment, what a segment beside it says. */
async function segmentAt(file: WalFile): Promise<SegmentHeader | undefined> {
  if (file.parsed.kind === 'segment') return await readSegmentHeader(file);
  const directory = dirname(file.path);
  const name = (await readdir(directory)).find((other) => parseWalFileName(other)?.kind === 'segment');
  const parsed = name === undefined ? undefined : parseWalFileName(name);
  if (name === undefined || parsed === undefined) return undefined;
  return await readSegmentHeader({ path: join(directory, name), name, parsed });
}

interface PushPlaces {
  readonly archive: WalArchive;
  readonly pushed: PushedFiles;
  readonly histories: HistoriesBeside;
}

/** Stores what waits behind a file, in its order: a hole that is about to be filled must not look like a gap. */
async function pushAhead(
  app: App,
  { archive, pushed, histories }: PushPlaces,
  first: WalFile,
): Promise<readonly string[]> {
  const { clock } = app.machine;
  const untilNs = clock.monotonicNs() + BigInt(aheadMs) * 1_000_000n;
  const stored: string[] = [];
  try {
    for (const file of await waitingBehind(first)) {
      if (clock.monotonicNs() > untilNs || app.signal.aborted) break;
      const identity = await identityOf(file.path);
      stored.push(...(await histories.store(file)));
      await pushWalFile(archive, file, app.signal);
      await pushed.mark(file.path, file.name, identity);
      stored.push(file.name);
    }
    await pushed.tidy();
  } catch (error) {
    // The file that was asked for is stored; PostgreSQL will ask for this one, and be told.
    app.log.debug('a file that waits could not be stored ahead', {
      reason: reasonOf(error),
      code: isFailure(error) ? error.code : null,
    });
  }
  return stored;
}

/** Files that PostgreSQL has marked as ready to be archived, beside the one it has asked for. */
async function waitingBehind({ path, name }: WalFile): Promise<WalFile[]> {
  const directory = dirname(path);
  const waiting = await readdir(join(directory, 'archive_status')).catch(() => []);
  return waiting
    .filter((entry) => entry.endsWith('.ready'))
    .map((entry) => entry.slice(0, -'.ready'.length))
    .filter((other) => other > name)
    .toSorted()
    .slice(0, mostAhead)
    .flatMap((other) => {
      const parsed = parseWalFileName(other);
      return parsed === undefined ? [] : [{ path: join(directory, other), name: other, parsed }];
    });
}
