import type { Manifest } from '../../contract/manifest.ts';
import { lsnOf, parseLsn, type Lsn } from '../../postgres/lsn.ts';
import { importedTag } from '../../repository/find-backup.ts';
import { clusterMetadataSchema, type ClusterMetadata } from '../../sources/postgres-cluster/metadata.ts';

/** The kind of source whose backups WAL belongs to. */
export const clusterKind = 'postgres-cluster';

/** A backup of a cluster, as far as recovery is concerned. */
export interface ClusterBackup {
  readonly id: string;
  readonly source: string;
  readonly sequence: number;
  readonly timeline: number;
  readonly start: Lsn;
  readonly stop: Lsn;
  /** When it was consistent, in microseconds since 1970: the last of those that `stopped_at` may mean. */
  readonly stoppedAtUs: number;
  /** Why it is not all that it should be; null when it is. */
  readonly incomplete: string | null;
  readonly metadata: ClusterMetadata;
}

/** Undefined for a backup of anything else, for one that was imported, and for one whose metadata cannot be read. */
export function clusterBackup(manifest: Manifest): ClusterBackup | undefined {
  if (manifest.source.kind !== clusterKind || Object.hasOwn(manifest.tags, importedTag)) return undefined;
  const parsed = clusterMetadataSchema.safeParse(manifest.metadata);
  if (!parsed.success) return undefined;
  const metadata = parsed.data;
  return {
    id: manifest.id,
    source: manifest.source.name,
    sequence: manifest.sequence,
    timeline: metadata.timeline,
    start: lsnIn(metadata.start_lsn),
    stop: lsnIn(metadata.stop_lsn),
    // Milliseconds are written, and the server counts microseconds.
    stoppedAtUs: Date.parse(metadata.stopped_at) * 1000 + 999,
    incomplete: manifest.incomplete ?? null,
    metadata,
  };
}

/** Those that recovery can begin with, the newest first. */
export function clusterBackups(manifests: readonly Manifest[]): ClusterBackup[] {
  return manifests
    .map(clusterBackup)
    .filter((backup) => backup !== undefined)
    .toSorted((a, b) => b.stoppedAtUs - a.stoppedAtUs || b.sequence - a.sequence);
}

function lsnIn(text: string): Lsn {
  return parseLsn(text) ?? lsnOf(0);
}
