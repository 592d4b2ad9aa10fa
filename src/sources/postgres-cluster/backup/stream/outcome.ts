import { formatLsn } from '../../../../postgres/lsn.ts';
import type { BaseBackupStream, WalPoint } from '../../../../postgres/replication/base-backup.ts';
import type { BackupContext, BackupOutcome } from '../../../port.ts';
import type { ClusterMetadata } from '../../metadata.ts';
import { nameBadPages } from '../bad-pages.ts';
import type { DatabaseFact } from '../facts.ts';
import type { LeftOut } from '../left-out.ts';
import type { Arrivals } from './arrivals.ts';
import type { BackupLinks } from './connections.ts';
import type { Places } from './outside.ts';
import type { Plan } from './parent.ts';
import { openSqlIfAllowed } from './sql-side.ts';

export interface Streamed {
  readonly links: BackupLinks;
  readonly backup: BaseBackupStream;
  readonly places: Places;
  readonly databases: readonly DatabaseFact[];
  readonly plan: Plan;
  readonly arrivals: Arrivals;
  readonly end: WalPoint;
  /** Id of the archive that has the WAL. */
  readonly archive: string;
  readonly startedAt: string;
  /** Milliseconds since 1970, by the server's clock. */
  readonly stoppedAtMs: number;
}

/** What a backup tells about itself; with `warnings` before those of single pages and files. */
export async function outcomeOf(
  streamed: Streamed,
  warnings: readonly string[],
  leftOut: LeftOut,
  context: BackupContext,
): Promise<BackupOutcome> {
  const { arrivals, databases, links } = streamed;
  const { badFiles, counts } = arrivals;
  await using sql = badFiles.length === 0 ? undefined : await openSqlIfAllowed(links.here, context.signal);
  const bad = await nameBadPages(badFiles, databases, sql, context);
  const metadata: ClusterMetadata = {
    ...ofServer(streamed),
    ...ofBackup(streamed),
    ...counts,
    pages_guarded: arrivals.pagesCompared,
    bad_pages: [...bad.pages],
  };
  return {
    metadata,
    warnings: [...warnings, ...leftOut.warnings(), ...bad.warnings],
    incomplete: leftOut.incomplete(counts.bad_page_count),
  };
}

type OfServer =
  | 'server_version'
  | 'server_version_num'
  | 'system_identifier'
  | 'from_standby'
  | 'page_bytes'
  | 'wal_segment_bytes'
  | 'data_checksums'
  | 'wal_level'
  | 'data_directory'
  | 'port'
  | 'databases'
  | 'tablespaces';

function ofServer({ links, places, databases, backup, arrivals }: Streamed): Pick<ClusterMetadata, OfServer> {
  const { facts } = links;
  const paths = new Map(backup.tablespaces.map(({ oid, path }) => [oid, path]));
  return {
    server_version: facts.version,
    server_version_num: facts.versionNumber,
    system_identifier: facts.systemIdentifier,
    from_standby: facts.inRecovery,
    page_bytes: facts.pageBytes,
    wal_segment_bytes: facts.walSegmentBytes,
    data_checksums: facts.dataChecksums,
    wal_level: facts.walLevel,
    data_directory: places.dataDirectory ?? '',
    port: facts.port,
    tablespaces: [...arrivals.tablespaceBytes]
      .map(([oid, size]) => ({ oid, path: paths.get(oid) ?? `pg_tblspc/${oid}`, size }))
      .toSorted((a, b) => a.oid - b.oid),
    databases: databases.map((database) => ({ ...database })),
  };
}

type OfBackup =
  | 'schema'
  | 'mode'
  | 'timeline'
  | 'start_lsn'
  | 'stop_lsn'
  | 'started_at'
  | 'stopped_at'
  | 'parent'
  | 'full_because'
  | 'wal_archive';

function ofBackup(streamed: Streamed): Pick<ClusterMetadata, OfBackup> {
  const { backup, end, plan, archive, startedAt, stoppedAtMs } = streamed;
  return {
    schema: 1,
    mode: 'stream',
    timeline: backup.start.timeline,
    start_lsn: formatLsn(backup.start.lsn),
    stop_lsn: formatLsn(end.lsn),
    started_at: startedAt,
    stopped_at: new Date(stoppedAtMs).toISOString(),
    parent: 'fullBecause' in plan ? null : plan.previous.id,
    full_because: 'fullBecause' in plan ? plan.fullBecause : null,
    wal_archive: archive,
  };
}
