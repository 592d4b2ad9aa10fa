import type { Manifest } from '../contract/manifest.ts';

/** A backup as every face shows it. */
export interface BackupView {
  readonly id: string;
  readonly source: string;
  readonly kind: string;
  readonly started_at: string;
  readonly finished_at: string;
  readonly duration_ms: number;
  /** Of everything in it, whether read or taken over from the backup before. */
  readonly bytes: number;
  readonly bytes_read: number;
  readonly bytes_added: number;
  readonly bytes_new: number;
  readonly chunks: number;
  readonly chunks_new: number;
  readonly entries: number;
  readonly tags: Readonly<Record<string, string>>;
  readonly host: string;
  readonly user: string;
  readonly git: Manifest['origin']['git'];
  readonly holdfast_version: string;
  readonly warnings: readonly string[];
  /** What should be in it and is not, for people; null when everything is. */
  readonly incomplete: string | null;
}

export function backupView(manifest: Manifest): BackupView {
  const { origin, stats } = manifest;
  return {
    id: manifest.id,
    source: manifest.source.name,
    kind: manifest.source.kind,
    started_at: manifest.started_at,
    finished_at: manifest.finished_at,
    duration_ms: Date.parse(manifest.finished_at) - Date.parse(manifest.started_at),
    bytes: stats.bytes ?? stats.bytes_read,
    bytes_read: stats.bytes_read,
    bytes_added: stats.bytes_added,
    bytes_new: stats.bytes_new,
    chunks: stats.chunks,
    chunks_new: stats.chunks_new,
    entries: manifest.entries.count,
    tags: manifest.tags,
    host: origin.host,
    user: origin.user,
    git: origin.git,
    holdfast_version: origin.holdfast_version,
    warnings: manifest.warnings,
    incomplete: manifest.incomplete ?? null,
  };
}
