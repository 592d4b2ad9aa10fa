import type { Clock } from '../src/kernel/clock.ts';
import { putForgotten, type HistoryPlace } from '../src/repository/history/forgotten.ts';
import { parseSnapshotObject } from '../src/repository/layout.ts';

/** Forgets a backup as `forget` does, but for the trash: its record, then the end of its manifest, named by its object. */
export async function forgetManifest(
  place: HistoryPlace,
  objectName: string,
  clock: Pick<Clock, 'now'>,
): Promise<void> {
  const name = parseSnapshotObject(objectName);
  if (name === undefined) throw new Error(`no manifest: ${objectName}`);
  const instant = new Date(clock.now()).toISOString();
  const { id, sequence } = name;
  const one = { id, sequence, object_name: objectName, sha256: '0'.repeat(64), source: 'bytes' };
  const backups = [{ ...one, started_at: instant, why: [] }];
  const facts = { schema: 1 as const, forgotten_at: instant, host: 'testhost', user: 'tester' };
  await putForgotten(place, { ...facts, reason: 'a test', backups });
  await place.storage.delete(objectName);
}
