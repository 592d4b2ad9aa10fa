import { isFailure, type HoldfastError } from '../../../kernel/errors/failure.ts';
import { pinned, type Session } from '../../../postgres/connection/session.ts';
import { quoteIdentifier } from '../../../postgres/names.ts';
import { openReplication } from '../../../postgres/replication/replication.ts';
import type { Finding } from '../../port.ts';
import { brokenBy, ok, reload, type Asked, type Question } from './question.ts';

/** Whether the server lets this user in for replication: the only way without a data directory. */
export const replication: Question = async (asked) => {
  const { session, signal, options } = asked;
  const check = 'replication';
  // A backup that reads files can do without; holdfast wal stream cannot.
  const level = options.dataDirectory === undefined ? 'error' : 'warning';
  const findings = await attribute(asked, level);
  try {
    await using link = await openReplication(pinned(session), signal, { clock: { now: options.now } });
    await link.identifySystem();
    return findings.length > 0
      ? findings
      : [ok(check, `${session.parameters.user} can connect for replication`)];
  } catch (error) {
    if (isFailure(error, 'replication_hba')) return [...findings, await refusedByHba(session, error, level)];
    // These are told where the attribute and the settings are looked at.
    if (isFailure(error, 'replication_role') && findings.length > 0) return findings;
    if (isFailure(error, 'replication_off') && asked.settings.number('max_wal_senders') === 0)
      return findings;
    return [...findings, brokenBy(check, error, signal, level)];
  }
};

/** A temporary slot needs it in a data directory as well. */
async function attribute({ session }: Asked, level: 'warning' | 'error'): Promise<Finding[]> {
  const [row] = await session.query<{ may: boolean }>(
    'SELECT rolreplication OR rolsuper AS may FROM pg_catalog.pg_roles WHERE rolname = current_user',
  );
  if (row?.may !== false) return [];
  const { user } = session.parameters;
  const message = `${user} may not use replication: for holdfast wal stream, and for a slot that keeps the WAL a backup needs`;
  const mend = `as a superuser there: ALTER ROLE ${quoteIdentifier(user)} REPLICATION;`;
  return [{ check: 'replication', level, message, mend, code: 'HF-5404' }];
}

async function refusedByHba(
  session: Session,
  { message, code }: HoldfastError,
  level: 'warning' | 'error',
): Promise<Finding> {
  const [row] = await session.query<HbaRow>(
    `SELECT host(inet_client_addr()) AS address, family(inet_client_addr()) AS family,
            (SELECT ssl FROM pg_catalog.pg_stat_ssl WHERE pid = pg_backend_pid()) AS ssl,
            current_setting('password_encryption') AS encryption,
            ${session.serverVersionNumber >= 160_000 ? 'system_user' : 'NULL'} AS identity,
            (SELECT setting FROM pg_catalog.pg_settings WHERE name = 'hba_file') AS file`,
  );
  const file = row?.file ?? 'pg_hba.conf of the server (SHOW hba_file tells a superuser where it is)';
  const line = hbaLine(session, row);
  const mend = `add this line at the beginning of ${file}, then run ${reload} The line: ${line}`;
  return { check: 'replication', level, message, mend, code };
}

interface HbaRow {
  readonly [column: string]: unknown;
  readonly address: string | null;
  readonly family: number | null;
  readonly ssl: boolean | null;
  readonly encryption: string;
  /** How this connection proved who it is: `scram-sha-256:poor`. Since 16. */
  readonly identity: string | null;
  readonly file: string | null;
}

/** As this very connection was let in: from where, as whom, and by a password or by who we are. */
function hbaLine({ parameters }: Session, row: HbaRow | undefined): string {
  const { user } = parameters;
  const role = /^[a-z_][a-z0-9_]*$/.test(user) && user !== 'all' ? user : quoteIdentifier(user);
  const { address = null, ssl, family } = row ?? {};
  const method = methodOf(row, parameters.password !== undefined);
  if (address === null) return `local replication ${role} ${method}`;
  return `${ssl === true ? 'hostssl' : 'host'} replication ${role} ${address}/${family === 6 ? 128 : 32} ${method}`;
}

const plainMethods: ReadonlySet<string> = new Set(['scram-sha-256', 'md5', 'peer', 'cert', 'gss']);

function methodOf(row: HbaRow | undefined, hasPassword: boolean): string {
  const known = row?.identity?.split(':')[0] ?? '';
  if (plainMethods.has(known)) return known;
  if (row?.address === null && !hasPassword) return 'peer';
  return row?.encryption === 'md5' ? 'md5' : 'scram-sha-256';
}
