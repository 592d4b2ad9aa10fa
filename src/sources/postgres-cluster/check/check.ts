import { openSession, type Session } from '../../../postgres/connection/session.ts';
import type { Finding } from '../../port.ts';
import { archiver } from './archiver.ts';
import { archiving } from './archiving.ts';
import { directory } from './directory.ts';
import type { ClusterCheckOptions } from './options.ts';
import { privileges } from './privileges.ts';
import { brokenBy, ok, type Asked, type Question } from './question.ts';
import { replication } from './replication.ts';
import { isRestoring } from './restoring.ts';
import { room } from './room.ts';
import { checksums, clock, fullPages, role, version, walCompression, walLevel } from './server.ts';
import { readSettings } from './settings.ts';
import { readSlots } from './slot-rows.ts';
import { otherSlots, ownSlot, senders, slotsLeft } from './slots.ts';
import { synchronous } from './synchronous.ts';

/** Under the names that findings have when a question cannot be answered. */
const questions: readonly (readonly [string, Question])[] = [
  ['version', version],
  ['role', role],
  ['wal_level', walLevel],
  ['full_page_writes', fullPages],
  ['checksums', checksums],
  ['wal_compression', walCompression],
  ['senders', senders],
  ['slots', slotsLeft],
  ['replication', replication],
  ['privileges', privileges],
  ['data directory', directory],
  ['room for WAL', room],
  ['archiving', archiving],
  ['archiver', archiver],
  ['slot', ownSlot],
  ['other slots', otherSlots],
  ['synchronous', synchronous],
  ['clock', clock],
];

/**
 * What `doctor` says of a source of type `postgres-cluster`. Changes nothing; a failed question becomes a finding, and
 * nothing is thrown but the signal's reason.
 */
export async function checkCluster(options: ClusterCheckOptions, signal: AbortSignal): Promise<Finding[]> {
  let session: Session;
  try {
    session = await openSession(options.connection, signal);
  } catch (error) {
    return [brokenBy('connection', error, signal)];
  }
  await using open = session;
  const { user } = options.connection;
  const findings = [ok('connection', `connected to ${open.setting.server} as ${user}`)];
  let asked: Asked;
  try {
    const major = Math.floor(open.serverVersionNumber / 10_000);
    const [settings, slots] = [await readSettings(open), await readSlots(open)];
    const restoring = await isRestoring(open, options.dataDirectory, signal);
    asked = { options, session: open, signal, major, settings, slots, restoring };
  } catch (error) {
    return [...findings, brokenBy('settings', error, signal)];
  }
  for (const [check, question] of questions) {
    try {
      findings.push(...(await question(asked)));
    } catch (error) {
      findings.push(brokenBy(check, error, signal));
    }
  }
  return findings;
}
