import { BlobFingerprint, type BlobTotals } from './blob-fingerprint.ts';
import type { ConnectionParameters } from '../../postgres/connection/connection.ts';
import { openSession } from '../../postgres/connection/session.ts';

const blobPieceBytes = 262_144;

/** Every large object of the database, by number and content. */
export async function readBlobs(database: ConnectionParameters, signal: AbortSignal): Promise<BlobTotals> {
  await using session = await openSession(database, signal);
  const totals = new BlobFingerprint();
  for (let last = '0'; ;) {
    const oids = await session.query<{ oid: string }>(
      'SELECT oid::text FROM pg_catalog.pg_largeobject_metadata WHERE oid > $1::oid ORDER BY oid LIMIT 1000',
      [last],
    );
    for (const { oid } of oids) {
      totals.begin(Number(oid));
      for (let offset = 0; ; offset += blobPieceBytes) {
        const [row] = await session.query<{ piece: Buffer }>(
          'SELECT pg_catalog.lo_get($1::oid, $2::bigint, $3::integer) AS piece',
          [oid, offset, blobPieceBytes],
        );
        const piece = row?.piece ?? Buffer.alloc(0);
        totals.content(piece);
        if (piece.length < blobPieceBytes) break;
      }
      totals.end();
      last = oid;
    }
    if (oids.length < 1000) return totals.totals();
  }
}
