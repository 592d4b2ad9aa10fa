import { failure, type HoldfastError } from '../../kernel/errors/failure.ts';
import { serverFailure, type ServerSetting } from '../connection/server-errors.ts';
import { formatLsn, type Lsn } from '../lsn.ts';
import { quoteIdentifier } from '../names.ts';
import type { ServerMessage } from './wire.ts';

/** What was asked for, as far as errors about it have to say. */
export interface ReplicationSetting extends ServerSetting {
  readonly slot?: string | undefined;
  readonly start?: Lsn | undefined;
  readonly timeline?: number | undefined;
}

/** An error of the server, with its fields as node-postgres names them. */
export class ServerSaid extends Error {
  readonly code: string;
  readonly detail: string;

  constructor({ message, sqlState, detail }: ServerMessage) {
    super(message);
    this.code = sqlState;
    this.detail = detail;
  }
}

/** Any error of a replication connection, as one of the catalogue. Where it can be the SQLSTATE decides: servers speak many languages. */
export function replicationFailure(error: unknown, setting: ReplicationSetting): HoldfastError {
  const text = error instanceof Error ? error.message : '';
  const sqlState = fieldOf(error, 'code');
  const detail = fieldOf(error, 'detail');
  const reason = detail === '' ? text : `${text} (${detail})`;
  return (
    ofEntry(text, reason, setting) ??
    ofSlot(sqlState, text, reason, setting) ??
    ofWal(sqlState, text, reason, setting) ??
    serverFailure(error, setting)
  );
}

function ofEntry(text: string, reason: string, setting: ReplicationSetting): HoldfastError | undefined {
  const { server, user } = setting;
  if (/replication role to start walsender|permission denied to start WAL sender/.test(text))
    return failure('replication_role', { server, user, quoted: quoteIdentifier(user) });
  if (/pg_hba\.conf.*replication connection/.test(text))
    return failure('replication_hba', { server, user, reason: text, line: hbaLine(text, user) });
  const full = /number of requested standby connections exceeds "?max_wal_senders"? \(currently (\d+)\)/.exec(
    text,
  );
  if (full?.[1] === '0') return failure('replication_off', { server, reason: 'max_wal_senders is 0' });
  if (full !== null) return failure('replication_full', { server, limit: full[1] ?? '?' });
  // Of slots, of base backups.
  if (/replication slots can only be used if|WAL level not sufficient/.test(text))
    return failure('replication_off', { server, reason });
  return undefined;
}

function ofSlot(
  sqlState: string,
  text: string,
  reason: string,
  setting: ReplicationSetting,
): HoldfastError | undefined {
  const { server } = setting;
  const slot = /replication slot "([^"]*)"/.exec(text)?.[1] ?? setting.slot;
  if (slot === undefined) return undefined;
  switch (sqlState) {
    case '42710':
      return failure('replication_slot_exists', { server, slot });
    case '55006':
      return failure('replication_slot_active', { server, slot, reason });
    case '42704':
      return failure('replication_slot_missing', { server, slot });
    case '53400':
      return failure('replication_slots_full', { server });
    case '0A000':
    case '55000':
    case '42602':
      return failure('replication_slot_unfit', { server, slot, reason });
    default:
      return undefined;
  }
}

function ofWal(
  sqlState: string,
  text: string,
  reason: string,
  setting: ReplicationSetting,
): HoldfastError | undefined {
  const { server, timeline = 0 } = setting;
  const lsn = setting.start === undefined ? '?' : formatLsn(setting.start);
  // The wording depends on the language of the server; that a file is not there has a SQLSTATE.
  if (setting.start !== undefined && sqlState === '58P01')
    return failure('wal_removed_on_server', { server, lsn, reason });
  if (/ahead of the WAL flush position/.test(text))
    return failure('wal_start_ahead', { server, lsn, reason });
  if (/is not in this server's history/.test(text))
    return failure('wal_timeline_unknown', { server, timeline, lsn, reason });
  return undefined;
}

/** The line to add for whom the server has turned away. */
function hbaLine(text: string, user: string): string {
  // `all` and `replication` without quotes would mean something else than a name.
  const role = /^[a-z_][a-z0-9_]*$/.test(user) && user !== 'all' ? user : quoteIdentifier(user);
  const host = /replication connection (?:from|for) host "([^"]*)"/.exec(text)?.[1];
  if (host === undefined || host === '[local]') return `local replication ${role} scram-sha-256`;
  const kind = /, SSL encryption/.test(text) ? 'hostssl' : 'host';
  return `${kind} replication ${role} ${host}/${host.includes(':') ? 128 : 32} scram-sha-256`;
}

function fieldOf(error: unknown, name: string): string {
  const value: unknown = error instanceof Error ? Reflect.get(error, name) : undefined;
  return typeof value === 'string' ? value : '';
}
