import { forgottenPrefix, pinnedBackupOf, pinsPrefix, trashPrefix } from '../../repository/history/names.ts';
import { putPin } from '../../repository/history/pins.ts';
import { keptConfigPrefix } from '../../repository/kept-config.ts';
import {
  configObject,
  indexPrefix,
  keysPrefix,
  snapshotsPrefix,
  walAboutPrefix,
  walArchiveIdOf,
  walPrefix,
} from '../../repository/layout.ts';
import { reportsPrefix } from '../../repository/reports.ts';
import { cannotBeRemoved, exchange, stateOf, stepOf, type RepairContext } from './context.ts';
import type { RepairStep } from './report.ts';
import { clustersOf, isReadWithout } from './wal.ts';

/** What becomes of an object that no copy has, by what it is. */
interface Fate {
  readonly action: 'rebuild' | 'set_aside' | 'leave';
  readonly note: string;
}

const fates: readonly (readonly [prefix: string, fate: Fate])[] = [
  [indexPrefix, { action: 'rebuild', note: 'from what the packs tell of themselves' }],
  [keysPrefix, { action: 'set_aside', note: 'its passphrase opens nothing any more' }],
  [trashPrefix, { action: 'set_aside', note: 'that backup was forgotten, and cannot be brought back' }],
  [reportsPrefix, { action: 'set_aside', note: 'a report of an earlier verify' }],
  [
    keptConfigPrefix,
    { action: 'set_aside', note: 'a configuration that was kept; the next backup keeps it anew' },
  ],
  [pinsPrefix, { action: 'rebuild', note: 'the backup stays pinned; who pinned it and why is lost' }],
  [walAboutPrefix, { action: 'rebuild', note: 'from what the backups know of the cluster' }],
  [snapshotsPrefix, { action: 'leave', note: 'no copy has this manifest: the backup is lost' }],
  [forgottenPrefix, { action: 'leave', note: 'no copy has it: what it explains shows as missing' }],
];

/** A damaged record of what was forgotten, where every backup that is known to have been is there or explained. */
const explainsNothing: Fate = {
  action: 'set_aside',
  note: 'no backup is missing that it may have explained',
};

/** Objects that are neither packs nor made of anything: each is put back whole, or not at all. */
export async function planObject(
  context: RepairContext,
  name: string,
  isExplained: boolean,
): Promise<RepairStep | undefined> {
  if (name === configObject) return stepOf('rebuild', name, { from: 'here' });
  if ((await stateOf(context, name)).state === 'good') return undefined;
  const from = name.startsWith(indexPrefix) ? undefined : await context.sources.likely(name, context.signal);
  if (from !== undefined) return stepOf('replace', name, { from });
  const { action, note } = await fateOf(context, name, isExplained);
  return stepOf(action, name, { note });
}

/** Mends one such object. `isExplained`: no backup is missing that a record of what was forgotten could explain. */
export async function mendObject(context: RepairContext, name: string, isExplained: boolean): Promise<void> {
  const { repository, sources, signal, tell } = context;
  const found = await stateOf(context, name);
  if (found.state === 'good') return;
  const damaged = found.state === 'damaged' ? found.bytes : undefined;
  const good = name.startsWith(indexPrefix)
    ? undefined
    : name === configObject
      ? { bytes: repository.configBytes, from: 'here' }
      : await sources.find(name, signal);
  try {
    if (good !== undefined) {
      const done = await exchange(context, name, damaged, good.bytes);
      if ('stays' in done) tellLeft(context, name, done.stays);
      else tell({ ...stepOf('replace', name, { from: good.from }), ...done });
      return;
    }
    const { action, note } = await fateOf(context, name, isExplained);
    if (action === 'leave') {
      if (damaged !== undefined) tellLeft(context, name, note);
      return;
    }
    const done = await exchange(context, name, damaged, undefined);
    if ('stays' in done) {
      tellLeft(context, name, done.stays);
      return;
    }
    if (action === 'rebuild' && name.startsWith(pinsPrefix)) await pinAnew(context, name);
    tell({ ...stepOf(action, name, { note }), ...done });
  } catch (error) {
    const stays = cannotBeRemoved(error);
    if (stays === undefined) throw error;
    tellLeft(context, name, stays.message);
  }
}

function tellLeft({ tell }: RepairContext, name: string, note: string): void {
  tell({ ...stepOf('leave', name, { note }), quarantined: null });
}

async function fateOf(context: RepairContext, name: string, isExplained: boolean): Promise<Fate> {
  if (isExplained && name.startsWith(forgottenPrefix)) return explainsNothing;
  const known = fates.find(([prefix]) => name.startsWith(prefix))?.[1];
  const archive = walArchiveIdOf(name);
  if (archive !== undefined && !(await clustersOf(context.repository, context.signal)).has(archive))
    return { action: 'leave', note: 'no copy has it, and no backup knows that cluster' };
  if (known !== undefined) return known;
  if (!name.startsWith(walPrefix)) return { action: 'leave', note: 'no copy has it' };
  return (await isReadWithout(context, name))
    ? { action: 'set_aside', note: 'no copy has it; a recovery that needs it stops there, and says so' }
    : {
        action: 'leave',
        note: 'no copy has it; without it the WAL would seem to end there, so it stays and stops a recovery',
      };
}

/** A pin that cannot be read holds all the same, so another one takes its place. */
async function pinAnew({ repository, clock, host, user }: RepairContext, name: string): Promise<void> {
  const id = pinnedBackupOf(name);
  if (id === undefined) return;
  const pinned_at = new Date(clock.now()).toISOString();
  await putPin(repository, {
    schema: 1,
    id,
    reason: 'the pin that was here was damaged',
    pinned_at,
    host,
    user,
  });
}
