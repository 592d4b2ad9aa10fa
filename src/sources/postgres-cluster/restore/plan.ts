import { failure } from '../../../kernel/errors/failure.ts';
import { plural } from '../../../kernel/plural.ts';
import type { RestoreContext } from '../../port.ts';
import { clusterMetadataSchema, type ClusterMetadata } from '../metadata.ts';
import { damaged } from './damaged.ts';
import { type Difference, differenceOf } from './difference.ts';
import type { PlacedTablespace } from './layout.ts';
import { type LocalCluster, lookAtCluster, serverIn } from './local-cluster.ts';
import type { ClusterRestoreOptions, FileOwner } from './options.ts';
import { checkRoom } from './room.ts';
import { type Survey, surveyEntries } from './survey.ts';
import {
  checkOurs,
  examineTablespace,
  outsideTablespaces,
  placeTablespaces,
  type TablespaceState,
} from './tablespaces.ts';
import { checkRenamable, examineTarget, type Target, unusable } from './target.ts';

export type ClusterRestoreMode = 'create' | 'delta' | 'replace';

/** What a restore needs beside what its summary says. */
export interface ClusterRestoreWork {
  readonly options: ClusterRestoreOptions;
  readonly metadata: ClusterMetadata;
  readonly mode: ClusterRestoreMode;
  readonly target: Target;
  readonly tablespaces: readonly TablespaceState[];
  readonly survey: Survey;
  /** Whose everything shall be; null: whoever restores, which needs no asking. */
  readonly owner: FileOwner | null;
}

export interface PlannedCluster {
  readonly work: ClusterRestoreWork;
  /** Files that are not in the backup and will be removed. */
  readonly removes: number;
  readonly warnings: readonly string[];
}

/** Looks at backup and target, and changes nothing. */
export async function makePlan(
  options: ClusterRestoreOptions,
  context: RestoreContext,
): Promise<PlannedCluster> {
  const metadata = readMetadata(context.metadata);
  const target = await examineTarget(options.target);
  const local = await lookAtCluster(target.path);
  const warnings: string[] = [];
  if (target.found === 'full') warnings.push(...(await checkStopped(target)));
  const mode = await modeOf(options, target, local, metadata);
  const placed = await placeTablespaces(metadata.tablespaces, options.tablespaces, target.path);
  const outside = outsideTablespaces(metadata.tablespaces);
  const survey = await surveyEntries(context, new Set(outside.map(({ oid }) => oid)));
  const tablespaces = await examineAll(placed, survey, { path: target.path, mark: local.mark }, metadata);
  const difference = mode === 'delta' ? await differenceOf(target.path, tablespaces, context) : null;
  await checkSizes(target, tablespaces, survey, difference, metadata);
  const { owner, notes } = ownerOf(options, target, local);
  warnings.push(...notes, ...warningsOf(mode, difference, metadata));
  for (const { placed, before } of tablespaces)
    if (mode === 'delta' && before !== null)
      warnings.push(
        `tablespace ${placed.oid} goes to ${placed.location}: what it has at ${before} stays there`,
      );
  return {
    work: { options, metadata, mode, target, tablespaces, survey, owner },
    removes: difference?.extra ?? 0,
    warnings,
  };
}

function readMetadata(metadata: Readonly<Record<string, unknown>>): ClusterMetadata {
  const result = clusterMetadataSchema.safeParse(metadata);
  if (result.success) return result.data;
  throw damaged(`what it says of itself: ${result.error.issues[0]?.message ?? ''}`);
}

/** Throws `cluster_target_running`. */
export async function checkStopped({ path }: Target): Promise<string[]> {
  const { running, stale } = await serverIn(path);
  if (running !== null) throw failure('cluster_target_running', { target: path, reason: running });
  if (stale === null) return [];
  return [
    `postmaster.pid in ${path} names process ${stale}, which does not run here: make sure that no server in another container uses the directory`,
  ];
}

async function modeOf(
  { target: given, delta, force }: ClusterRestoreOptions,
  target: Target,
  local: LocalCluster,
  metadata: ClusterMetadata,
): Promise<ClusterRestoreMode> {
  if (target.found !== 'full') return 'create';
  const foreign = whyForeign(local, metadata);
  if (delta && foreign === null) return 'delta';
  if (force) {
    await checkRenamable(target.path, given);
    return 'replace';
  }
  if (delta) throw failure('cluster_target_other', { target: given, reason: foreign ?? '' });
  const detail =
    local.mark === null || foreign !== null
      ? ''
      : ': a restore that was not finished is in it, and goes on with --delta';
  throw failure('cluster_target_not_empty', { target: given, detail });
}

/** Why a directory is not of the cluster of the backup; null when it is. */
function whyForeign({ systemIdentifier, mark }: LocalCluster, metadata: ClusterMetadata): string | null {
  const found = systemIdentifier ?? mark?.system_identifier;
  if (found === undefined) return 'it is no data directory, for it has no global/pg_control';
  if (found === metadata.system_identifier) return null;
  return `its system identifier is ${found} and not ${metadata.system_identifier}`;
}

async function examineAll(
  placed: readonly PlacedTablespace[],
  survey: Survey,
  target: { readonly path: string; readonly mark: LocalCluster['mark'] },
  metadata: ClusterMetadata,
): Promise<TablespaceState[]> {
  const states: TablespaceState[] = [];
  for (const one of placed) {
    const state = await examineTablespace(one, survey.versions.get(one.oid) ?? new Set(), target);
    await checkOurs(state, target.path, metadata.data_directory);
    states.push(state);
  }
  return states;
}

async function checkSizes(
  { path }: Target,
  tablespaces: readonly TablespaceState[],
  { bytesIn, namesIn }: Survey,
  difference: Difference | null,
  { wal_segment_bytes: segmentBytes }: ClusterMetadata,
): Promise<void> {
  const bytes = difference?.growth ?? bytesIn;
  const needOf = (place: string, oid: number | null): Parameters<typeof checkRoom>[0][number] => ({
    place,
    bytes: bytes.get(oid) ?? 0,
    names: difference === null ? (namesIn.get(oid) ?? 0) : 0,
  });
  // Recovery begins with a segment or two of its own.
  const wal = { place: path, bytes: 2 * segmentBytes, names: 0 };
  const places = tablespaces.map(({ placed }) => needOf(placed.location, placed.oid));
  await checkRoom([needOf(path, null), ...places, wal]);
}

function ownerOf(
  { owner: wished, target: given }: ClusterRestoreOptions,
  target: Target,
  { mark }: LocalCluster,
): { readonly owner: FileOwner | null; readonly notes: readonly string[] } {
  const self = { uid: process.geteuid?.() ?? 0, gid: process.getegid?.() ?? 0 };
  if (self.uid !== 0) {
    if (wished !== null && wished.uid !== self.uid)
      throw unusable(given, 'only root can give files to another user', 'restore as that user, or as root');
    const strange = target.owner !== null && target.owner.uid !== self.uid;
    const note = `${target.path} belongs to another user (${target.owner?.uid ?? ''}): PostgreSQL starts only as the owner of its data directory`;
    return { owner: null, notes: strange ? [note] : [] };
  }
  const owner = wished ?? mark?.owner ?? target.owner ?? self;
  if (owner.uid !== 0) return { owner, notes: [] };
  const note = `everything will belong to root, as which PostgreSQL does not start: before you start it, chown -R postgres:postgres ${quoted(target.path)}, and the tablespaces if there are any`;
  return { owner, notes: [note] };
}

function quoted(path: string): string {
  return /^[\w./+:@-]+$/.test(path) ? path : `'${path.replaceAll("'", `'\\''`)}'`;
}

function warningsOf(
  mode: ClusterRestoreMode,
  difference: Difference | null,
  metadata: ClusterMetadata,
): string[] {
  const warnings: string[] = [];
  const wal = difference?.unarchivedWal ?? [];
  if (wal.length > 0)
    warnings.push(
      `pg_wal there has ${plural(wal.length, 'segment')} that the server has not marked as archived, from ${wal[0] ?? ''} to ${wal.at(-1) ?? ''}: what only they hold is lost unless you copy them away first`,
    );
  if (mode === 'replace')
    warnings.push(
      'what is there now is kept under another name beside it, and needs its room until you remove it',
    );
  if (metadata.bad_page_count > 0)
    warnings.push(
      `${plural(metadata.bad_page_count, 'page')} had a wrong checksum when the backup was taken, and will be as they were`,
    );
  return warnings;
}
