import { after } from 'node:test';
import type { Manifest } from '../../src/contract/manifest.ts';
import { formatLsn, type Lsn } from '../../src/postgres/lsn.ts';
import type { Repository } from '../../src/repository/repository.ts';
import type { WalArchive } from '../../src/repository/wal/model.ts';
import type { ClusterMetadata } from '../../src/sources/postgres-cluster/metadata.ts';
import type { Storage } from '../../src/storage/port.ts';
import { modelStart, modelSystem, RecoveryModel, type ModelTimeline } from '../../testing/recovery-model.ts';
import { backUp, bytesSource } from '../../testing/repository.ts';
import { makeWalArchive } from '../../testing/wal-archive.ts';

export const firstUs = Date.parse('2026-11-21T20:00:00Z') * 1000;

/** A repository with an archive of WAL that a model writes, and backups of a cluster that no server has. */
export class ClusterWorld {
  readonly model = new RecoveryModel();
  readonly repository: Repository;
  readonly archive: WalArchive;
  readonly storage: Storage;
  #seconds = 0;
  #xid = 700;

  private constructor(made: {
    readonly repository: Repository;
    readonly archive: WalArchive;
    readonly storage: Storage;
  }) {
    this.repository = made.repository;
    this.archive = made.archive;
    this.storage = made.storage;
  }

  static async make(options: Parameters<typeof makeWalArchive>[0] = {}): Promise<ClusterWorld> {
    const world = new ClusterWorld(await makeWalArchive(options));
    // Its threads would keep the process.
    after(() => world.repository[Symbol.asyncDispose]());
    return world;
  }

  get first(): ModelTimeline {
    const [first] = this.model.timelines;
    if (first === undefined) throw new Error('a model has a timeline');
    return first;
  }

  /** Writes for about so many bytes, with a commit at the end, a second later than the last one. */
  write(on: ModelTimeline, bytes: number): void {
    for (let left = bytes; left > 0; left -= 200_000)
      on.own.push({ do: 'fill', bytes: Math.min(left, 200_000) });
    this.#seconds += 1;
    on.own.push({ do: 'commit', xid: this.#xid++, atUs: firstUs + this.#seconds * 1_000_000 });
  }

  position(of: ModelTimeline): Lsn {
    return this.model.write(of).end;
  }

  /** A backup that began and ended at these positions of a timeline, and ended now. */
  async backUp(
    timeline: number,
    start: Lsn,
    stop: Lsn,
    rest: Partial<ClusterMetadata> = {},
  ): Promise<Manifest> {
    const at = new Date(firstUs / 1000 + this.#seconds * 1000).toISOString();
    const metadata: ClusterMetadata = {
      ...plainMetadata,
      system_identifier: modelSystem,
      timeline,
      start_lsn: formatLsn(start),
      stop_lsn: formatLsn(stop),
      started_at: at,
      stopped_at: at,
      wal_archive: this.archive.id,
      ...rest,
    };
    const source = bytesSource({ 'global/pg_control': Buffer.from(at) });
    return await backUp(this.repository, {
      ...source,
      name: 'main',
      kind: 'postgres-cluster',
      backup: async (context) => ({ ...(await source.backup(context)), metadata }),
    });
  }
}

export const modelBegin = modelStart;

const plainMetadata: Omit<
  ClusterMetadata,
  'system_identifier' | 'timeline' | 'start_lsn' | 'stop_lsn' | 'started_at' | 'stopped_at' | 'wal_archive'
> = {
  schema: 1,
  mode: 'local',
  server_version: '15.8',
  server_version_num: 150_008,
  from_standby: false,
  page_bytes: 8192,
  wal_segment_bytes: 1 << 20,
  data_checksums: false,
  wal_level: 'replica',
  data_directory: '/var/lib/postgresql/15/main',
  port: 5432,
  tablespaces: [],
  databases: [{ oid: 5, name: 'postgres', xmin: '1' }],
  parent: null,
  full_because: 'it is the first one',
  files: 900,
  files_kept: 0,
  bytes: 30_000_000,
  pages: 3000,
  pages_changed: 3000,
  pages_guarded: 0,
  bad_pages: [],
  bad_page_count: 0,
};
