import { failure } from '../../../kernel/errors/failure.ts';
import type { Session } from '../../../postgres/connection/session.ts';
import type { Lsn } from '../../../postgres/lsn.ts';
import { databasesLostByReplay } from '../../../postgres/wal/database-copies.ts';
import type { WalStore } from '../../port.ts';
import type { ServerFacts } from './facts.ts';

/** Where the files of a database are, and what made them be there. */
export interface DatabasePlace {
  readonly oid: number;
  readonly name: string;
  /** Of its tablespace and the transaction that wrote its row: one that went and came back differs, too. */
  readonly place: string;
}

export async function readDatabasePlaces(session: Session): Promise<readonly DatabasePlace[]> {
  const rows = await session.query<{ oid: string; name: string; place: string }>(
    "SELECT oid::text, datname AS name, dattablespace::text || ' ' || xmin::text AS place FROM pg_database",
  );
  return rows.map(({ oid, name, place }) => ({ oid: Number(oid), name, place }));
}

/** Before the backup began and when all files had been read; undefined where the server could not be asked. */
export interface PlacesAround {
  readonly before: readonly DatabasePlace[] | undefined;
  readonly after: readonly DatabasePlace[] | undefined;
}

/**
 * Refuses a backup whose recovery would leave a database empty, because its files were moved while they were read.
 * Nobody need look for that in WAL where the databases stayed what and where they were. `cluster_database_moved`.
 */
export async function checkNoneMoved(
  { before, after }: PlacesAround,
  wal: WalStore,
  range: { readonly timeline: number; readonly startLsn: Lsn; readonly stopLsn: Lsn },
  {
    server,
    facts,
  }: {
    readonly server: string;
    readonly facts: Pick<ServerFacts, 'systemIdentifier' | 'walSegmentBytes'>;
  },
): Promise<void> {
  if (before !== undefined && after !== undefined && !mayHaveMoved(before, after)) return;
  const { timeline, startLsn, stopLsn } = range;
  const lost = await databasesLostByReplay(
    { from: startLsn, bytes: (from) => wal.read(timeline, from, stopLsn) },
    { segmentBytes: facts.walSegmentBytes, systemIdentifier: facts.systemIdentifier },
  );
  if (lost.size === 0) return;
  const names = new Map([...(before ?? []), ...(after ?? [])].map(({ oid, name }) => [oid, name]));
  const databases = [...lost].map((oid) => names.get(oid) ?? `number ${oid}`).join(', ');
  throw failure('cluster_database_moved', { server, databases });
}

function mayHaveMoved(before: readonly DatabasePlace[], after: readonly DatabasePlace[]): boolean {
  const then = new Map(before.map(({ oid, place }) => [oid, place]));
  const now = new Map(after.map(({ oid, place }) => [oid, place]));
  const isNew = after.some(({ oid }) => !then.has(oid));
  return before.some(({ oid, place }) => {
    const found = now.get(oid);
    // One that is gone matters when another may be a copy of it.
    return found === undefined ? isNew : found !== place;
  });
}
