import { formatLsn, parseLsn, zeroLsn, type Lsn } from '../../../postgres/lsn.ts';
import { clusterMetadataSchema, type ClusterMetadata, type FileMeta } from '../metadata.ts';
import type { PreviousBackup } from '../../port.ts';
import type { DatabaseFact, ServerFacts } from './facts.ts';

/**
 * What an increment takes over from the backup before (the parent), and why it may.
 *
 * **A page** is taken over when its stamp (LSN and checksum) is the parent's at the same place in the file of the same
 * path, its LSN is not zero, and its LSN is below the position where the parent started:
 *
 * - *The same stamp*, because a lower LSN alone does not make it the same page. `CREATE DATABASE … STRATEGY FILE_COPY` and
 *   `ALTER DATABASE … SET TABLESPACE` put files in place whose pages keep their old LSNs; a machine that was rolled back to a
 *   snapshot writes other pages below the position that the parent started at; and with checksums switched on again,
 *   hint bits set meanwhile show in the checksum alone.
 * - *Not zero*, because pages that were made by extending a file, or that no record has touched, all have LSN zero.
 * - *Below the start of the parent*, because the parent may have read the page while the server wrote it, half old and
 *   half new, with the LSN of one half. Whatever was changed before the checkpoint that the parent started with had been
 *   written by then. And hint bits that are set after the first change behind a checkpoint leave the LSN as it is.
 *
 * A page that the server writes while it is looked at now has an LSN above this backup's start, whatever half was seen:
 * recovery replaces it.
 *
 * Only pages of main forks have LSNs to rely on. Free space maps are not logged, and visibility maps not always: these,
 * and everything that is no relation, are read whole.
 *
 * **A whole file** is not even read when size, times and inode are the parent's, and it was last written well before the
 * parent started: then the parent has read what is there now. A file put in its place has another inode.
 */
export interface ParentPlan {
  readonly previous: PreviousBackup;
  readonly metadata: ClusterMetadata;
  readonly startLsn: Lsn;
  /** Databases whose files are not compared, by OID. */
  readonly otherDatabases: ReadonlySet<number>;
  /** Files last written before this may be kept unread: nanoseconds since 1970. Null: none may. */
  readonly keptBeforeNs: bigint | null;
}

/** Files written so shortly before the parent started may have been written again without their times showing it. */
const settledNs = 10_000_000_000n;

export interface Situation {
  readonly facts: Pick<
    ServerFacts,
    'major' | 'systemIdentifier' | 'pageBytes' | 'dataChecksums' | 'inRecovery'
  >;
  readonly databases: readonly DatabaseFact[];
  readonly timeline: number;
  readonly startLsn: Lsn;
  /** How far the WAL has come. */
  readonly position: Lsn;
  readonly host: string;
  readonly dataDirectory: string;
}

/** The parent to build on, or why there is none, for people. */
export function planParent(
  previous: PreviousBackup | null,
  situation: Situation,
): ParentPlan | { readonly fullBecause: string } {
  if (previous === null) return { fullBecause: 'it is the first backup' };
  const parsed = clusterMetadataSchema.safeParse(previous.metadata);
  if (!parsed.success) return { fullBecause: 'the backup before was made by another version of Holdfast' };
  const metadata = parsed.data;
  const startLsn = parseLsn(metadata.start_lsn) ?? zeroLsn;
  const fullBecause = whyFull(metadata, situation);
  if (fullBecause !== null) return { fullBecause };
  return {
    previous,
    metadata,
    startLsn,
    otherDatabases: otherDatabases(metadata, situation.databases),
    keptBeforeNs: keptBefore(previous, metadata, situation),
  };
}

function whyFull(parent: ClusterMetadata, now: Situation): string | null {
  const { facts } = now;
  // Another cluster has other pages at the same LSNs.
  if (parent.system_identifier !== facts.systemIdentifier)
    return `the backup before is of another cluster, ${parent.system_identifier}`;
  // pg_upgrade makes another cluster, too; but files of two versions are never compared.
  if (Math.floor(parent.server_version_num / 10_000) !== facts.major)
    return 'the server was upgraded to another major version';
  // After a promotion the same positions are given again, to other changes.
  if (parent.timeline !== now.timeline)
    return `the cluster is on timeline ${now.timeline} now, and the backup before on ${parent.timeline}`;
  if (parent.page_bytes !== facts.pageBytes) return 'the size of pages is another';
  // pg_checksums writes every page and leaves its LSN.
  if (parent.data_checksums !== facts.dataChecksums) return 'data checksums were switched on or off';
  // A cluster that has not come as far as the backup before had was put back, and has another history from there.
  const stop = parseLsn(parent.stop_lsn) ?? zeroLsn;
  const start = parseLsn(parent.start_lsn) ?? zeroLsn;
  // A standby starts at its last checkpoint, which may be the same again: there it counts how far it has replayed.
  const reached = facts.inRecovery ? now.position : now.startLsn;
  if (stop > reached || start > now.startLsn)
    return `the cluster was put back to ${formatLsn(reached)}, behind the end of the backup before at ${parent.stop_lsn}`;
  return null;
}

/** A database made anew may have got the OID of one that was dropped: its row in `pg_database` is another then. */
function otherDatabases(parent: ClusterMetadata, databases: readonly DatabaseFact[]): ReadonlySet<number> {
  const before = new Map(parent.databases.map(({ oid, xmin }) => [oid, xmin]));
  return new Set(databases.filter(({ oid, xmin }) => before.get(oid) !== xmin).map(({ oid }) => oid));
}

/** Inodes and times say something only about the same file system, as the same machine sees it. */
function keptBefore(previous: PreviousBackup, parent: ClusterMetadata, now: Situation): bigint | null {
  const isSamePlace =
    parent.mode === 'local' && previous.host === now.host && parent.data_directory === now.dataDirectory;
  return isSamePlace ? BigInt(Date.parse(parent.started_at)) * 1_000_000n - settledNs : null;
}

/** Whether a file is as the parent has read it, by what its directory says. */
export function isUntouched(
  file: { readonly size: number; readonly mtimeNs: bigint; readonly inode: string },
  before: { readonly size: number; readonly meta: FileMeta },
  keptBeforeNs: bigint | null,
): boolean {
  const { meta, size } = before;
  if (keptBeforeNs === null || meta.damaged === true) return false;
  const isSame = file.size === size && String(file.mtimeNs) === meta.mtime_ns && file.inode === meta.inode;
  return isSame && file.mtimeNs < keptBeforeNs;
}

/** The position below which pages are old, as the two words that pages have. */
export interface LsnWords {
  readonly high: number;
  readonly low: number;
}

export function lsnWords(lsn: bigint): LsnWords {
  return { high: Number(lsn >> 32n), low: Number(lsn & 0xffff_ffffn) };
}

export function isBelow(high: number, low: number, limit: LsnWords): boolean {
  return high < limit.high || (high === limit.high && low < limit.low);
}

/** Whether a page is the parent's: the rule for pages. `at`: of its stamp in both buffers. */
export function isParentsPage(
  stamps: Buffer,
  before: Buffer,
  at: number,
  lsn: LsnWords,
  parentStart: LsnWords,
): boolean {
  if (at + 8 > before.length) return false;
  const [low, high] = [stamps.readUInt32LE(at), stamps.readUInt32LE(at + 4)];
  if ((low === 0 && high === 0) || (lsn.low === 0 && lsn.high === 0)) return false;
  if (low !== before.readUInt32LE(at) || high !== before.readUInt32LE(at + 4)) return false;
  return isBelow(lsn.high, lsn.low, parentStart);
}
