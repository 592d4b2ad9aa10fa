import { byteSize } from '../../../kernel/byte-size.ts';
import { plural } from '../../../kernel/plural.ts';
import { quoteLiteral } from '../../../postgres/names.ts';
import type { Finding } from '../../port.ts';
import { alterSystem, ok, reload, thenRestart, warning, wrong, type Asked } from './question.ts';
import type { SlotRow } from './slot-rows.ts';

/** One for `holdfast wal stream`, one for a backup over the replication protocol. */
const sendersNeeded = 2;

export async function senders({ session, settings, options }: Asked): Promise<Finding[]> {
  const check = 'max_wal_senders';
  const most = settings.number(check) ?? 0;
  const isNeeded = options.dataDirectory === undefined;
  const mend = settings.waitsForRestart(check)
    ? 'restart the server: its configuration is changed'
    : `${alterSystem(check, String(Math.max(10, most + 5)))} ${thenRestart}`;
  if (most === 0) {
    const message =
      'max_wal_senders is 0: the server lets nobody in for replication, and so neither a backup over it nor holdfast wal stream';
    return [(isNeeded ? wrong : warning)(check, message, mend)];
  }
  const [row] = await session.query<{ taken: string }>(
    'SELECT count(*)::text AS taken FROM pg_catalog.pg_stat_replication',
  );
  const free = most - Number(row?.taken);
  const message = `${free} of ${plural(most, 'connection')} for replication ${free === 1 ? 'is' : 'are'} free`;
  if (free >= sendersNeeded) return [ok(check, message)];
  const more = `${message}; holdfast wal stream takes one, and a backup that is not read in the data directory another`;
  return [(isNeeded && free === 0 ? wrong : warning)(check, more, mend)];
}

export function slotsLeft({ settings, slots }: Asked): Finding[] {
  const check = 'max_replication_slots';
  const most = settings.number(check) ?? 0;
  const free = most - slots.length;
  const message = `${free} of ${plural(most, 'replication slot')} ${free === 1 ? 'is' : 'are'} free`;
  if (free > 0) return [ok(check, message)];
  const kept = settings.bytes('wal_keep_size') ?? 0;
  const without = `${message}: a backup cannot have the server keep the WAL that it needs, beyond wal_keep_size (${byteSize(kept)})`;
  const mend = settings.waitsForRestart(check)
    ? 'restart the server: its configuration is changed'
    : `${alterSystem(check, String(Math.max(10, most + 5)))} ${thenRestart}`;
  return [warning(check, without, mend)];
}

/** The slot of `holdfast wal stream`, when there is one. */
export function ownSlot({ slots, options, settings }: Asked): Finding[] {
  const check = 'slot';
  const slot = slots.find(({ name }) => name === options.slot);
  if (slot === undefined) return [];
  if (!slot.isPhysical) {
    const message = `the replication slot ${slot.name} is a logical one of something else`;
    return [wrong(check, message, 'give the source another one: slot: NAME in the settings')];
  }
  return [
    state(check, slot),
    ...waiting(check, slot, options.walWaitingLimitBytes),
    ...limit(options.walWaitingLimitBytes, settings.bytes('max_slot_wal_keep_size')),
  ];
}

function state(check: string, slot: SlotRow): Finding {
  const { name, isActive, walStatus } = slot;
  if (walStatus === 'lost') {
    const message = `the server has removed WAL that the replication slot ${name} was to keep: there is a gap in what is stored`;
    return wrong(check, message, `${dropSlot(name)} then start holdfast wal stream and take a backup`);
  }
  if (walStatus === 'unreserved') {
    const message = `the server is about to remove WAL that the replication slot ${name} is to keep (max_slot_wal_keep_size)`;
    const mend = `${alterSystem('max_slot_wal_keep_size', '-1')} ${reload} and start holdfast wal stream`;
    return wrong(check, message, mend);
  }
  const kept = `the server keeps ${byteSize(slot.keptBytes ?? 0)} of WAL for it`;
  if (isActive) return ok(check, `holdfast wal stream is connected to the replication slot ${name}; ${kept}`);
  const message = `nothing streams from the replication slot ${name}; ${kept}`;
  const mend = `start holdfast wal stream; or, when it is not wanted any more: ${dropSlot(name)}`;
  return warning(check, message, mend);
}

function waiting(check: string, { keptBytes }: SlotRow, most: number): Finding[] {
  if (keptBytes === null || keptBytes <= most) return [];
  const message = `${byteSize(keptBytes)} of WAL wait for the repository, more than wal_waiting_limit (${byteSize(most)})`;
  return [warning(check, message, 'look whether holdfast wal stream runs, and what it says')];
}

function limit(most: number, kept: number | undefined): Finding[] {
  const check = 'max_slot_wal_keep_size';
  if (kept === undefined) {
    const message =
      'the server keeps all WAL until it is stored, and its disk fills when the repository is away for long';
    return [ok(check, message)];
  }
  const message = `the server removes WAL that is ${byteSize(kept)} behind, whether or not it is stored`;
  if (kept >= most) return [ok(check, message)];
  const unwarned = `${message}: before wal_waiting_limit (${byteSize(most)}) is reached and warned of`;
  const mebibytes = Math.ceil((2 * most) / 1_048_576);
  const mend = `${alterSystem(check, `'${mebibytes}MB'`)} ${reload} or set a smaller wal_waiting_limit`;
  return [warning(check, unwarned, mend)];
}

/** Those of others that hold WAL back while nobody takes it. */
export function otherSlots({ slots, options }: Asked): Finding[] {
  return slots
    .filter(({ name, isActive, isSynced, keptBytes }) => {
      return name !== options.slot && !isActive && !isSynced && keptBytes !== null;
    })
    .map(({ name, keptBytes }) => {
      const message = `the replication slot ${name} is used by nobody and keeps ${byteSize(keptBytes ?? 0)} of WAL on the server, and more all the time`;
      return warning('other slots', message, `if nobody needs it any more: ${dropSlot(name)}`);
    });
}

function dropSlot(name: string): string {
  return `SELECT pg_drop_replication_slot(${quoteLiteral(name)});`;
}
